"""The native engine: the same scores as gemm, on every processor that this one can play, or a clear refusal."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emulator.engines import compiler
from emulator.engines.compiler import NotCompiled
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine, target_of
from emulator.formats import Format, Overflow, Raw, Rounding, cast
from emulator.graph import Cast, Concatenate, Dense, Dot, Merge, NotExact, Program, Quantiser, Select, Tensor

fmt = Format.parse

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

SOURCES = ["ap_fixed<8,4>", "ap_ufixed<8,2>", "ap_fixed<16,6>", "ap_ufixed<16,3>", "ap_fixed<20,8>", "ap_fixed<40,20>"]
PROCESSORS = {
    "native": set[str](),
    "x86-64": set[str](),
    "x86-64-v3": {"avx2", "fma", "bmi2"},
    "x86-64-v4": {"avx512bw", "avx512dq", "avx512vl"},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


def flags() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def sums(generator: np.random.Generator, *, every: int) -> Program:
    """Dense layers of every kind of source, weight and accumulator, or every third of them: compiling takes time."""
    inputs = tuple(Tensor(f"x{i}", (9,), fmt(spelling)) for i, spelling in enumerate(SOURCES))
    accumulators = [
        *(
            "ap_fixed<40,20>",
            "ap_fixed<32,16>",
            "ap_fixed<31,16>",
            "ap_ufixed<31,12>",
            "ap_fixed<14,8>",
            "ap_fixed<16,6>",
        ),
        *("ap_ufixed<15,4>", "ap_fixed<24,9,AP_RND_CONV,AP_WRAP>", "ap_fixed<12,5,AP_TRN,AP_SAT>", "ap_fixed<50,30>"),
        *("ap_fixed<13,6,AP_RND_INF,AP_SAT_SYM>", "ap_fixed<20,9,AP_TRN_ZERO,AP_SAT_ZERO>", "ap_fixed<9,5>"),
    ]
    layers: list[Dense] = []
    for row, source in enumerate(inputs):
        for number, spelling in enumerate(accumulators):
            if (row + number) % every:
                continue
            weight = fmt(["ap_fixed<8,2>", "ap_fixed<16,5>", "ap_fixed<12,1>", "ap_fixed<19,9>"][number % 4])
            outputs = int(generator.integers(1, 12))
            gather = generator.integers(-1, 9, (3, 7)) if number % 3 == 1 else None
            n_in = 9 if gather is None else 7
            shape = (outputs,) if gather is None else (3, outputs)
            layers.append(
                Dense(
                    name=f"{source.name}_{number}",
                    sources=(source.name,),
                    output=Tensor(f"{source.name}_{number}", shape, fmt("ap_fixed<24,12,AP_RND,AP_SAT>")),
                    weights=generator.integers(weight.low, weight.high, (n_in, outputs), endpoint=True)
                    >> generator.integers(0, 3),
                    weight_format=weight,
                    bias=generator.integers(-2000, 2000, outputs),
                    bias_format=fmt("ap_fixed<12,6>"),
                    accumulator=fmt(spelling),
                    order=generator.permutation(n_in),
                    gather=gather,
                )
            )
    return Program(inputs, tuple(layers), tuple(layer.output.name for layer in layers))


def casts() -> Program:
    """Every rounding and overflow mode, to fewer and to more bits on both sides of the point."""
    x, wide = Tensor("x", (1,), fmt("ap_fixed<14,6>")), Tensor("w", (1,), fmt("ap_fixed<50,20>"))
    shapes = [(True, 8, 4), (False, 8, 5), (True, 5, 7), (False, 16, 4), (True, 24, 3), (True, 3, 20), (True, 60, 58)]
    layers = tuple(
        Cast(f"{source.name}{i}", (source.name,), Tensor(f"{source.name}{i}", (1,), Format(*shape, rounding, overflow)))
        for source in (x, wide)
        for i, (shape, rounding, overflow) in enumerate(
            (shape, rounding, overflow) for shape in shapes for rounding in Rounding for overflow in Overflow
        )
    )
    return Program((x, wide), layers, tuple(layer.name for layer in layers))


def anything(program: Program, events: int, generator: np.random.Generator) -> Raw:
    """Raw inputs of the whole range and small ones, and both ends."""
    columns = []
    for tensor in program.inputs:
        low, high = tensor.format.low, tensor.format.high
        wide = generator.integers(low, high, (events, tensor.size), endpoint=True)
        small = wide >> generator.integers(0, tensor.format.width, (events, tensor.size))
        ends = np.where(generator.random(wide.shape) < 0.5, low, high)
        kind = generator.integers(0, 3, (events, 1))
        columns.append(np.choose(kind, [wide, small, ends]))
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize("march", PROCESSORS)
def test_sums_and_casts_are_those_of_gemm_on_every_processor(march: str, cache: Path) -> None:
    if not PROCESSORS[march] <= flags():
        pytest.skip(f"this processor cannot play {march}")
    generator = np.random.default_rng(7)
    for program in (sums(generator, every=1 if march == "native" else 3), casts()):
        raw = anything(program, 3001, generator)
        expected, engine = GemmEngine(program).score(raw), NativeEngine(program, march=march, cache=cache)
        wrong = np.flatnonzero((engine.score(raw) != expected).any(axis=0))
        column_of = [layer.name for layer in program.layers for _ in range(layer.output.size)]
        assert not {column_of[column] for column in wrong}
        assert (expected.std(axis=0) > 0).mean() > 0.9


def test_a_processor_is_read_off_the_compilers_macros() -> None:
    wide = {"__AVX2__": "1", "__AVX512BW__": "1", "__AVX512DQ__": "1"}
    assert (target_of({}).register, target_of({"__AVX2__": "1"}).register, target_of(wide).register) == (16, 32, 64)
    assert not target_of(wide | {"__AVXVNNI__": "1"}).bytewise
    assert target_of(wide | {"__AVX512VNNI__": "1"}).bytewise


def small() -> Program:
    """3 inputs of 8 bits; y = 2a - b + c, then halved."""
    x, byte = Tensor("x", (3,), fmt("ap_int<8>")), fmt("ap_int<8>")
    weights, bias, wide = np.array([[2], [-1], [1]]), np.array([1]), fmt("ap_int<16>")
    layer = Dense("sum", ("x",), Tensor("y", (1,), wide), weights, byte, bias, byte, wide, np.arange(3))
    return Program((x,), (layer, Cast("half", ("y",), Tensor("z", (1,), fmt("ap_fixed<10,11>")))), ("z",))


@pytest.fixture(scope="module")
def engine(cache: Path) -> Iterator[NativeEngine]:
    with contextlib.closing(NativeEngine(small(), threads=2, cache=cache)) as made:
        yield made


@pytest.mark.parametrize("events", [0, 1, 63, 64, 65, 20_001])
def test_any_number_of_events_is_scored_by_any_number_of_threads(engine: NativeEngine, events: int) -> None:
    raw = np.random.default_rng(events).integers(-128, 127, (events, 3), endpoint=True)
    assert np.array_equal(engine.score(raw), (2 * raw[:, :1] - raw[:, 1:2] + raw[:, 2:] + 1) >> 1)


@pytest.mark.parametrize(
    "kind", [np.int8, np.int16, np.uint8, np.uint16, np.uint32, np.int32, np.uint64, np.int64, ">i4"]
)
def test_every_integer_type_in_any_order_gives_the_same_scores(engine: NativeEngine, kind: str) -> None:
    raw = np.array([[0, 1, 127], [16, 31, 2]], dtype=kind)
    assert engine.score(raw).tolist() == [[63], [2]]
    assert engine.score(np.asfortranarray(raw)).tolist() == [[63], [2]]


def test_a_trace_has_every_layer_in_order(engine: NativeEngine) -> None:
    trace = engine.trace(np.array([[-128, 3, 127]]))
    assert [(name, values.tolist()) for name, values in trace] == [("sum", [[-131]]), ("half", [[-66]])]


@pytest.mark.parametrize("kind", [np.int16, np.int64, np.uint64])
def test_the_first_input_out_of_range_is_named_with_event_column_and_value(engine: NativeEngine, kind: type) -> None:
    raw = np.zeros((9000, 3), dtype=kind)
    raw[8103, 1], raw[8104, 0] = 128, 129
    with pytest.raises(ValueError, match=r"event 8103, input 1 is 128, its format holds -128 to 127"):
        engine.score(raw)


@pytest.mark.parametrize("raw", [np.zeros(3, dtype=int), np.zeros((2, 4), dtype=int), np.zeros((2, 3))])
def test_a_wrong_shape_or_a_float_is_refused(engine: NativeEngine, raw: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"takes integers \(n, 3\)"):
        engine.score(raw)


def test_a_program_is_compiled_once(cache: Path, engine: NativeEngine) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache.glob("*.so")}
    again = NativeEngine(small(), cache=cache)
    assert again.score(np.array([[1, 2, 3]])).tolist() == engine.score(np.array([[1, 2, 3]])).tolist()
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*.so")} == before


def test_arrays_that_do_not_fit_together_are_refused_before_they_are_compiled(cache: Path) -> None:
    whole = small()
    dense = whole.layers[0]
    assert isinstance(dense, Dense)
    torn = [
        dataclasses.replace(dense, weights=np.zeros((7, 1), np.int64)),
        dataclasses.replace(dense, gather=np.array([[0, 1, 3]])),
        dataclasses.replace(dense, gather=np.array([[0, 1, -2]])),
    ]
    moved = [
        Select("s", ("x",), Tensor("y", (1,), fmt("ap_int<16>")), np.array([3])),
        Concatenate("s", ("x", "x"), Tensor("y", (1,), fmt("ap_int<16>")), np.array([6])),
    ]
    for layer in (*torn, *moved):
        program = Program(whole.inputs, (layer,), ("y",))
        with pytest.raises((ValueError, IndexError)):
            NativeEngine(program, cache=cache)


def test_a_value_beyond_63_bits_is_refused_with_the_layers_name(cache: Path) -> None:
    x = Tensor("x", (2,), fmt("ap_fixed<40,20>"))
    product = Merge("square", ("x", "x"), Tensor("y", (2,), fmt("ap_fixed<60,30>")), "multiply")
    with pytest.raises(NotExact, match=r"'square'.*bits"):
        NativeEngine(Program((x,), (product,), ("y",)), cache=cache)


def test_without_a_compiler_the_message_says_what_to_install(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.installed.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    try:
        with pytest.raises(NotCompiled, match=r"'no-such-compiler' is not installed: install g\+\+"):
            NativeEngine(small(), cache=cache)
    finally:
        compiler.installed.cache_clear()


def test_no_threads_are_refused(cache: Path) -> None:
    with pytest.raises(ValueError, match="0 threads"):
        NativeEngine(small(), threads=0, cache=cache)


def test_every_element_of_a_quantiser_is_cast_by_its_own_format_first(cache: Path) -> None:
    generator = np.random.default_rng(8)
    x, output = Tensor("x", (30,), fmt("ap_fixed<14,6>")), fmt("ap_fixed<20,8,AP_RND,AP_SAT>")
    width, integer, signed = generator.integers(0, 12, 30), generator.integers(-2, 8, 30), generator.integers(0, 2, 30)
    for rounding, overflow in (
        (Rounding.RND, Overflow.WRAP),
        (Rounding.TRN, Overflow.SAT),
        (Rounding.RND_CONV, Overflow.SAT_SYM),
    ):
        layer = Quantiser("q", ("x",), Tensor("y", (30,), output), signed, width, integer, rounding, overflow)
        program = Program((x,), (layer,), ("y",))
        raw = anything(program, 1500, generator)
        expected = np.zeros_like(raw)
        for i in np.flatnonzero(width):
            own = Format(bool(signed[i]), int(width[i]), int(integer[i]), rounding, overflow)
            expected[:, i] = cast(cast(raw[:, i], x.format.fraction, own), own.fraction, output)
        assert np.array_equal(GemmEngine(program).score(raw), expected)
        assert np.array_equal(NativeEngine(program, cache=cache).score(raw), expected)


def test_a_dot_product_adds_in_its_accumulator_step_by_step(cache: Path) -> None:
    x = Tensor("x", (5,), fmt("ap_fixed<9,4>"))
    accumulators = ("ap_fixed<12,6,AP_TRN,AP_SAT>", "ap_fixed<10,5>", "ap_fixed<11,6,AP_RND,AP_SAT_ZERO>")
    layers = tuple(
        Dot(f"d{i}", ("x", "x"), Tensor(f"d{i}", (1,), fmt("ap_fixed<16,8>")), fmt(spelling))
        for i, spelling in enumerate(accumulators)
    )
    program = Program((x,), layers, tuple(layer.name for layer in layers))
    raw = anything(program, 2000, np.random.default_rng(3))
    assert np.array_equal(NativeEngine(program, cache=cache).score(raw), GemmEngine(program).score(raw))
