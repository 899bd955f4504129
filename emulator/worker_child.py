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

COMMAND = struct.Struct("<cqqqd")  # operation, events, values per event in, size of the shared segment, seconds allowed
REPLY = struct.Struct("<cq")  # b"r" ready, b"d" done, b"e" error; bytes of text that follow
OPERATIONS = {b"s": "trigwatch_score", b"t": "trigwatch_trace"}


def main(path: str, commands: int, replies: int, segment: int) -> None:
    """Load the library at `path` and obey until the parent closes its end of the pipe."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        # RTLD_GLOBAL would let two models' weights overwrite each other: it happened, twice.
        library = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
        library.trigwatch_describe.restype = ctypes.c_char_p
        text = bytes(library.trigwatch_describe())
    except (OSError, AttributeError) as error:
        _reply(replies, b"e", str(error).encode())
        return
    _reply(replies, b"r", text)
    memory: mmap.mmap | None = None
    while command := os.read(commands, COMMAND.size):
        operation, events, width, size, seconds = COMMAND.unpack(command)
        if memory is None or len(memory) != size:
            memory = mmap.mmap(segment, size)
        _call(library, operation=operation, memory=memory, shape=(events, width), seconds=seconds)
        _reply(replies, b"d", b"")


def _call(library: ctypes.CDLL, *, operation: bytes, memory: mmap.mmap, shape: tuple[int, int], seconds: float) -> None:
    events, width = shape
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    # SIGALRM's default action ends the process even inside C: a hanging worker dies although its parent is gone.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    function = getattr(library, OPERATIONS[operation])
    function.restype = None
    function(ctypes.c_int64(events), ctypes.c_void_p(start), ctypes.c_void_p(start + events * width * 8))
    signal.setitimer(signal.ITIMER_REAL, 0)


def _reply(replies: int, kind: bytes, text: bytes) -> None:
    os.write(replies, REPLY.pack(kind, len(text)))
    while text:
        text = text[os.write(replies, text) :]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
