"""Boosted trees as conifer builds them for firmware: both exact engines against conifer's own C++."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emulator
from emulator.card import raw_bounds
from emulator.directed import directed_inputs, random_inputs
from emulator.engines.conifer_sources import write_ensemble
from emulator.engines.csim import CsimEngine, needed_sources
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Raw
from emulator.graph import NotExact, Program, Trees
from emulator.importers.conifer import import_ensemble
from emulator.importers.ensemble import BadEnsemble, is_ensemble

pytestmark = [
    pytest.mark.csim,
    # conifer leaves files to be closed by the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

FEATURES = 6


def saved(folder: Path, kind: str, classes: int, **precision: str) -> tuple[Path, dict[str, Any]]:
    """Train a small ensemble, convert it with conifer and save it."""
    conifer = pytest.importorskip("conifer", reason="needs conifer")
    rng = np.random.default_rng(5)
    x = np.round(rng.normal(0, 2, (1500, FEATURES)) * 16) / 16
    y = (np.digitize(x[:, 0] + x[:, 1] * x[:, 2], [-1, 1]) if classes > 2 else x[:, 0] * x[:, 1] > x[:, 2]).astype(int)
    config = (
        conifer.backends.xilinxhls.auto_config() | {"OutputDir": str(folder), "ProjectName": "ensemble"} | precision
    )
    if kind == "sklearn":
        ensemble = pytest.importorskip("sklearn.ensemble", reason="needs scikit-learn")
        model = ensemble.GradientBoostingClassifier(n_estimators=13, max_depth=4, random_state=1).fit(x, y)
        converted = conifer.converters.convert_from_sklearn(model, config)
    else:
        xgboost = pytest.importorskip("xgboost", reason="needs xgboost")
        model = xgboost.XGBClassifier(n_estimators=13, max_depth=3, base_score=0.5).fit(x, y)
        converted = conifer.converters.convert_from_xgboost(model, config)
    path = folder / "ensemble.json"
    converted.save(str(path))
    return path, json.loads(path.read_text())


CASES: dict[str, tuple[str, int, dict[str, str]]] = {
    "binary": ("sklearn", 2, {"Precision": "ap_fixed<18,8>"}),
    "classes": ("sklearn", 3, {"Precision": "ap_fixed<16,6>"}),
    "narrow score": ("sklearn", 2, {"InputPrecision": "ap_fixed<12,6>", "ScorePrecision": "ap_fixed<9,3>"}),
    "saturating score": (
        "sklearn",
        2,
        {"InputPrecision": "ap_fixed<12,6>", "ScorePrecision": "ap_fixed<8,1,AP_RND,AP_SAT>"},
    ),
    "coarse input": (
        "sklearn",
        2,
        {
            "InputPrecision": "ap_fixed<9,6>",
            "ThresholdPrecision": "ap_fixed<16,6>",
            "WeightPrecision": "ap_fixed<4,3>",
            "ScorePrecision": "ap_fixed<20,4>",
        },
    ),
    "xgboost": ("xgboost", 2, {"Precision": "ap_fixed<14,6>"}),
    "xgboost classes": ("xgboost", 3, {"InputPrecision": "ap_fixed<14,6>", "ScorePrecision": "ap_fixed<22,7>"}),
}


def inputs(program: Program) -> Raw:
    low, high = raw_bounds(program.inputs)
    rng = np.random.default_rng(2)
    directed = directed_inputs(program, GemmEngine(program), low=low, high=high, rng=rng)
    return np.concatenate([directed, random_inputs(low, high, events=4000, rng=rng)])


@pytest.mark.parametrize("case", CASES)
def test_an_ensemble_gives_conifers_scores(case: str, tmp_path: Path, csim_cache: Path) -> None:
    kind, classes, precision = CASES[case]
    path, document = saved(tmp_path, kind, classes, **precision)
    assert is_ensemble(document)
    program = import_ensemble(document)
    raw = inputs(program)
    sources = needed_sources(write_ensemble(path, document))
    with contextlib.closing(CsimEngine(sources, cache=csim_cache)) as csim:
        expected = csim.score(raw)
    assert (GemmEngine(program).score(raw) == expected).all()
    assert (NativeEngine(program, cache=csim_cache).score(raw) == expected).all()
    assert len(np.unique(expected)) > 20


def test_a_wrong_comparison_a_wrong_leaf_and_a_wrong_threshold_all_show(tmp_path: Path) -> None:
    _, document = saved(tmp_path, "sklearn", 2, Precision="ap_fixed<18,8>")
    program = import_ensemble(document)
    raw, (trees, *rest) = inputs(program), program.layers
    assert isinstance(trees, Trees)
    scores = GemmEngine(program).score(raw)
    value, threshold = trees.value.copy(), trees.threshold.copy()
    value[7, 5] += 1
    threshold[3, 0] += 1
    wrong = (
        dataclasses.replace(trees, inclusive=not trees.inclusive),
        dataclasses.replace(trees, value=value),
        dataclasses.replace(trees, threshold=threshold),
    )
    for layer in wrong:
        assert (GemmEngine(Program(program.inputs, (layer, *rest), program.outputs)).score(raw) != scores).any()


def test_an_oblique_tree_is_left_to_csim_and_a_float_is_refused_by_name(tmp_path: Path) -> None:
    _, document = saved(tmp_path, "sklearn", 2, Precision="ap_fixed<18,8>")
    oblique = json.loads(json.dumps(document))
    oblique["trees"][0][0]["weight"][0] = [0.5] * FEATURES
    with pytest.raises(NotExact, match="several features at once"):
        import_ensemble(oblique)
    document["config"]["score_precision"] = "float"
    with pytest.raises(BadEnsemble, match=r"score precision 'float' .*: convert the trees again, with an ap_fixed"):
        import_ensemble(document)


def test_an_ensemble_becomes_a_certified_card_that_is_proven_again_without_conifer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, _ = saved(tmp_path, "sklearn", 2, Precision="ap_fixed<18,8>")
    card = emulator.import_conifer(path, label="taus", out=tmp_path / "cards", threshold=100, events=2000)
    proof = card.certificate
    assert (proof.engine, proof.random, proof.mismatches) == ("gemm, native", 2000, 0)
    assert proof.directed > 100
    assert proof.reference.startswith("conifer 1.")
    with emulator.load(card.path) as model, emulator.load(card.path, "csim") as reference:
        raw = random_inputs(*raw_bounds(card.inputs), events=500, rng=np.random.default_rng(1))
        assert model.engine == "native"
        assert (model.score(raw) == reference.score(raw)).all()
        assert [name for name, _ in model.trace(raw)] == ["trees"]
    assert emulator.verify(card.path, events=1000, seed=3).mismatches == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("trees", " n_trees is 13 and trees has 1"),
        ("config", " is not a whole ensemble of conifer's"),
        ("init_predict", r" init_predict\[0\] is \[\{\}\], not a number"),
    ],
)
def test_a_damaged_ensemble_is_refused_with_its_name(spoil: str, said: str, tmp_path: Path) -> None:
    path, document = saved(tmp_path, "sklearn", 2, Precision="ap_fixed<18,8>")
    path.write_text(json.dumps({**document, spoil: [[{}]]}))
    with pytest.raises(ValueError, match=rf"ensemble\.json:?{said}"):
        emulator.import_conifer(path, label="taus", out=tmp_path / "cards")
    path.write_text(json.dumps({key: value for key, value in document.items() if key != spoil}))
    with pytest.raises(ValueError, match=r"ensemble\.json is not what conifer's"):
        emulator.import_conifer(path, label="taus", out=tmp_path / "cards")


def test_an_oblique_tree_becomes_a_card_that_csim_answers_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, document = saved(tmp_path, "sklearn", 2, Precision="ap_fixed<18,8>")
    document["trees"][0][0]["weight"][0] = [0.5] * FEATURES
    path.write_text(json.dumps(document))
    card = emulator.import_conifer(path, label="taus", out=tmp_path / "cards")
    assert (
        "taus falls to csim: layer 'trees' has no exact integer program: a split on several features at once"
        in caplog.text
    )
    with emulator.load(card.path) as model:
        assert model.engine == "csim"
