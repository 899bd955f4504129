"""Which single flipped bit, of all that a program stores, reproduces what the hardware said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.engines.gemm import GemmEngine
from emulator.explain.flips import Flip, Variants, parts, variants
from emulator.explain.tail import Tail
from emulator.formats import Raw
from emulator.graph import NotExact, Program


@dataclass(frozen=True, slots=True)
class Upsets:
    """What all single flips make of a sample.

    Attributes
    ----------
    best
        The flips that reproduce most events, indistinguishable on this sample; () if none reproduces more than the
        program as it is.
    fits, of
        How many events the best reproduce in all outputs, and how many there are.
    tried
        Number of flips that were run.
    silent
        How many of them change no score of the sample: whether one of these happened cannot be seen here.
    refused
        Why the flips of a layer were not tried; one sentence a layer.
    """

    best: tuple[Flip, ...]
    fits: int
    of: int
    tried: int
    silent: int
    refused: tuple[str, ...] = ()


def search_upsets(program: Program, raw: Raw, hardware: Raw) -> Upsets:
    """Try every bit of every weight and bias; exact, and only the layers behind each flip are run again.

    Parameters
    ----------
    raw
        Integers (n, inputs), each within its input's format.
    hardware
        Raw scores (n, outputs). Events on which hardware and emulation agree count too: they exclude flips.

    Raises
    ------
    ValueError
        Shapes or values are not the program's.
    NotExact
        The program itself cannot be run in 63 bits.
    """
    if hardware.shape != (len(raw), program.n_outputs):
        raise ValueError(
            f"hardware scores are {hardware.shape}, {len(raw)} events of this program give "
            f"({len(raw)}, {program.n_outputs}): give the scores of the same events"
        )
    tally = _Tally(program, raw.astype(np.int64), hardware.astype(np.int64))
    refused = tuple(tally.layer(number) for number, layer in enumerate(program.layers) if parts(layer))
    return tally.upsets(tuple(why for why in refused if why))


class _Tally:
    def __init__(self, program: Program, raw: Raw, hardware: Raw) -> None:
        self._program, self._hardware = program, hardware
        engine = GemmEngine(program)
        self._emulated = engine.score(raw)
        self._tensors = {}
        column = 0
        for tensor in program.inputs:
            self._tensors[tensor.name] = raw[:, column : column + tensor.size]
            column += tensor.size
        for layer, (_, values) in zip(program.layers, engine.trace(raw), strict=True):
            self._tensors[layer.output.name] = values.reshape(len(raw), -1)
        self._agrees = (self._emulated == hardware).all(axis=1)
        self._fits, self._best, self._tried, self._silent = int(self._agrees.sum()), list[Flip](), 0, 0

    def layer(self, number: int) -> str:
        """Try the flips of one layer; return why they cannot be tried, or ""."""
        layer = self._program.layers[number]
        source = layer.sources[0]
        try:
            tail = Tail(self._program, number)
            for some in variants(layer, self._program.tensors()[source], self._tensors[source]):
                self._count(some, layer.output.name, tail)
        except NotExact as error:
            return str(error)
        return ""

    def _count(self, some: Variants, name: str, tail: Tail) -> None:
        fits, shows = np.zeros(len(some.flips), np.int64), np.zeros(len(some.flips), np.bool_)
        usual = self._tensors[name]
        moved = (some.values != usual[:, some.columns, None]).any(axis=1)  # (n, f)
        # An event whose tensor stays as it is keeps its score.
        fits += (self._agrees[:, None] & ~moved).sum(axis=0)
        for events, flips in _portions(moved, width=usual.shape[1]):
            changed = usual[events]
            changed[:, some.columns] = some.values[events, :, flips]
            scores = tail.score(self._tensors, events, changed)
            np.add.at(fits, flips, (scores == self._hardware[events]).all(axis=1))
            np.logical_or.at(shows, flips, (scores != self._emulated[events]).any(axis=1))
        self._tried += len(fits)
        self._silent += int((~shows).sum())
        self._keep(some.flips, fits)

    def _keep(self, flips: tuple[Flip, ...], fits: NDArray[np.int64]) -> None:
        top = int(fits.max())
        healthy = int(self._agrees.sum())
        if top > self._fits:
            self._fits, self._best = top, []
        if top == self._fits and top > healthy:
            self._best.extend(flips[i] for i in np.flatnonzero(fits == top))

    def upsets(self, refused: tuple[str, ...]) -> Upsets:
        return Upsets(tuple(self._best), self._fits, len(self._hardware), self._tried, self._silent, refused)


def _portions(moved: NDArray[np.bool_], *, width: int) -> Iterator[tuple[Raw, Raw]]:
    """Yield (events, flips) of what moved, so many at a time that the tensors of all fit into some MB."""
    events, flips = np.nonzero(moved)
    step = max(1, (1 << 20) // width)
    for start in range(0, len(events), step):
        yield events[start : start + step], flips[start : start + step]
