"""Packed values: canonical, complete, and refused when damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emulator.pack import Unreadable, pack, unpack

ARRAYS = st.dictionaries(
    st.text(max_size=8),
    hnp.arrays(st.sampled_from([np.int64, np.uint16, np.float32, np.bool_]), hnp.array_shapes(min_dims=0, min_side=0)),
    max_size=4,
)
NAMES = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8) | st.none(), max_size=4)


@given(names=NAMES, arrays=ARRAYS)
def test_what_is_packed_comes_back(names, arrays):
    read_names, read_arrays = unpack(pack(names, arrays))
    assert read_names == names
    assert read_arrays.keys() == arrays.keys()
    for key, value in arrays.items():
        assert read_arrays[key].dtype == value.dtype
        np.testing.assert_array_equal(read_arrays[key], value)


def test_equal_content_gives_equal_bytes_in_any_order_and_memory_layout():
    left = pack({"b": 1, "a": 2}, {"y": np.arange(6).reshape(2, 3), "x": np.ones(2)})
    right = pack({"a": 2, "b": 1}, {"x": np.ones(2), "y": np.asfortranarray(np.arange(6).reshape(2, 3))})
    assert left == right


@given(st.data())
def test_cut_or_alien_bytes_are_refused_with_a_reason(data):
    whole = pack({"a": 1}, {"x": np.arange(5)})
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Unreadable):
        unpack(whole[:cut])
    with pytest.raises(Unreadable):
        unpack(whole + b"x")


def test_arrays_of_objects_are_refused():
    whole = pack({}, {"x": np.arange(1)}).replace(b'"<i8"', b'"|O8"')
    with pytest.raises(Unreadable):
        unpack(whole)


def test_arrays_that_come_back_can_be_written_to():
    _, arrays = unpack(pack({}, {"x": np.arange(3)}))
    arrays["x"][0] = 7
    assert arrays["x"][0] == 7
