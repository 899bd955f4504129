"""The real programs, started for a test on free loopback ports and ended with it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


def program(name: str) -> str:
    """Return the path of a program; where it is missing, fail in CI and skip with the reason elsewhere."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        reason = f"{name} is not installed: deploy/test-services installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def run(name: str, *arguments: str | Path, cwd: Path = ROOT, **changes: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; output and errors in one text."""
    return subprocess.run(
        [program(name), *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
        **changes,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def ask(url: str, **query: str | float) -> Any:
    """Return the JSON that `url` answers with."""
    return json.loads(httpx.get(url, params=query, timeout=10).raise_for_status().content)


def eventually(question: Callable[[], T], *, holds: Callable[[T], bool] = bool, within: float = 30.0) -> T:
    """Return the first answer that holds; fail with the last one where none does in time."""
    deadline = time.monotonic() + within
    while True:
        try:
            answer: Any = question()
        except (OSError, httpx.HTTPError) as error:
            answer = error
        if not isinstance(answer, Exception) and holds(answer):
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within} seconds; the last answer was {answer!r}")
        time.sleep(0.1)


@contextmanager
def running(command: Sequence[str | Path], *, ready: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the test is over; it is ready when `ready` answers."""
    with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:

        def alive() -> bool:
            assert process.poll() is None, log.read_text()
            return httpx.get(ready, timeout=5).status_code == httpx.codes.OK

        try:
            eventually(alive)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
