"""Which single flipped bit of a weight or a bias explains the scores that the hardware gave: all of them are tried.

A flip changes one column of one layer. The column is computed again by the layer's own rules, every flip of it at once,
and only the layers behind it run for each flip. Nothing is approximated: a candidate that is returned gives exactly the
scores that the flipped hardware would give.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from emulator.engines.gemm import GemmEngine, planned
from emulator.engines.gemm_signal import Signal
from emulator.formats import Format, Raw
from emulator.graph import Dense, Program, Tensor

_FIRST = 6
"""Events on which every flip is tried; the rest is for those that pass."""

_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one number of a layer, and how many of the events it explains.

    Attributes
    ----------
    part, index
        "weight" with (input, output), or "bias" with (output,).
    bit
        0 is the least; the highest of a signed format is its sign.
    before, after
        The raw number without and with the flip.
    """

    layer: str
    part: str
    index: tuple[int, ...]
    bit: int
    before: int
    after: int
    fits: int
    of: int


def search(program: Program, raw: Raw, hardware: Raw) -> tuple[Flip, ...]:
    """Return the flips that explain most of the events, all that explain equally many; none if no flip explains any.

    Parameters
    ----------
    raw, hardware
        Raw inputs (n, inputs) and the hardware's raw scores (n, outputs), events that differ from the emulation. Flips
        are looked for in every Dense and convolution. Several flips can be indistinguishable on the same events.
    """
    if not len(raw):
        return ()
    engine = GemmEngine(program)
    traced = dict(zip((layer.output.name for layer in program.layers), engine.trace(raw), strict=True))
    values = {name: value.reshape(len(raw), -1) for name, (_, value) in traced.items()}
    column = 0
    for tensor in program.inputs:
        values[tensor.name] = raw[:, column : column + tensor.size].astype(np.int64)
        column += tensor.size
    found: list[Flip] = []
    for place, layer in enumerate(program.layers):
        if isinstance(layer, Dense):
            found += _Layer(program, place, layer, values, hardware).flips()
    most = max((flip.fits for flip in found), default=0)
    return tuple(flip for flip in found if flip.fits == most) if most else ()


class _Layer:
    """All flips of one layer on the same events."""

    def __init__(self, program: Program, place: int, layer: Dense, values: Mapping[str, Raw], hardware: Raw) -> None:
        self._layer = layer
        self._hardware = hardware
        self._values = values
        self._source = program.tensors()[layer.sources[0]]
        tail = program.layers[place + 1 :]
        made = {each.output.name for each in tail}
        read = [name for each in tail for name in each.sources if name not in made]
        # The outputs may be the layer's own, or may have been there before it.
        read += [name for name in program.outputs if name not in made]
        tensors = program.tensors()
        self._entries = tuple(tensors[name] for name in dict.fromkeys(read))
        self._reaches = layer.output.name in {entry.name for entry in self._entries}
        self._tail = GemmEngine(Program(self._entries, tail, program.outputs))

    def flips(self) -> list[Flip]:
        """Return every flip of the layer that explains at least one event."""
        if not self._reaches:
            return []
        first = np.arange(min(_FIRST, len(self._hardware)))
        found = []
        for output in range(self._layer.weights.shape[1]):
            candidates = list(self._candidates(output))
            fits = self._fits(candidates, output, first)
            kept = [flip for flip, count in zip(candidates, fits, strict=True) if count]
            counts = self._fits(kept, output, np.arange(len(self._hardware)))
            found += [dataclasses.replace(flip, fits=int(n)) for flip, n in zip(kept, counts, strict=True)]
        return found

    def _candidates(self, output: int) -> Iterator[Flip]:
        layer, of = self._layer, len(self._hardware)
        for i, before in enumerate(layer.weights[:, output].tolist()):
            for bit in range(layer.weight_format.width):
                after = _flipped(before, bit, layer.weight_format)
                yield Flip(layer.name, "weight", (i, output), bit, before, after, 0, of)
        before = int(layer.bias[output])
        for bit in range(layer.bias_format.width):
            after = _flipped(before, bit, layer.bias_format)
            yield Flip(layer.name, "bias", (output,), bit, before, after, 0, of)

    def _fits(self, flips: list[Flip], output: int, events: Raw) -> Raw:
        """Return how many of the events each flip of one output explains."""
        counts = np.zeros(len(flips), np.int64)
        step = max(1, _AT_ONCE // (len(events) * max(1, self._layer.output.size)))
        for start in range(0, len(flips), step):
            some = flips[start : start + step]
            counts[start : start + step] = self._explained(some, output, events)
        return counts

    def _explained(self, flips: list[Flip], output: int, events: Raw) -> Raw:
        columns = self._columns(flips, output, events)  # (events, positions, flips)
        whole = self._values[self._layer.output.name][events].reshape(len(events), -1, self._layer.weights.shape[1])
        changed = np.broadcast_to(whole[:, None], (len(events), len(flips), *whole.shape[1:])).copy()
        changed[..., output] = columns.transpose(0, 2, 1)
        rows = {self._layer.output.name: changed.reshape(len(events) * len(flips), -1)}
        for entry in self._entries:
            if entry.name not in rows:
                rows[entry.name] = np.repeat(self._values[entry.name][events], len(flips), axis=0)
        scores = self._tail.score(np.concatenate([rows[entry.name] for entry in self._entries], axis=1))
        wanted = np.repeat(self._hardware[events], len(flips), axis=0)
        counted: Raw = (scores == wanted).all(axis=1).reshape(len(events), len(flips)).sum(axis=0)
        return counted

    def _columns(self, flips: list[Flip], output: int, events: Raw) -> Raw:
        """Return (events, positions, flips): the layer's output `output` with each flip, by the layer's own rules."""
        layer = self._layer
        weights = np.repeat(layer.weights[:, output : output + 1], len(flips), axis=1)
        bias = np.repeat(layer.bias[output : output + 1], len(flips))
        for column, flip in enumerate(flips):
            if flip.part == "weight":
                weights[flip.index[0], column] = flip.after
            else:
                bias[column] = flip.after
        positions = layer.output.size // layer.weights.shape[1]
        out = Tensor(layer.output.name, (positions, len(flips)), layer.output.format)
        wide = dataclasses.replace(layer, weights=weights, bias=bias, output=out)
        run, _ = planned(wide, [(self._source, Signal.of(self._source.format))])
        return np.asarray(run(self._values[self._source.name][events])).reshape(len(events), positions, len(flips))


def _flipped(raw: int, bit: int, fmt: Format) -> int:
    """Return a raw number with one of its bits flipped, in two's complement."""
    step = 1 << bit
    up = not raw >> bit & 1
    if fmt.signed and bit == fmt.width - 1:
        up = not up  # the sign's bit counts negative
    return raw + step if up else raw - step
