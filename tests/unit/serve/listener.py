"""What a real HTTP server was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Letter:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Listener:
    """Answers every request with `status` and `answer`."""

    url: str = ""
    status: int = 200
    answer: bytes = b"[]"
    location: str | None = None
    letters: list[Letter] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """Run a real HTTP server that remembers what it is sent."""
    remembered = Listener()

    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            remembered.letters.append(
                Letter(self.command, self.path, {name.lower(): text for name, text in self.headers.items()}, body)
            )
            self.send_response(remembered.status)
            if remembered.location:
                self.send_header("Location", remembered.location)
            self.send_header("Content-Length", str(len(remembered.answer)))
            self.end_headers()
            self.wfile.write(remembered.answer)

        do_GET = do_POST  # noqa: N815 - the library's name

        def log_message(self, *args: object) -> None:
            del args

    with ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        remembered.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield remembered
        server.shutdown()
        thread.join()
