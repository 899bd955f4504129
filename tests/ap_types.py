"""The ap_types headers that hls4ml compiles its own simulation with, asked directly."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from emulator.engines.compiler import unpack_sources
from emulator.engines.csim import quickened
from emulator.formats import Raw


def answers(program: str, folder: Path, *, quick: bool = False) -> Raw:
    """Compile a C++ program that includes the headers and return the int64 that it writes; skips without g++.

    `quick`: with the headers as the quick build of csim has them, and optimised as that is.
    """
    hls4ml = pytest.importorskip("hls4ml", reason="needs the models extra: the headers come with hls4ml")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    headers = Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"
    if quick:
        headers = _quickened(headers, folder / "ap_types")
    (folder / "asked.cpp").write_text(program)
    # NDEBUG: some casts read a bit beyond the source's last one, which is an assertion before it is overruled.
    flags = ["-O2" if quick else "-O0", "-w", "-DNDEBUG", "-std=c++14", f"-I{headers}"]
    subprocess.run(["g++", *flags, str(folder / "asked.cpp"), "-o", str(folder / "asked")], check=True, timeout=280)
    said = subprocess.run([folder / "asked"], check=True, capture_output=True, timeout=60).stdout
    return np.frombuffer(said, dtype="<i8")


def _quickened(headers: Path, folder: Path) -> Path:
    sources = {path.relative_to(headers).as_posix(): path.read_bytes() for path in headers.rglob("*.h")}
    unpack_sources(quickened(sources), folder)
    return folder
