"""A real Apache Kafka for tests, started and stopped by process number."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "deploy" / "kafka" / "broker"


class Broker:
    """One broker with its own folder; ports are free ones, and the same again when it is started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.bootstrap = ""
        self._program: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start and wait until it answers; raises AssertionError with the program's own words where it cannot."""
        command = [sys.executable, str(PROGRAM), "run", "--data", str(self.data), "--with-parent"]
        self._program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._program.stdout is not None
        self.bootstrap = self._program.stdout.readline().strip()
        if not self.bootstrap:
            raise AssertionError(self._program.communicate()[1])

    def kill(self) -> None:
        """End the Java process at once, as a power cut would."""
        os.kill(int((self.data / "broker.pid").read_text()), signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Stop in order."""
        if self._program is not None:
            self._program.terminate()
            self._wait()

    def _wait(self) -> None:
        assert self._program is not None
        self._program.communicate(timeout=40)
        self._program = None


def missing() -> str:
    """Return what this machine lacks for a broker, or ""."""
    fetched = (
        any((PROGRAM.parents[2] / "var" / "kafka" / "lib").glob("kafka_*.jar")) or "TRIGWATCH_KAFKA_LIB" in os.environ
    )
    needed = ["java"] if fetched else ["java", "mvn"]
    lacking = [name for name in needed if shutil.which(name) is None]
    return f"no {' and no '.join(lacking)}: run deploy/test-services" if lacking else ""
