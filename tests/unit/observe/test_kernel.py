"""The compiled counting of inputs says what numpy says, number for number."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.detector import L1_LAYOUT
from emulator.engines.compiler import FLAGS, Compiler, NotCompiled, installed, library_of
from emulator.layout import Layout
from monitor.app import counting as app
from monitor.observe.inputs import InputCounter
from monitor.observe.shape import Shape
from tests.unit.observe.crossings import LAYOUT

SHAPES = {
    "toy": Shape(LAYOUT, LAYOUT.width, 1, None),
    "trigger": Shape(L1_LAYOUT, L1_LAYOUT.width, 1, None),
    "plain": Shape(None, 23, 1, None),
}


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    try:
        installed(FLAGS)
    except NotCompiled as error:
        pytest.skip(str(error))
    found = app.counting()
    assert found is not None, "there is a compiler, but the counting was not compiled"
    return found


def drawn(kind: str, shape: Shape, rng: np.random.Generator) -> NDArray[Any]:
    dtype = np.int32 if kind == "int32" else np.int16
    limits = np.iinfo(dtype)
    inputs = rng.integers(-300, 2100, (3000, shape.inputs))
    inputs[:400] = rng.choice([limits.min, limits.min + 1, -1, 0, 1, limits.max - 1, limits.max], (400, shape.inputs))
    inputs *= rng.random(inputs.shape) < 0.7
    return inputs.astype(dtype)


def counted(counter: InputCounter, shape: Shape, inputs: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    counts = {name: np.zeros(size, np.int64) for name, size in shape.arrays().items()}
    counter.count(counts, inputs, np.arange(len(inputs)) % 200)
    return counts


@pytest.mark.parametrize("kind", ["int16", "int32", "strided"])
@pytest.mark.parametrize("name", SHAPES)
def test_it_counts_what_numpy_counts(library: ctypes.CDLL, name: str, kind: str) -> None:
    shape = SHAPES[name]
    inputs = drawn(kind, shape, np.random.default_rng(3))
    inputs = inputs[::3] if kind == "strided" else inputs
    ours, numpys = (counted(counter, shape, inputs) for counter in (InputCounter(shape, library), InputCounter(shape)))
    assert numpys["inputs"].sum() == inputs.size
    wanted = {"inputs", "paired", "pairs", "sums", "products"} | ({"towers"} if shape.mapped else set())
    assert {each for each in numpys if numpys[each].any()} == wanted
    for each, values in numpys.items():
        assert (ours[each] == values).all(), each


def test_counts_add_to_what_is_there(library: ctypes.CDLL) -> None:
    shape = SHAPES["toy"]
    inputs = drawn("int16", shape, np.random.default_rng(4))
    counter = InputCounter(shape, library)
    counts = counted(counter, shape, inputs)
    once = {name: values.copy() for name, values in counts.items()}
    counter.count(counts, inputs, np.arange(len(inputs)) % 200)
    assert all((counts[name] == 2 * once[name]).all() for name in once)


def test_nothing_is_counted_of_no_events(library: ctypes.CDLL) -> None:
    shape = SHAPES["toy"]
    counts = counted(InputCounter(shape, library), shape, np.zeros((0, shape.inputs), np.int16))
    assert not any(values.any() for values in counts.values())


def test_a_score_that_is_missing_is_refused_before_the_machine_code_reads_beyond(library: ctypes.CDLL) -> None:
    shape = SHAPES["plain"]
    counts = {name: np.zeros(size, np.int64) for name, size in shape.arrays().items()}
    with pytest.raises(ValueError, match=r"5 events have score bins \(4,\)"):
        InputCounter(shape, library).count(counts, np.zeros((5, shape.inputs), np.int16), np.zeros(4, np.int64))


def test_inputs_of_another_type_are_left_to_numpy(library: ctypes.CDLL) -> None:
    shape = SHAPES["plain"]
    inputs = drawn("int16", shape, np.random.default_rng(5))
    for other in (inputs.astype(inputs.dtype.newbyteorder()), inputs.astype(np.int64)):
        ours = counted(InputCounter(shape, library), shape, other)
        assert (ours["inputs"] == counted(InputCounter(shape), shape, inputs)["inputs"]).all()


def test_without_a_compiler_numpy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    installed.cache_clear()
    app.counting.cache_clear()
    try:
        assert app.counting() is None
    finally:
        monkeypatch.undo()
        installed.cache_clear()
        app.counting.cache_clear()


def test_a_model_without_objects_in_a_map_has_no_towers(library: ctypes.CDLL) -> None:
    shape = Shape(Layout(LAYOUT.groups[:1]), LAYOUT.groups[0].stop, 1, None)
    inputs = drawn("int16", shape, np.random.default_rng(6))
    ours, numpys = (counted(counter, shape, inputs) for counter in (InputCounter(shape, library), InputCounter(shape)))
    assert all((ours[name] == numpys[name]).all() for name in numpys)


@pytest.mark.usefixtures("library")
def test_another_kind_of_processor_gets_a_library_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache in a home directory may be shared: code for this processor would end a daemon on an older one."""
    found: list[Path] = []

    def noted(sources: Mapping[str, bytes], **wanted: Any) -> Path:
        found.append(library_of(sources, **wanted))
        return found[-1]

    monkeypatch.setattr(app, "library_of", noted)
    for macro in ("__AVX512F__", "__SSE2__"):
        monkeypatch.setattr(Compiler, "defined", lambda _, macro=macro: {macro: "1"})
        app.counting.cache_clear()
        assert app.counting() is not None
    app.counting.cache_clear()
    assert len(set(found)) == 2
