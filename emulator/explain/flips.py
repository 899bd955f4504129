"""One flipped bit of a stored weight or bias, and what the layer that holds it then writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from emulator.engines.gemm import planned
from emulator.engines.gemm_signal import Signal
from emulator.formats import Format, Raw
from emulator.graph import Dense, Layer, Program, Scale, Tensor


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one stored number.

    Attributes
    ----------
    layer
        Name of the layer that holds the number.
    part
        "weights" or "bias" of a Dense or convolution, "factor" or "bias" of a Scale.
    index
        Place in that array: (input, output) of weights, (output,) of the others.
    bit
        0 is the lowest.
    """

    layer: str
    part: str
    index: tuple[int, ...]
    bit: int

    def __str__(self) -> str:
        """Return it in words."""
        place = ", ".join(str(each) for each in self.index)
        return f"bit {self.bit} of {self.part}[{place}] in layer {self.layer}"


def flipped(values: Raw, bit: int, held: Format) -> Raw:
    """Return raw values of format `held` with one bit of their stored pattern flipped."""
    pattern = (values ^ (1 << bit)) & ((1 << held.width) - 1)
    return pattern - ((pattern >> (held.width - 1)) << held.width) if held.signed else pattern


def with_flip(program: Program, flip: Flip) -> Program:
    """Return the program with one bit flipped; raises KeyError if it has no such layer."""
    layers = {layer.name: layer for layer in program.layers}
    changed = _changed(layers[flip.layer], flip)
    return replace(program, layers=tuple(changed if each.name == flip.layer else each for each in program.layers))


def parts(layer: Layer) -> tuple[tuple[str, Raw, Format], ...]:
    """Return what a layer stores: name, raw values and format; () for a layer without weights."""
    match layer:
        case Dense():
            return ("weights", layer.weights, layer.weight_format), ("bias", layer.bias, layer.bias_format)
        case Scale():
            return ("factor", layer.factor, layer.factor_format), ("bias", layer.bias, layer.bias_format)
    return ()


@dataclass(frozen=True, slots=True)
class Variants:
    """Some flips of one layer, and what each makes of some events.

    Attributes
    ----------
    flips
        f of them.
    columns
        (c,): the elements of the layer's output that these flips can change.
    values
        int64 (n, c, f): those elements, raw, under each flip.
    """

    flips: tuple[Flip, ...]
    columns: Raw
    values: Raw


def variants(layer: Layer, source: Tensor, raw: Raw) -> Iterator[Variants]:
    """Yield every flip of a layer, all those of one output together where that is possible.

    The flips of one output of a Dense are run as so many outputs of one wider Dense: what is planned, and so proven
    exact, is the layer as it is, whatever its accumulator does.

    Parameters
    ----------
    raw
        int64 (n, elements): the layer's source.

    Raises
    ------
    NotExact
        With some bit flipped a sum needs more than 63 bits.
    """
    match layer:
        case Dense():
            for output in range(len(layer.bias)):
                yield _of_dense(layer, output, source, raw)
        case Scale():
            yield from _of_scale(layer, source, raw)


def _of_dense(layer: Dense, output: int, source: Tensor, raw: Raw) -> Variants:
    n_in, n_out = layer.weights.shape
    flips = [
        *(
            Flip(layer.name, "weights", (i, output), bit)
            for bit in range(layer.weight_format.width)
            for i in range(n_in)
        ),
        *(Flip(layer.name, "bias", (output,), bit) for bit in range(layer.bias_format.width)),
    ]
    weights = np.repeat(layer.weights[:, output : output + 1], len(flips), axis=1)
    bias = np.repeat(layer.bias[output], len(flips))
    for column, flip in enumerate(flips):
        if flip.part == "weights":
            weights[flip.index[0], column] = flipped(weights[flip.index[0], column], flip.bit, layer.weight_format)
        else:
            bias[column] = flipped(bias[column], flip.bit, layer.bias_format)
    positions = layer.output.size // n_out
    tensor = replace(layer.output, shape=(positions, len(flips)))
    values = _run(replace(layer, weights=weights, bias=bias, output=tensor), source, raw)
    return Variants(tuple(flips), np.arange(positions) * n_out + output, values.reshape(len(raw), positions, -1))


def _of_scale(layer: Scale, source: Tensor, raw: Raw) -> Iterator[Variants]:
    for part, stored, held in parts(layer):
        for place in range(len(stored)):
            flips = tuple(Flip(layer.name, part, (place,), bit) for bit in range(held.width))
            columns = np.arange(layer.output.size)
            columns = columns[columns % len(stored) == place]
            values = [_run(_changed(layer, flip), source, raw)[:, columns] for flip in flips]
            yield Variants(flips, columns, np.stack(values, axis=2))


def _changed(layer: Layer, flip: Flip) -> Layer:
    for part, stored, held in parts(layer):
        if part == flip.part:
            changed = stored.copy()
            changed[flip.index] = flipped(changed[flip.index], flip.bit, held)
            return replace(layer, **{part: changed})  # type: ignore[arg-type]  # the field that `parts` names
    raise KeyError(f"layer {layer.name!r} stores no {flip.part!r}")


def _run(layer: Layer, source: Tensor, raw: Raw) -> Raw:
    signal = Signal.of(source.format)
    run, _ = planned(layer, [(source, signal)])
    return np.asarray(run(raw.astype(np.int64)), dtype=np.int64).reshape(len(raw), -1)
