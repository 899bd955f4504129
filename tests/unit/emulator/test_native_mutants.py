"""The native engine's proof has teeth: each of these faults in its C++ or its generator shows in the scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from emulator.directed import directed_inputs
from emulator.engines.gemm import GemmEngine
from emulator.engines.native import engine as native
from emulator.engines.native.engine import NativeEngine
from emulator.engines.native.source import write_sources
from emulator.formats import Format, Overflow, Raw, Rounding
from emulator.graph import Cast, Dense, Program, Rectifier, Softmax, Tensor

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

fmt = Format.parse

# What to write instead of what, in which file.
MUTANTS = {
    "SAT for SAT_SYM": ("lanes.h", "S(-high - (MODE != SAT_SYM))", "S(-high - 1)"),
    "SAT_SYM for SAT": ("lanes.h", "S(-high - (MODE != SAT_SYM))", "S(-high)"),
    "a cap one too high": ("lanes.h", "capped = v > high ? most + high : v", "capped = v > high ? most + high + 1 : v"),
    "SAT for SAT_ZERO": ("lanes.h", "(v > high) | (v < low) ? v & S(0) : v", "v > high ? (v & S(0)) + high : v"),
    "no wrap": ("lanes.h", "return T(v << (bits - WIDTH)) >> (bits - WIDTH);", "return v;"),
    "TRN for RND": ("lanes.h", "return floor + ((v >> (DROP - 1)) & S(1));", "return floor;"),
    "RND for RND_CONV": ("lanes.h", "(tie & floor & S(1))", "tie"),
    "ties down for RND_INF": ("lanes.h", "(tie & E::one_where(v >= S(0)))", "(tie & S(0))"),
    "ties up for RND_ZERO": ("lanes.h", "(tie & E::one_where(v < S(0)))", "tie"),
    "TRN for TRN_ZERO": ("lanes.h", "(E::one_where(v < S(0)) & E::one_where(rest != S(0)))", "(tie & S(0))"),
    "one event of a block swapped": (
        "lanes.h",
        "left[l] = l & s ? l - s + L : l;",
        "left[l] = l & s ? l - s + L : l ^ 1;",
    ),
    "an accumulator that forgets its bias": ("sums.h", "(HEAD ? Sum(0) : bias[b])", "Sum(0)"),
    "digits shifted by one too few": (
        "sums.h",
        "(sum[b][a] << SHIFT) + bias[b]",
        "(sum[b][a] << (SHIFT - 1)) + bias[b]",
    ),
    "an input's offset forgotten": ("sums.h", "row.at[e] - S(OFFSET)", "row.at[e]"),
    "whole terms forgotten": ("sums.h", "t < start[first + b + 1]", "t < start[first + b]"),
    "no limit between steps": (
        "sums.h",
        "return limited<OVER, WIDTH, SIGNED>(simd<T>(sum + limited<OVER, WIDTH, SIGNED>(product)));",
        "return sum + limited<OVER, WIDTH, SIGNED>(product);",
    ),
    "products not limited": (
        "sums.h",
        "simd<T>(sum + limited<OVER, WIDTH, SIGNED>(product))",
        "simd<T>(sum + product)",
    ),
    "products rounded after the sum only": (
        "sums.h",
        "return sum + rounded<DROP, MODE>(simd<T>(x * w));",
        "return sum + x * w;",
    ),
    "a tree of sums that takes its left half twice": (
        "elements.h",
        "join(terms[0][e], terms[left][e])",
        "join(terms[0][e], terms[0][e])",
    ),
    "softmax of the last element, not the largest": (
        "elements.h",
        "most[e] = v > most[e] ? v : most[e];",
        "most[e] = v;",
    ),
}


def network() -> Program:
    """Every step of the kernels once, and every rounding and overflow mode."""
    generator = np.random.default_rng(2)
    narrow, offset, wide = (
        Tensor(name, (17,), fmt(spelling))
        for name, spelling in (("n", "ap_fixed<9,4>"), ("o", "ap_ufixed<16,6>"), ("w", "ap_fixed<20,8>"))
    )
    sums = {
        "pairs": (narrow, "ap_fixed<30,16>"),
        "offset": (offset, "ap_fixed<32,14>"),
        "digits": (wide, "ap_fixed<32,12>"),
        "high": (narrow, "ap_fixed<14,9>"),
        "cut": (narrow, "ap_fixed<22,16,AP_RND,AP_WRAP>"),
        "wrapping": (narrow, "ap_fixed<13,5>"),
        "limited": (narrow, "ap_fixed<8,4,AP_TRN,AP_SAT>"),
    }
    weight = fmt("ap_fixed<10,2>")
    dense = [
        Dense(
            name=name,
            sources=(source.name,),
            output=Tensor(name, (3,), fmt("ap_fixed<26,16>")),
            weights=generator.integers(-512, 512, (17, 3)),
            weight_format=weight,
            bias=generator.integers(-300, 300, 3),
            bias_format=weight,
            accumulator=fmt(accumulator),
            order=np.arange(17),
        )
        for name, (source, accumulator) in sums.items()
    ]
    casts = [
        Cast(
            f"c{rounding}{overflow}",
            ("n",),
            Tensor(f"c{rounding}{overflow}", (17,), Format(True, 6, 3, rounding, overflow)),
        )
        for rounding in Rounding
        for overflow in Overflow
    ]
    table = fmt("ap_fixed<12,4>")
    softmax = Softmax(
        name="softmax",
        sources=("n",),
        output=Tensor("softmax", (17,), fmt("ap_fixed<16,6>")),
        method="stable",
        outer=1,
        slices=17,
        inner=1,
        exp_table=np.rint(2**8 * np.exp(-np.arange(512) / 32)).astype(np.int64),
        exp_format=table,
        inv_table=np.rint(2**10 / (1 + np.arange(512) / 64)).astype(np.int64),
        inv_format=table,
        norm_format=fmt("ap_ufixed<10,5>"),
        accumulator=fmt("ap_fixed<14,6>"),
        sum_format=fmt("ap_ufixed<10,4>"),
    )
    slope = fmt("ap_fixed<6,2>")
    leaky = Rectifier("leaky", ("n",), Tensor("leaky", (17,), fmt("ap_fixed<12,6>")), 0, slope, np.array([5]), slope)
    layers = (*dense, *casts, softmax, leaky)
    return Program((narrow, offset, wide), layers, tuple(layer.output.name for layer in layers))


@pytest.fixture(scope="module")
def judged() -> tuple[Program, Raw, Raw]:
    """The program, its directed inputs four times over, so that whole blocks of events are full, and their scores."""
    program = network()
    gemm = GemmEngine(program)
    low = np.repeat([tensor.format.low for tensor in program.inputs], 17)
    high = np.repeat([tensor.format.high for tensor in program.inputs], 17)
    raw = directed_inputs(program, gemm, low=low, high=high, rng=np.random.default_rng(1)).astype(np.int32)
    return program, raw, gemm.score(raw)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., NativeEngine]:
    """Build the engine with what `change` makes of its C++; quickly, not for speed."""
    monkeypatch.setattr(native, "FLAGS", ("-O1", *native.FLAGS[1:]))

    def build(program: Program, change: Callable[[Mapping[str, bytes]], dict[str, bytes]]) -> NativeEngine:
        monkeypatch.setattr(native, "write_sources", lambda program, target: change(write_sources(program, target)))
        return NativeEngine(program, cache=tmp_path)

    return build


def test_the_engine_without_a_fault_gives_every_score(
    judged: tuple[Program, Raw, Raw], built: Callable[..., NativeEngine]
) -> None:
    program, raw, scores = judged
    assert np.array_equal(built(program, dict).score(raw), scores)


@pytest.mark.parametrize("name", MUTANTS)
def test_every_fault_shows(name: str, judged: tuple[Program, Raw, Raw], built: Callable[..., NativeEngine]) -> None:
    program, raw, scores = judged
    file, right, wrong = MUTANTS[name]

    def spoilt(sources: Mapping[str, bytes]) -> dict[str, bytes]:
        text = sources[file].decode()
        assert right in text
        return {**sources, file: text.replace(right, wrong).encode()}

    assert (built(program, spoilt).score(raw) != scores).any()
