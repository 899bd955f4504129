"""A worker process: foreign C++ runs in it, so that its crash, hang or `exit()` is an error and not our end.

One model version, one process: two emulators in one process have overwritten each other's weights.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from emulator.worker_child import COMMAND, REPLY

EVENTS_PER_CALL = 4096
_PROGRAM = Path(__file__).with_name("worker_child.py")


class WorkerDied(RuntimeError):
    """The worker process ended while it was needed; the next call starts another one."""


class WorkerHung(RuntimeError):
    """The worker process gave no answer in time and was ended; the next call starts another one."""


class Worker:
    """A process that holds one shared library with the `trigwatch_*` C interface.

    Safe to share between threads; calls queue up. A worker that died is started again by the next call.

    Parameters
    ----------
    library
        The shared library. It exports `const char *trigwatch_describe()` and
        `void trigwatch_score(int64_t events, const int64_t *in, int64_t *out)`, and `trigwatch_trace` alike.
    deadline
        Seconds that one call of at most `EVENTS_PER_CALL` events, or the start, may take.
    """

    def __init__(self, library: Path, *, deadline: float = 60.0) -> None:
        self.library = library
        self.deadline = deadline
        self.starts = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None
        self._commands = self._replies = self._segment = -1
        self._memory: mmap.mmap | None = None
        self._description = ""

    @property
    def restarts(self) -> int:
        """How often a dead worker was replaced."""
        return max(0, self.starts - 1)

    @property
    def description(self) -> str:
        """What the library says about itself; starts the process if there is none."""
        with self._lock:
            self._ensure_started()
            return self._description

    def run(
        self, raw: NDArray[np.int64], *, width: int, operation: Literal["score", "trace"] = "score"
    ) -> NDArray[np.int64]:
        """Return int64 (n, width) for `raw` int64 (n, k); raises WorkerDied or WorkerHung."""
        answer = np.empty((len(raw), width), np.int64)
        with self._lock:
            for start in range(0, len(raw), EVENTS_PER_CALL):
                self._ensure_started()
                rows = raw[start : start + EVENTS_PER_CALL]
                answer[start : start + len(rows)] = self._exchange(rows, width, operation)
        return answer

    def close(self) -> None:
        """End the process; idempotent. A later call would start another one."""
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._stop()

    def _ensure_started(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._stop()
        child_commands, self._commands = os.pipe()
        self._replies, child_replies = os.pipe()
        self._segment = _anonymous_file()
        self._complaints = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed by _stop
        inherited = (child_commands, child_replies, self._segment)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
                [sys.executable, "-I", "-S", str(_PROGRAM), str(self.library), *map(str, inherited)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=inherited,
                cwd="/",
            )
        finally:
            os.close(child_commands)
            os.close(child_replies)
        self.starts += 1
        self._description = self._reply().decode()

    def _exchange(self, rows: NDArray[np.int64], width: int, operation: str) -> NDArray[np.int64]:
        events, inputs = rows.shape
        memory = self._room(events * (inputs + width) * 8)
        shared = np.frombuffer(memory, np.int64, events * (inputs + width))
        shared[: rows.size] = rows.ravel()
        command = COMMAND.pack(operation[0].encode(), events, inputs, len(memory), 2 * self.deadline)
        try:
            os.write(self._commands, command)
        except BrokenPipeError:
            self._fail()
        self._reply()
        if self._complaints is not None:
            self._complaints.truncate(0)  # a library may print for every event, for months
        return shared[rows.size :].reshape(events, width).copy()

    def _room(self, size: int) -> mmap.mmap:
        if self._memory is None or len(self._memory) < size:
            os.ftruncate(self._segment, size)
            self._memory = mmap.mmap(self._segment, size)
        return self._memory

    def _reply(self) -> bytes:
        end = time.monotonic() + self.deadline
        kind, length = REPLY.unpack(self._read(REPLY.size, end))
        text = self._read(length, end)
        if kind == b"e":
            self._stop()
            raise WorkerDied(
                f"{self.library}: the library cannot be loaded: {text.decode(errors='replace')}. Delete it, and it "
                "is compiled again from the card"
            )
        return text

    def _read(self, length: int, end: float) -> bytes:
        content = b""
        while len(content) < length:
            waiting = select.poll()  # select() would refuse descriptors over 1,023, which a busy daemon has
            waiting.register(self._replies, select.POLLIN)
            if not waiting.poll(1000 * max(0.0, end - time.monotonic())):
                self._stop()
                raise WorkerHung(
                    f"{self.library}: no answer within {self.deadline:g} s; the worker process was ended and the "
                    "next call starts another one"
                )
            piece = os.read(self._replies, length - len(content))
            if not piece:
                self._fail()
            content += piece
        return content

    def _fail(self) -> NoReturn:
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=5.0)
        said = ""
        if self._complaints is not None:
            self._complaints.seek(0)
            said = self._complaints.read()[-500:].decode(errors="replace").strip()
        self._stop()
        how = f"was killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
        raise WorkerDied(
            f"{self.library}: the worker process {how}{f' and said: {said}' if said else ''}; "
            "the next call starts another one"
        )

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for end in (self._commands, self._replies, self._segment):
            if end >= 0:
                os.close(end)
        if self._complaints is not None:
            self._complaints.close()
        self._process = self._complaints = self._memory = None
        self._commands = self._replies = self._segment = -1


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("trigwatch-worker")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
