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
from typing import IO, Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from emulator.worker_child import COMMAND, HEAD, REPLY

EVENTS_PER_CALL = 4096
Operation = Literal["score", "trace", "measure"]
_ALONE_SECONDS = 600.0  # that a worker may still compute when its parent is gone
_PROGRAM = Path(__file__).with_name("worker_child.py")


class WorkerFailed(RuntimeError):
    """The worker process gave no complete answer and is gone; the next call starts another one.

    Attributes
    ----------
    answers
        The rows that were complete, if the library counts them: the next one is where it failed. None if that is not
        known, or if no process could be started.
    """

    answers: NDArray[Any] | None = None


class WorkerDied(WorkerFailed):
    """The worker process ended while it was needed; the next call starts another one."""


class WorkerHung(WorkerFailed):
    """The worker process gave no answer in time and was ended; the next call starts another one."""


class Worker:
    """A process that holds one shared library with the `trigwatch_*` C interface, or one that drives another.

    Safe to share between threads; calls queue up. A worker that died is started again by the next call.

    Parameters
    ----------
    library
        The shared library. It exports `const char *trigwatch_describe()` and
        `void trigwatch_score(int64_t events, const void *in, void *out)`, and `trigwatch_trace` alike.
    setup
        What the library needs to be told first, if anything: `const char *trigwatch_open(const char *setup)` returns
        null or a complaint. Such a library also counts its events (`trigwatch_progress`) and may stop early
        (`trigwatch_complaint`).
    search
        A directory where the dynamic linker looks for further libraries before all others.
    name
        What messages call the library; by default its path.
    deadline
        Seconds without progress after which the worker is ended: for the start and, unless the library counts its
        events, for a whole call of at most `EVENTS_PER_CALL` of them.
    start_deadline
        Seconds that the start may take; by default `deadline`.
    """

    def __init__(
        self,
        library: Path,
        *,
        setup: str = "",
        search: Path | None = None,
        name: str = "",
        deadline: float = 60.0,
        start_deadline: float | None = None,
    ) -> None:
        self.library = library
        self.setup = setup
        self.search = search
        self.name = name or str(library)
        self.deadline = deadline
        self.start_deadline = deadline if start_deadline is None else start_deadline
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
        self, raw: NDArray[Any], *, width: int, operation: Operation = "score", dtype: DTypeLike = np.int64
    ) -> NDArray[Any]:
        """Return `dtype` (n, width) for `raw` (n, k), plain numbers as the library wants them.

        Raises WorkerDied or WorkerHung.
        """
        answer = np.empty((len(raw), width), dtype)
        with self._lock:
            for start in range(0, len(raw), EVENTS_PER_CALL):
                self._ensure_started()
                rows = slice(start, min(start + EVENTS_PER_CALL, len(raw)))
                try:
                    self._exchange(raw[rows], answer[rows], operation)
                except WorkerFailed as failed:
                    if failed.answers is not None:
                        failed.answers = answer[: start + len(failed.answers)]
                    raise
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
                [sys.executable, "-I", "-S", str(_PROGRAM), str(self.library), self.setup, *map(str, inherited)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=inherited,
                cwd="/",
                env=self._environment(),
            )
        finally:
            os.close(child_commands)
            os.close(child_replies)
        self.starts += 1
        self._description = self._reply(self.start_deadline).decode()

    def _environment(self) -> dict[str, str]:
        # It cannot be set later: the dynamic linker reads it once, when a process starts.
        found = [str(self.search) if self.search else "", os.environ.get("LD_LIBRARY_PATH", "")]
        path = ":".join(filter(None, found))
        return {**os.environ, **({"LD_LIBRARY_PATH": path} if path else {})}

    def _exchange(self, rows: NDArray[Any], answer: NDArray[Any], operation: str) -> None:
        begin = HEAD + -(-rows.nbytes // HEAD) * HEAD
        memory = self._room(begin + answer.nbytes)
        np.frombuffer(memory, rows.dtype, rows.size, HEAD)[:] = rows.ravel()
        done = np.frombuffer(memory, np.int64, 1)
        done[0] = 0
        command = COMMAND.pack(operation[0].encode(), len(rows), begin, len(memory), _ALONE_SECONDS)
        complete = len(rows)
        try:
            self._send(command)
            self._reply(self.deadline, done)
        except WorkerFailed as failed:
            complete = min(max(0, int(done[0])), len(rows))
            if self.setup:
                failed.answers = answer[:complete]
            raise
        finally:
            answers = np.frombuffer(memory, answer.dtype, answer.size, begin).reshape(answer.shape)
            answer[:complete] = answers[:complete]
        if self._complaints is not None:
            self._complaints.truncate(0)  # a library may print for every event, for months

    def _send(self, command: bytes) -> None:
        try:
            os.write(self._commands, command)
        except BrokenPipeError:
            self._fail()

    def _room(self, size: int) -> mmap.mmap:
        if self._memory is None or len(self._memory) < size:
            os.ftruncate(self._segment, size)
            self._memory = mmap.mmap(self._segment, size)
        return self._memory

    def _reply(self, deadline: float, done: NDArray[np.int64] | None = None) -> bytes:
        """Return the text of a reply; `done` is watched for progress while there is none."""
        kind, length = REPLY.unpack(self._read(REPLY.size, deadline, done))
        text = self._read(length, deadline, done)
        if kind == b"e":
            self._stop()
            remedy = "" if self.setup else ". Delete it, and it is compiled again from the card"
            raise WorkerDied(f"{self.name}: the library cannot be loaded: {text.decode(errors='replace')}{remedy}")
        if kind == b"f":
            self._stop()
            raise WorkerDied(f"{self.name}: {text.decode(errors='replace')}; the next call starts another process")
        return text

    def _read(self, length: int, deadline: float, done: NDArray[np.int64] | None) -> bytes:
        content, seen = b"", 0
        end = time.monotonic() + deadline
        while len(content) < length:
            waiting = select.poll()  # select() would refuse descriptors over 1,023, which a busy daemon has
            waiting.register(self._replies, select.POLLIN)
            if not waiting.poll(1000 * max(0.0, min(end - time.monotonic(), deadline / 8))):
                if done is not None and int(done[0]) != seen:
                    seen, end = int(done[0]), time.monotonic() + deadline
                elif time.monotonic() >= end:
                    self._hung(deadline)
                continue
            piece = os.read(self._replies, length - len(content))
            if not piece:
                self._fail()
            content += piece
        return content

    def _hung(self, deadline: float) -> NoReturn:
        self._stop()
        raise WorkerHung(
            f"{self.name}: no answer within {deadline:g} s; the worker process was ended and the next call starts "
            "another one"
        )

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
            f"{self.name}: the worker process {how}{f' and said: {said}' if said else ''}; "
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
