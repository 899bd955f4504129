"""Sums, differences, products and step-by-step accumulation of both engines against the ap_types headers of hls4ml."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Format, Overflow, Raw, Rounding
from emulator.graph import Dot, Merge, Program, Tensor
from tests.ap_types import answers

pytestmark = pytest.mark.csim

PAIRS = [("ap_fixed<12,6>", "ap_fixed<9,2>"), ("ap_ufixed<9,3>", "ap_fixed<7,-3>")]
SHAPES = [(True, 10, 5), (False, 9, 4)]
TARGETS = [Format(*shape, rounding, overflow) for shape in SHAPES for rounding in Rounding for overflow in Overflow]
SIGNS = {"add": "+", "subtract": "-", "multiply": "*"}
DRAWN = 240
LENGTH = 3

PROGRAM = """
#include <cstdio>
#include "ap_fixed.h"
static void say(long long result) { fwrite(&result, 8, 1, stdout); }
%(operations)s
template <class F, class G, class T> void dot(const long long *a, const long long *b, int n) {
    for (int i = 0; i + %(length)d <= n; i += %(length)d) {
        T sum = 0;
        for (int j = 0; j < %(length)d; j++) {
            F x; G y; x.V = a[i + j]; y.V = b[i + j];
            T product = x * y;
            sum += product;
        }
        say(sum.V);
    }
}
%(tables)s
int main() {
%(calls)s
}
"""
OPERATION = """
template <class F, class G, class T> void %(name)s(const long long *a, const long long *b, int n) {
    for (int i = 0; i < n; i++) {
        F x; G y; x.V = a[i]; y.V = b[i];
        T to = x %(sign)s y;
        say(to.V);
    }
}
"""


def drawn(pair: tuple[str, str]) -> tuple[Raw, Raw]:
    """Every two of the edges of both formats, and random ones; a multiple of `LENGTH`."""
    generator, formats = np.random.default_rng(1), [Format.parse(each) for each in pair]
    edges = [sorted({f.low, f.low + 1, -1 if f.signed else 2, 0, 1, f.high - 1, f.high}) for f in formats]
    at_edges = np.array(list(itertools.product(*edges))).T
    inside = np.stack([generator.integers(f.low, f.high, DRAWN, endpoint=True) for f in formats])
    both = np.concatenate([at_edges, inside], axis=1)
    both = both[:, : both.shape[1] // LENGTH * LENGTH]
    return both[0], both[1]


def program() -> str:
    tables, calls = [], []
    for number, pair in enumerate(PAIRS):
        for name, raws in zip("ab", drawn(pair), strict=True):
            tables.append(f"static const long long {name}{number}[] = {{{','.join(f'{raw}LL' for raw in raws)}}};")
        given = f"(a{number}, b{number}, {len(raws)});"
        calls += [f"    {name}<{pair[0]}, {pair[1]}, {t}>{given}" for name in (*SIGNS, "dot") for t in TARGETS]
    operations = "".join(OPERATION % {"name": name, "sign": sign} for name, sign in SIGNS.items())
    return PROGRAM % {
        "operations": operations,
        "length": LENGTH,
        "tables": "\n".join(tables),
        "calls": "\n".join(calls),
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Raw:
    """What g++ and the headers say: pair by pair, operation by operation, target by target."""
    return answers(program(), tmp_path_factory.mktemp("operations"))


def merges(pair: tuple[str, str], operation: str) -> Program:
    a, b = (Tensor(name, (1,), Format.parse(f)) for name, f in zip("ab", pair, strict=True))
    layers = tuple(Merge(f"m{i}", ("a", "b"), Tensor(f"m{i}", (1,), t), operation) for i, t in enumerate(TARGETS))
    return Program((a, b), layers, tuple(layer.name for layer in layers))


def dots(pair: tuple[str, str]) -> Program:
    a, b = (Tensor(name, (LENGTH,), Format.parse(f)) for name, f in zip("ab", pair, strict=True))
    layers = tuple(Dot(f"d{i}", ("a", "b"), Tensor(f"d{i}", (1,), t), t) for i, t in enumerate(TARGETS))
    return Program((a, b), layers, tuple(layer.name for layer in layers))


def asked(number: int, operation: str) -> tuple[Program, Raw]:
    """Return the program and its inputs (n, inputs)."""
    a, b = drawn(PAIRS[number])
    if operation == "dot":
        return dots(PAIRS[number]), np.concatenate([a.reshape(-1, LENGTH), b.reshape(-1, LENGTH)], axis=1)
    return merges(PAIRS[number], operation), np.stack([a, b], axis=1)


def test_the_table_is_of_a_hundred_thousand_operations(expected: Raw) -> None:
    steps = sum(len(drawn(pair)[0]) for pair in PAIRS) * len(TARGETS) * (len(SIGNS) + 1)
    assert steps >= 100_000
    rows = [len(asked(number, name)[1]) for number in range(len(PAIRS)) for name in (*SIGNS, "dot")]
    assert len(expected) == sum(rows) * len(TARGETS)
    assert len(np.unique(expected)) > 500


@pytest.mark.parametrize("engine", ["gemm", "native"])
def test_operations_are_those_of_ap_fixed(expected: Raw, engine: str, tmp_path: Path) -> None:
    done, wrong = 0, []
    for number, pair in enumerate(PAIRS):
        for name in (*SIGNS, "dot"):
            made, inputs = asked(number, name)
            runs = GemmEngine(made) if engine == "gemm" else NativeEngine(made, cache=tmp_path)
            mine = runs.score(inputs).T
            theirs = expected[done : done + mine.size].reshape(mine.shape)
            wrong += [
                (pair, name, str(TARGETS[i]), inputs[j].tolist(), int(mine[i, j]), int(theirs[i, j]))
                for i, j in np.argwhere(mine != theirs)[:3]
            ]
            done += mine.size
    assert done == len(expected)
    assert wrong == []


def test_the_quick_build_of_csim_computes_the_same(expected: Raw, tmp_path: Path) -> None:
    assert (answers(program(), tmp_path, quick=True) == expected).all()
