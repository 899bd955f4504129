"""Ensembles of decision trees: both engines against a walk from node to node in plain Python."""

from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emulator.engines.compiler import NotCompiled
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Format, Raw, cast, limited
from emulator.graph import Program, Tensor, Trees
from emulator.graph.trees import completed
from emulator.tree_paths import at_thresholds

fmt = Format.parse
FEATURES = 5


def ensemble(source: str, score: str, *, threshold: str, inclusive: bool, depth: int = 3, outputs: int = 2) -> Program:
    rng = np.random.default_rng(depth)
    x, held, scored = Tensor("x", (FEATURES,), fmt(source)), fmt(threshold), fmt(score)
    trees, nodes = 3 * outputs + 1, (1 << depth) - 1
    layer = Trees(
        name="trees",
        sources=("x",),
        output=Tensor("y", (outputs,), scored),
        feature=rng.integers(0, FEATURES, (trees, nodes)),
        threshold=rng.integers(held.low // 2, held.high // 2, (trees, nodes)),
        threshold_format=held,
        value=rng.integers(scored.low, scored.high, (trees, nodes + 1), endpoint=True),
        owner=np.arange(trees) % outputs,
        start=rng.integers(scored.low, scored.high, outputs),
        inclusive=inclusive,
    )
    return Program((x,), (layer,), ("y",))


def walked(layer: Trees, row: list[int], lsb: Fraction) -> list[int]:
    """The scores of one event, a node and a sum at a time."""
    fmt, unit = layer.output.format, Fraction(2) ** -layer.threshold_format.fraction
    leaves: list[list[int]] = [[] for _ in range(layer.output.size)]
    for tree in range(len(layer.value)):
        node = 0
        while node < layer.feature.shape[1]:
            element = row[layer.feature[tree, node]] * lsb
            against = int(layer.threshold[tree, node]) * unit
            left = element <= against if layer.inclusive else element < against
            node = 2 * node + (1 if left else 2)
        leaves[layer.owner[tree]].append(int(layer.value[tree, node - layer.feature.shape[1]]))

    def reduced(terms: list[int]) -> int:
        if len(terms) == 1:
            return terms[0]
        half = 1 << ((len(terms) - 1).bit_length() - 1)
        return int(limited(np.array(reduced(terms[:half]) + reduced(terms[half:])), fmt))

    return [int(limited(np.array(int(s) + reduced(t)), fmt)) for s, t in zip(layer.start, leaves, strict=True)]


CASES = [
    ("ap_fixed<12,6>", "ap_fixed<16,6>", "ap_fixed<12,6>", True, 3),
    ("ap_fixed<12,6>", "ap_fixed<9,3,AP_TRN,AP_SAT>", "ap_fixed<14,6>", False, 4),
    ("ap_fixed<16,6>", "ap_fixed<16,6>", "ap_fixed<10,6>", False, 2),
    ("ap_ufixed<16,6>", "ap_fixed<30,6>", "ap_fixed<20,10>", True, 1),
    ("ap_fixed<40,20>", "ap_fixed<18,8,AP_TRN,AP_SAT_SYM>", "ap_fixed<40,20>", False, 6),
]


def inputs(program: Program) -> Raw:
    rng = np.random.default_rng(9)
    low, high = np.full(FEATURES, program.inputs[0].format.low), np.full(FEATURES, program.inputs[0].format.high)
    return np.concatenate([at_thresholds(program, low, high, rng), rng.integers(low, high, (300, FEATURES))])


@pytest.mark.parametrize(("source", "score", "threshold", "inclusive", "depth"), CASES)
def test_both_engines_walk_and_add_as_one_node_at_a_time_does(
    source: str, score: str, threshold: str, inclusive: bool, depth: int, tmp_path: Path
) -> None:
    program = ensemble(source, score, threshold=threshold, inclusive=inclusive, depth=depth)
    (layer,) = program.layers
    assert isinstance(layer, Trees)
    raw, lsb = inputs(program), Fraction(2) ** -program.inputs[0].format.fraction
    expected = [walked(layer, row, lsb) for row in raw.tolist()]
    assert GemmEngine(program).score(raw).tolist() == expected
    if shutil.which("g++") is not None:
        assert NativeEngine(program, cache=tmp_path).score(raw).tolist() == expected


def test_every_threshold_is_met_exactly_and_one_above() -> None:
    program = ensemble("ap_fixed<12,6>", "ap_fixed<16,6>", threshold="ap_fixed<12,6>", inclusive=True)
    (layer,) = program.layers
    assert isinstance(layer, Trees)
    raw = inputs(program)
    right = GemmEngine(program).score(raw)
    missed = 0
    for tree, node in np.ndindex(layer.threshold.shape):
        moved = layer.threshold.copy()
        moved[tree, node] += 1
        wrong = Program(program.inputs, (dataclasses.replace(layer, threshold=moved),), ("y",))
        missed += bool((GemmEngine(wrong).score(raw) == right).all())
    # A node that its ancestors make unreachable moves nothing.
    assert missed < layer.threshold.size / 4


@pytest.mark.parametrize(
    ("field", "value"),
    [("feature", FEATURES), ("feature", -1), ("owner", 2), ("owner", -1)],
)
def test_trees_that_look_outside_are_refused(field: str, value: int, tmp_path: Path) -> None:
    program = ensemble("ap_fixed<12,6>", "ap_fixed<16,6>", threshold="ap_fixed<12,6>", inclusive=True)
    (layer,) = program.layers
    numbers = getattr(layer, field).copy()
    numbers.flat[0] = value
    broken = Program(program.inputs, (dataclasses.replace(layer, **{field: numbers}),), ("y",))
    for engine in (GemmEngine, lambda program: NativeEngine(program, cache=tmp_path)):
        with pytest.raises(ValueError, match="a tree"):
            engine(broken)


def test_an_output_without_a_tree_is_refused() -> None:
    program = ensemble("ap_fixed<12,6>", "ap_fixed<16,6>", threshold="ap_fixed<12,6>", inclusive=True)
    alone = dataclasses.replace(program.layers[0], owner=np.zeros(7, np.int64))
    with pytest.raises(ValueError, match="a tree is missing for some of the 2 outputs"):
        GemmEngine(Program(program.inputs, (alone,), ("y",)))


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_very_deep_trees_are_left_to_gemm_by_name(tmp_path: Path) -> None:
    program = ensemble("ap_fixed<12,6>", "ap_fixed<16,6>", threshold="ap_fixed<12,6>", inclusive=True, depth=11)
    with pytest.raises(NotCompiled, match="trees of depth 11 are too deep"):
        NativeEngine(program, cache=tmp_path)
    assert GemmEngine(program).score(inputs(program)[:5]).shape == (5, 2)


def test_a_leaf_above_the_last_level_is_reached_from_everywhere_below_it() -> None:
    nodes = [(1, 40, 1, 2, 0), (0, 0, -1, -1, 7), (2, -3, 3, 4, 0), (0, 0, -1, -1, 8), (0, 0, -1, -1, 9)]
    feature, threshold, value = completed(nodes, 3)
    assert (feature[0], threshold[0], feature[2], threshold[2]) == (1, 40, 2, -3)
    assert value.tolist() == [7, 7, 7, 7, 8, 8, 9, 9]
    with pytest.raises(ValueError, match="deeper than 1"):
        completed(nodes, 1)


def test_a_threshold_between_two_raw_numbers_means_the_same_for_both_comparisons() -> None:
    program = ensemble("ap_fixed<8,6>", "ap_fixed<16,6>", threshold="ap_fixed<12,6>", inclusive=True)
    (layer,) = program.layers
    assert isinstance(layer, Trees)
    strict = dataclasses.replace(layer, inclusive=False)
    between = (layer.threshold & 15) != 0
    assert (layer.limits(2)[between] == strict.limits(2)[between]).all()
    assert (layer.limits(2)[~between] == strict.limits(2)[~between] + 1).all()
    assert (layer.limits(2) == cast(layer.threshold, 6, fmt("ap_fixed<60,58>"))).all()
