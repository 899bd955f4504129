"""The C++ that conifer's HLS backend writes for an ensemble, with a door for raw integers. Needs conifer and hls4ml."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulator.engines.csim_sources import Unwritable

_PROJECT = "ensemble"
_BRIDGE = """#include "ap_fixed.h"
#include <cstdint>
#include "firmware/parameters.h"
#include "firmware/BDT.cpp"
extern "C" {
const char *trigwatch_describe() { return "%s"; }
void trigwatch_score(int64_t events, const int64_t *in, int64_t *out) {
    for (int64_t e = 0; e < events; e++) {
        input_arr_t x;
        for (int i = 0; i < n_features; i++) x[i].V = static_cast<long long>(*in++);
        score_t score[BDT::fn_classes(n_classes)];
        bdt.decision_function(x, score);
        for (int i = 0; i < BDT::fn_classes(n_classes); i++) *out++ = score[i].V.to_int64();
    }
}
void trigwatch_trace(int64_t, const int64_t *, int64_t *) {}
}
"""


def write_ensemble(path: Path, document: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the project of a conifer JSON file: path -> content, with `bridge.cpp` as its only translation unit.

    Raises
    ------
    ModuleNotFoundError
        conifer is not installed.
    Unwritable
        conifer cannot write it.
    """
    conifer = importlib.import_module("conifer")
    logging.getLogger("conifer").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="trigwatch-conifer-") as directory:
        precisions = {key: value for key, value in document["config"].items() if key.endswith("_precision")}
        config = conifer.backends.xilinxhls.auto_config() | {"OutputDir": directory, "ProjectName": _PROJECT}
        try:
            conifer.model.load_model(str(path), new_config={**config, **precisions}).write()
        except Exception as error:  # conifer asserts, and raises bare Exception
            raise Unwritable(f"conifer cannot write {path}: {str(error) or type(error).__name__}") from error
        firmware = Path(directory) / "firmware"
        wanted = ("BDT.h", "BDT.cpp", "parameters.h")
        sources = {f"firmware/{name}": (firmware / name).read_bytes() for name in wanted}
    classes = int(document["n_classes"])
    shapes = {"input x": int(document["n_features"]), "output score": classes if classes > 2 else 1}
    kinds = (document["config"][f"{name}_precision"].replace(" ", "") for name in ("input", "score"))
    lines = [f"{role} {size} {kind}\\n" for (role, size), kind in zip(shapes.items(), kinds, strict=True)]
    return sources | _ap_types() | {"bridge.cpp": (_BRIDGE % "".join(lines)).encode()}


def _ap_types() -> dict[str, bytes]:
    """Return the ap_fixed headers: conifer's package does not bring them, hls4ml's does."""
    found = importlib.util.find_spec("hls4ml")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("hls4ml brings the ap_fixed headers and is not installed", name="hls4ml")
    folder = Path(found.origin).parent / "templates" / "vivado" / "ap_types"
    return {
        f"firmware/ap_types/{file.relative_to(folder).as_posix()}": file.read_bytes()
        for file in sorted(folder.rglob("*.h"))
    }
