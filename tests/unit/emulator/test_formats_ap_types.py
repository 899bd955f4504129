"""The casts of `emulator.formats` against the ap_types headers that hls4ml compiles its own simulation with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emulator.engines.native.engine import NativeEngine
from emulator.formats import Format, Overflow, Raw, Rounding, cast, quantise
from emulator.graph import Cast, Program, Tensor
from tests.ap_types import answers

pytestmark = pytest.mark.csim

SOURCES = ["ap_fixed<12,6>", "ap_ufixed<9,3>", "ap_fixed<7,-3>", "ap_fixed<24,1>", "ap_int<9>"]
SHAPES = [(True, 8, 4), (False, 8, 4), (True, 5, 6), (False, 6, 8), (True, 9, -2), (True, 2, 2)]
TARGETS = [Format(*shape, rounding, overflow) for shape in SHAPES for rounding in Rounding for overflow in Overflow]
INTEGER_TARGETS = ["ap_int<6>", "ap_uint<5>"]

PROGRAM = """
#include <cstdio>
#include <cstring>
#include "ap_fixed.h"
#include "ap_int.h"
template <class F, class T> void column(const long long *raw, int n) {
    for (int i = 0; i < n; i++) {
        F from; from.V = raw[i];
        T to = from;
        long long result = to.V;
        fwrite(&result, 8, 1, stdout);
    }
}
template <class T> void doubles(const double *values, int n) {
    for (int i = 0; i < n; i++) {
        T to = values[i];
        long long result = to.V;
        fwrite(&result, 8, 1, stdout);
    }
}
%(tables)s
int main() {
%(calls)s
}
"""


def raws_of(source: Format, generator: np.random.Generator) -> Raw:
    edges = [source.low, source.low + 1, -1, 0, 1, source.high - 1, source.high]
    powers = [sign * (1 << bit) + step for bit in range(source.width - 1) for sign in (1, -1) for step in (-1, 0, 1)]
    inside = [raw for raw in {*edges, *powers} if source.low <= raw <= source.high]
    return np.concatenate([np.array(sorted(inside)), generator.integers(source.low, source.high, 100, endpoint=True)])


def targets_of(source: str) -> list[str]:
    """ap_int rounds sources without integer bits in a way of its own (-1 for every negative value): left out."""
    return [*map(str, TARGETS), *(INTEGER_TARGETS if Format.parse(source).integer > 0 else ())]


def doubles(generator: np.random.Generator) -> np.ndarray:
    ties = np.arange(-40, 41) / 32
    return np.concatenate([ties, [0.0, 1e-30, -1e-30, 1e30, -1e30, np.inf, -np.inf], generator.normal(0, 20, 60)])


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """What g++ and the headers say, all casts one behind the other."""
    return answers(program(), tmp_path_factory.mktemp("ap_types"))


def program() -> str:
    generator = np.random.default_rng(1)
    tables, calls = [], []
    for number, source in enumerate(SOURCES):
        raws = raws_of(Format.parse(source), generator)
        tables.append(f"static const long long raw{number}[] = {{{','.join(f'{raw}LL' for raw in raws)}}};")
        calls += [f"    column<{source}, {target}>(raw{number}, {len(raws)});" for target in targets_of(source)]
    values = doubles(generator)
    spelled = ",".join("1.0/0.0" if v == np.inf else "-1.0/0.0" if v == -np.inf else repr(float(v)) for v in values)
    tables.append(f"static const double values[] = {{{spelled}}};")
    calls += [f"    doubles<{target}>(values, {len(values)});" for target in TARGETS]
    return PROGRAM % {"tables": "\n".join(tables), "calls": "\n".join(calls)}


def test_every_rounding_and_overflow_mode_casts_as_ap_fixed_does(expected: Raw) -> None:
    generator = np.random.default_rng(1)
    ours, labels = [], []
    for source, raws in [(s, raws_of(Format.parse(s), generator)) for s in SOURCES]:
        for target in map(Format.parse, targets_of(source)):
            ours.append(cast(raws, Format.parse(source).fraction, target))
            labels += [f"{source} -> {target} of {raw}" for raw in raws]
    mine = np.concatenate(ours)
    theirs = expected[: len(mine)]
    wrong = np.flatnonzero(mine != theirs)
    assert len(mine) >= 100_000
    assert not [(labels[i], int(mine[i]), int(theirs[i])) for i in wrong[:10]]


def test_the_native_engine_casts_as_ap_fixed_does(expected: Raw, tmp_path: Path) -> None:
    generator, done = np.random.default_rng(1), 0
    for source, raws in [(s, raws_of(Format.parse(s), generator)) for s in SOURCES]:
        x = Tensor("x", (1,), Format.parse(source))
        layers = tuple(
            Cast(f"c{i}", ("x",), Tensor(f"y{i}", (1,), Format.parse(target)))
            for i, target in enumerate(targets_of(source))
        )
        engine = NativeEngine(Program((x,), layers, tuple(layer.output.name for layer in layers)), cache=tmp_path)
        mine = engine.score(raws[:, None]).T
        theirs = expected[done : done + mine.size].reshape(mine.shape)
        wrong = np.argwhere(mine != theirs)
        assert not [
            (source, targets_of(source)[i], int(raws[j]), int(mine[i, j]), int(theirs[i, j])) for i, j in wrong[:5]
        ]
        done += mine.size
    assert done >= 100_000


def test_every_double_is_quantised_as_the_constructor_from_double_does(expected: Raw) -> None:
    generator = np.random.default_rng(1)
    for source in SOURCES:
        raws_of(Format.parse(source), generator)
    values = doubles(generator)
    theirs = expected[-len(values) * len(TARGETS) :].reshape(len(TARGETS), len(values))
    for target, row in zip(TARGETS, theirs, strict=True):
        mine = quantise(values, target)
        wrong = np.flatnonzero(mine != row)
        assert not [(str(target), values[i], int(mine[i]), int(row[i])) for i in wrong[:5]]


def test_the_quick_build_of_csim_casts_the_same(expected: Raw, tmp_path: Path) -> None:
    assert (answers(program(), tmp_path, quick=True) == expected).all()
