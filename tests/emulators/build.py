"""Compiles the emulators of this folder, and writes manifests for them."""

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import emulator.abi
from emulator.engines.compiler import FLAGS, installed, library_of

HERE = Path(__file__).parent


def ap_types() -> Path:
    """The folder of the ap_fixed headers that hls4ml brings."""
    found = importlib.util.find_spec("hls4ml")
    if found is None or found.origin is None:
        pytest.skip("needs the models extra: hls4ml brings the ap_fixed headers")
    return Path(found.origin).parent / "templates" / "vivado" / "ap_types"


def build(name: str, to: Path, *flags: str, cache: Path) -> Path:
    """Compile `name`.cpp to the library `to`."""
    sources = {f"{name}.cpp": (HERE / f"{name}.cpp").read_bytes()}
    includes = (f"-I{ap_types()}", f"-I{Path(emulator.abi.__file__).parent}", *flags)
    shutil.copy(
        library_of(sources, unit=f"{name}.cpp", kind="abi", tool=installed((*FLAGS, *includes)), cache=cache), to
    )
    return to


def document(library: Path, **fields: Any) -> dict[str, Any]:
    """A manifest's JSON for `library`."""
    sha256 = hashlib.sha256(library.read_bytes()).hexdigest()
    return {"schema": "trigwatch-emulator/1", "label": library.stem, "sha256": sha256, **fields}


def manifest(library: Path, **fields: Any) -> Path:
    """Write the manifest beside `library`."""
    file = library.with_suffix(".json")
    file.write_text(json.dumps(document(library, **fields)))
    return file


GOOD: dict[str, Any] = {
    "input": {"type": "ap_fixed<18,13>", "length": 6},
    "output": {
        "type": "std::pair<std::array<ap_fixed<10,7,AP_RND_CONV,AP_SAT>,4>,ap_ufixed<18,14>>",
        "columns": ["second", "first"],
    },
    "threshold": 900,
}
MOODY: dict[str, Any] = {
    "input": {"type": "ap_int<10>", "length": 2},
    "output": {"type": "ap_int<12>"},
    "deadline": 0.3,
}
WEIGHTS: dict[str, Any] = {"input": {"type": "int", "length": 2}, "output": {"type": "int"}}
STRUCTURED: dict[str, Any] = {
    "input": {"type": "std::array<short,3>"},
    "output": {"type": "demo::Result"},
    "structures": {
        "demo::Result": [["flags", "ap_uint<5>"], ["sums", "std::array<ap_int<16>,1>"], ["product", "ap_ufixed<40,30>"]]
    },
    "preload": ["libemulator_interface.so"],
}
