"""The compiled counting of inputs, where this machine has a compiler; without one numpy counts, at half the speed."""

from __future__ import annotations

import ctypes
import functools
import logging

from emulator.engines.compiler import NotCompiled, installed, library_of
from monitor.observe.kernel import UNIT, source

FLAGS = ("-O3", "-march=native", "-fwrapv", "-fPIC", "-shared", "-fvisibility=default")
log = logging.getLogger(__name__)


@functools.cache
def counting() -> ctypes.CDLL | None:
    """Return the compiled library, from the cache after the first time; None, and a line in the log, without."""
    try:
        tool = installed(FLAGS, standards=("-std=c++17",))
        # What `-march=native` means is part of the key: a cache may be shared with another kind of processor.
        library = library_of({UNIT: source()}, unit=UNIT, kind="observe", tool=tool, machine=tool.defined())
        return ctypes.CDLL(str(library))
    except (NotCompiled, OSError) as error:
        log.info("inputs are counted by numpy: %s", error)
        return None
