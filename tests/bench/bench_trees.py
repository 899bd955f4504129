"""How fast boosted trees are re-emulated: 100 trees of depth 4, one thread, the same run.

Run: make bench-emulator

The baseline is conifer's own C++, called from Python as conifer does it. Ours are compared with it bit for bit before
they are timed; XGBoost computes the same trees in floating point. Rates are by the clock on the wall.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import tempfile
from pathlib import Path

import conifer
import numpy as np
import xgboost

from emulator.card import raw_bounds
from emulator.directed import random_inputs
from emulator.engines.conifer_sources import write_ensemble
from emulator.engines.csim import CsimEngine, needed_sources
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.importers.conifer import import_ensemble
from tests.bench.bench_emulator import NEEDED, PROCESSORS, flags
from tests.bench.table import best, print_machine, print_row, print_titles

TREES, DEPTH, FEATURES = 100, 4, 16
EVENTS, FEW = 16_384, 1_024


def main() -> None:
    print_machine(f"Boosted trees: {TREES} of depth {DEPTH} on {FEATURES} features, ap_fixed<16,6>")
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


def measure(folder: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 3, (8000, FEATURES)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > rng.normal(0, 2, len(x))).astype(int)
    trained = xgboost.XGBClassifier(n_estimators=TREES, max_depth=DEPTH, base_score=0.5, n_jobs=1).fit(x, y)
    model = compiled(trained, folder)
    model.save(str(folder / "trees.json"))
    document = json.loads((folder / "trees.json").read_text())
    program = import_ensemble(document)
    (source,), (output,) = program.inputs, program.output_tensors
    raw = random_inputs(*raw_bounds(program.inputs), events=EVENTS, rng=rng).astype(np.int16)
    physical = raw * source.format.lsb
    expected = np.rint(np.reshape(model.decision_function(physical[:FEW]), (FEW, 1)) / output.format.lsb).astype(
        np.int64
    )
    baseline = FEW / best(lambda: model.decision_function(physical[:FEW]), rounds=3).wall
    print_titles("", "events/s", "x conifer", width=14)
    print_row("conifer, its C++ from Python", f"{baseline:,.0f}", 1.0, width=14)
    sources = needed_sources(write_ensemble(folder / "trees.json", document))
    for name, quick in (("the same C++, no Python between", False), ("the same, quick build", True)):
        with contextlib.closing(CsimEngine(sources, quick=quick)) as csim:
            rate = FEW / best(lambda csim=csim: csim.score(raw[:FEW]), rounds=3).wall
        print_row(name, f"{rate:,.0f}", rate / baseline, width=14)
    engines = {"gemm (numpy)": GemmEngine(program)} | {
        f"native, {name}": NativeEngine(program, march=march)
        for name, march in PROCESSORS.items()
        if NEEDED.get(march, set()) <= flags()
    }
    for name, engine in engines.items():
        assert (engine.score(raw[:FEW]) == expected).all(), name
        rate = EVENTS / best(lambda engine=engine: engine.score(raw), rounds=5).wall
        print_row(name, f"{rate:,.0f}", rate / baseline, width=14)
    numbers, booster = physical.astype(np.float32), trained.get_booster()
    booster.set_param({"nthread": 1})
    # Not `predict` on a DMatrix: that remembers what it predicted before.
    rate = EVENTS / best(lambda: booster.inplace_predict(numbers), rounds=5).wall
    print_row("XGBoost, floating point", f"{rate:,.0f}", rate / baseline, width=14)


def compiled(trained: xgboost.XGBClassifier, folder: Path) -> conifer.model.ModelBase:
    """Return conifer's model with its C++ built; conifer's package brings no ap_fixed headers, hls4ml's does."""
    found = importlib.util.find_spec("hls4ml")
    assert found is not None
    assert found.origin is not None
    os.environ["XILINX_AP_INCLUDE"] = str(Path(found.origin).parent / "templates" / "vivado" / "ap_types")
    config = conifer.backends.xilinxhls.auto_config()
    config |= {"OutputDir": str(folder / "project"), "ProjectName": "my_prj", "Precision": "ap_fixed<16,6>"}
    model = conifer.converters.convert_from_xgboost(trained, config)
    model.compile()
    return model


if __name__ == "__main__":
    main()
