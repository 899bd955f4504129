"""The program inside a worker process: one library, one loop; started as a script with `python -I -S`.

It imports nothing beyond the standard library's quick parts, so that a worker starts in some 20 ms.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import signal
import struct
import sys

COMMAND = struct.Struct("<cqqqd")  # operation, events, where answers begin, size of the shared segment, seconds allowed
REPLY = struct.Struct("<cq")  # b"r" ready, b"d" done, b"f" failed, b"e" cannot be loaded; bytes of text that follow
HEAD = 64  # bytes before the inputs in the shared segment: the number of events done, int64, and room
OPERATIONS = {b"s": "trigwatch_score", b"t": "trigwatch_trace", b"m": "trigwatch_measure"}


def main(path: str, setup: str, descriptors: list[int]) -> None:
    """Load the library at `path` and obey until the parent closes its end of the pipe."""
    commands, replies, segment = descriptors
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        library, text = _loaded(path, setup)
    except (OSError, AttributeError) as error:
        _reply(replies, b"e", str(error).encode())
        return
    _reply(replies, b"r", text)
    memory: mmap.mmap | None = None
    while command := os.read(commands, COMMAND.size):
        operation, events, answers, size, seconds = COMMAND.unpack(command)
        if memory is None or len(memory) != size:
            memory = mmap.mmap(segment, size)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        if setup:
            library.trigwatch_progress(ctypes.c_void_p(start))
        # SIGALRM's default action ends the process even inside C: a hanging worker dies although its parent is gone.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        function = getattr(library, OPERATIONS[operation])
        function.restype = None
        function(ctypes.c_int64(events), ctypes.c_void_p(start + HEAD), ctypes.c_void_p(start + answers))
        signal.setitimer(signal.ITIMER_REAL, 0)
        complaint = library.trigwatch_complaint() if setup else None
        _reply(replies, b"d" if complaint is None else b"f", complaint or b"")


def _loaded(path: str, setup: str) -> tuple[ctypes.CDLL, bytes]:
    # RTLD_GLOBAL would let two models' weights overwrite each other: it happened, twice.
    library = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
    if setup:
        library.trigwatch_open.restype = library.trigwatch_complaint.restype = ctypes.c_char_p
        refusal = library.trigwatch_open(setup.encode())
        if refusal is not None:
            raise OSError(refusal.decode(errors="replace"))
    library.trigwatch_describe.restype = ctypes.c_char_p
    return library, bytes(library.trigwatch_describe())


def _reply(replies: int, kind: bytes, text: bytes) -> None:
    os.write(replies, REPLY.pack(kind, len(text)))
    while text:
        text = text[os.write(replies, text) :]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(each) for each in sys.argv[3:6]])
