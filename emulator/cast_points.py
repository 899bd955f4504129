"""Where a program casts: the exact values just before each cast, recomputed from the trace of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format, Raw
from emulator.graph import Dense, Dot, Layer, Merge, Program, Quantiser, Scale, Softmax, Tensor


@dataclass(frozen=True, slots=True, eq=False)
class CastPoint:
    """Values (n, elements) about to be cast into `formats`, one after the other.

    The physical value is values * 2**-fraction. float64 is enough for a search: it is no proof.
    """

    values: NDArray[np.float64]
    fraction: int
    formats: tuple[Format, ...]


def cast_points(program: Program, traced: list[tuple[str, Raw]], pool: Raw) -> Iterator[CastPoint]:
    """Yield the values before every cast in the program, as far as they can be told from the trace."""
    tensors = program.tensors()
    values: dict[str, Raw] = {}
    column = 0
    for tensor in program.inputs:
        values[tensor.name] = pool[:, column : column + tensor.size]
        column += tensor.size
    for layer, (_, output) in zip(program.layers, traced, strict=True):
        sources = [values[name].astype(np.float64) for name in layer.sources]
        yield _point(layer, sources, [tensors[name] for name in layer.sources])
        values[layer.output.name] = output.reshape(len(pool), -1)


def _point(layer: Layer, sources: Sequence[NDArray[np.float64]], tensors: Sequence[Tensor]) -> CastPoint:
    x, fraction = sources[0], tensors[0].format.fraction
    values = x
    formats: tuple[Format, ...] = (layer.output.format,)
    match layer:
        case Dense():
            fraction += layer.weight_format.fraction
            sums = _gathered(x, layer.gather) @ layer.weights.astype(np.float64)
            sums += layer.bias * 2.0 ** (fraction - layer.bias_format.fraction)
            values, formats = sums.reshape(len(x), -1), (layer.accumulator, *formats)
        case Scale():
            fraction += layer.factor_format.fraction
            repeats = -(-x.shape[1] // len(layer.factor))
            factor, bias = (np.tile(part, repeats)[: x.shape[1]] for part in (layer.factor, layer.bias))
            values = x * factor + bias * 2.0 ** (fraction - layer.bias_format.fraction)
        case Dot():
            fraction += tensors[1].format.fraction
            a, b = (
                part[:, None] if gather is None else part[:, gather]
                for part, gather in ((x, layer.left), (sources[1], layer.right))
            )
            values, formats = (a * b).sum(axis=2), (layer.accumulator, *formats)
        case Quantiser():
            formats = tuple(fmt for fmt in layer.groups() if fmt is not None)
        case Merge():
            values, fraction = _merged(layer, sources, tensors)
        case Softmax():
            rows = x.reshape(len(x), layer.outer, layer.slices, layer.inner)
            values = (rows.max(axis=2, keepdims=True) - rows).reshape(len(x), -1)
            formats = (layer.norm_format,) if layer.norm_format is not None else formats
    return CastPoint(values, fraction, formats)


def _merged(
    layer: Merge, sources: Sequence[NDArray[np.float64]], tensors: Sequence[Tensor]
) -> tuple[NDArray[np.float64], int]:
    """Return the joined values and their fraction bits."""
    a, b = sources
    width = max(a.shape[1], b.shape[1])
    a, b = (np.tile(part, (1, -(-width // part.shape[1])))[:, :width] for part in (a, b))
    left, right = (tensor.format.fraction for tensor in tensors)
    if layer.operation == "multiply":
        return a * b, left + right
    fraction = max(left, right)
    a, b = a * 2.0 ** (fraction - left), b * 2.0 ** (fraction - right)
    both = {"subtract": a - b, "maximum": np.maximum(a, b), "minimum": np.minimum(a, b)}.get(layer.operation, a + b)
    return both, fraction + (layer.operation == "average")


def _gathered(x: NDArray[np.float64], gather: Raw | None) -> NDArray[np.float64]:
    if gather is None:
        return x
    padded = np.concatenate([x, np.zeros((len(x), 1))], axis=1)  # -1 reads the zero behind the last element
    return np.asarray(padded[:, gather])
