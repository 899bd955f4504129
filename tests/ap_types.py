"""The ap_types headers that hls4ml compiles its own simulation with, asked directly."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from emulator.formats import Raw


def answers(program: str, folder: Path) -> Raw:
    """Compile a C++ program that includes the headers and return the int64 that it writes; skips without g++."""
    hls4ml = pytest.importorskip("hls4ml", reason="needs the models extra: the headers come with hls4ml")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    headers = Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"
    (folder / "asked.cpp").write_text(program)
    # NDEBUG: some casts read a bit beyond the source's last one, which is an assertion before it is overruled.
    flags = ["-O0", "-w", "-DNDEBUG", "-std=c++14", f"-I{headers}"]
    subprocess.run(["g++", *flags, str(folder / "asked.cpp"), "-o", str(folder / "asked")], check=True, timeout=280)
    said = subprocess.run([folder / "asked"], check=True, capture_output=True, timeout=60).stdout
    return np.frombuffer(said, dtype="<i8")
