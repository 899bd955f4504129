"""What a real HTTP server was sent."""

import json
from dataclasses import dataclass, field
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
