from pathlib import Path

import numpy as np
import pytest

from emulator.abi.buffer import Buffer
from emulator.abi.cpptype import NotSupported, parse
from emulator.formats import Format

VECTORS = Path(__file__).parents[5] / "shared" / "data" / "vectors"
PAIR = "std::pair<std::array<ap_fixed<10,7>,8>,ap_ufixed<18,14>>"


def test_the_axol1tl_result_is_eight_shorts_and_a_word_at_byte_sixteen() -> None:
    stored = np.zeros((1, 20), np.uint8)
    stored[0, :16].view(np.int16)[:] = [-512, 511, -1, 0, 1, 2, 3, 4]
    stored[0, 16:].view(np.uint32)[:] = 2**18 - 1
    output = Buffer("output", parse(PAIR), columns=("second", "first"))
    assert output.bytes == 20
    assert output.raw(stored).tolist() == [[2**18 - 1, -512, 511, -1, 0, 1, 2, 3, 4]]
    assert [(tensor.name, tensor.shape) for tensor in output.tensors] == [("second", (1,)), ("first", (8,))]


@pytest.mark.shared
@pytest.mark.skipif(not VECTORS.is_dir(), reason=f"needs the recorded vectors in {VECTORS}")
@pytest.mark.parametrize("version", ["GTADModel_v3", "GTADModel_v4"])
def test_recorded_results_of_real_emulators_are_latents_and_the_sum_of_their_squares(version: str) -> None:
    """The firmware casts each square to the type of the loss before it adds: two bits are dropped."""
    stored = np.ascontiguousarray(np.load(VECTORS / f"{version}.npz")["y"])
    raw = Buffer("output", parse(PAIR), columns=("second", "first")).raw(stored)
    assert len(np.unique(raw[:, 0])) > 100
    assert (raw[:, 0] == (raw[:, 1:] ** 2 >> 2).sum(axis=1)).all()


def test_fewer_columns_than_fields_may_be_wanted() -> None:
    assert [t.name for t in Buffer("output", parse(PAIR), columns=("second",)).tensors] == ["second"]


@pytest.mark.parametrize(
    ("spelling", "length"),
    [("ap_fixed<18,13>", 5), (PAIR, 3), ("std::array<std::array<ap_uint<9>,2>,3>", 2), ("ap_int<40>", 1)],
)
def test_what_is_stored_is_read_back(spelling: str, length: int) -> None:
    buffer = Buffer("input", parse(spelling), length)
    low = np.concatenate([np.full(t.size, t.format.low) for t in buffer.tensors])
    high = np.concatenate([np.full(t.size, t.format.high) for t in buffer.tensors])
    raw = np.random.default_rng(1).integers(low, high, (50, len(low)), endpoint=True)
    raw[:2] = low, high
    stored = buffer.store(raw)
    assert stored.shape == (50, buffer.bytes)
    assert (buffer.raw(stored) == raw).all()


def test_padding_is_no_value() -> None:
    kind = parse("std::pair<ap_uint<3>,ap_int<40>>")
    assert np.flatnonzero(~Buffer("output", kind).written).tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_recorded_format_keeps_the_value() -> None:
    taken = Buffer("input", parse("ap_fixed<18,13>"), 2, recorded=Format.parse("ap_int<9>"))
    assert taken.store(np.array([[3, -4]])).view(np.int32).tolist() == [[3 << 5, -4 << 5]]
    given = Buffer("output", parse("ap_ufixed<16,12>"), 2, recorded=Format.parse("ap_ufixed<20,12>"))
    assert given.raw(np.array([[1, 65535]], np.uint16).view(np.uint8)).tolist() == [[16, 65535 << 4]]


def test_a_field_that_is_not_there_is_named() -> None:
    with pytest.raises(NotSupported, match="the output has no field 'third', only first, second"):
        Buffer("output", parse(PAIR), columns=("third",))
    with pytest.raises(NotSupported, match="named twice"):
        Buffer("output", parse(PAIR), columns=("first", "first"))
    with pytest.raises(NotSupported, match="several fields"):
        Buffer("output", parse(PAIR), recorded=Format.parse("ap_int<9>"))


@pytest.mark.parametrize("length", [0, -1, 65_537])
def test_a_length_that_no_emulator_has_is_refused(length: int) -> None:
    with pytest.raises(NotSupported, match=f"has 1 to 65536 elements, not {length}"):
        Buffer("input", parse("int"), length)
