"""Daemons as processes of their own, as they run in production."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PATIENCE = 90.0


def settings(
    folder: Path, supply: str, *, stream: str = "l1anomaly", topic: str = "trigger-output", more: str = ""
) -> Path:
    """Write a settings file into `folder`; `supply` is its [kafka] or [tape] table."""
    models = Path(__file__).parents[2] / "emulator" / "detector" / "models"
    path = folder / "trigwatch.toml"
    path.write_text(
        f'{supply}\n[models]\npath = "{models}"\n[http]\nport = 0\n{more}\n'
        f'[[streams]]\nname = "{stream}"\ntopic = "{topic}"\n'
    )
    return path


def simulate(*arguments: str) -> None:
    """Run `trigwatch simulate` to its end."""
    command = [sys.executable, "-m", "monitor.app", "simulate", *arguments]
    subprocess.run(command, env=ALONE, check=True, capture_output=True, timeout=PATIENCE)


class Daemon:
    """One `trigwatch run`; its page is at `url` once `start` has returned."""

    def __init__(self, config: Path, *, role: str = "solo") -> None:
        self._command = [sys.executable, "-m", "monitor.app", "run", str(config), "--role", role]
        self._log = config.with_suffix(f".{role}.log")
        self._program: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> None:
        """Start and wait for the line that says where the page is."""
        with self._log.open("a") as log:
            self._program = subprocess.Popen(
                self._command, env=ALONE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        if " at http" not in line:
            self._program.wait(timeout=10)
            raise AssertionError(f"the daemon did not start:\n{self._log.read_text()[-4000:]}")
        self.url = line.rsplit(" ", 1)[1].strip()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; return the exit status."""
        return self._end(signal.SIGTERM)

    def get(self, path: str) -> Any:
        """Return the JSON that the API answers."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read())

    def text(self, path: str) -> str:
        """Return the text that the server answers."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def _end(self, number: int) -> int:
        assert self._program is not None
        self._program.send_signal(number)
        self._program.communicate(timeout=30)
        return self._program.returncode


def until(found: Callable[[], Any], *, what: str, patience: float = PATIENCE) -> Any:
    """Return what `found` returns once it is true; fail loudly where it never is."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = found()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {patience:.0f} s: {what}")
