"""A flipped weight bit, searched for once and then only tried again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.engines.gemm import GemmEngine
from emulator.explain import Flip, search_upsets, with_flip
from emulator.explain.flips import parts
from emulator.graph import NotExact, Program
from monitor.observe.sample import Sample
from monitor.watch.shelf import Rescorer

Flips = tuple[Flip, ...] | None
LEAST = 8
"""Mismatching events below which nothing is searched: too many bits would fit."""
MOST = 64
"""Flips that are tried again each lumisection; if the true one is not among them, a new search finds it."""
_EXPLAINS = 0.9


@dataclass(frozen=True, slots=True)
class Upset:
    """The flips that reproduce `fits` events of a sample; () if none reproduces nearly all of it.

    `alternatives` is among how many single bits, each such set counted once, this one was chosen.
    """

    flips: tuple[Flip, ...]
    fits: int
    alternatives: int

    @property
    def words(self) -> str:
        """The flips in words."""
        first, others = f"{self.flips[0]} flipped", len(self.flips) - 1
        return first if not others else f"{first} (or one of {others} bits that look the same here)"


def upset(model: Rescorer, sample: Sample, known: Flips) -> Upset | None:
    """Return the flips that explain the sample; None where they cannot be, or need not be, searched for.

    Known flips are tried first, and narrowed to those that fit best; only if they explain it no longer is there a new
    search. Where a search found nothing (`known` is ()), there is none until the caller forgets that.
    """
    program = model.program
    if program is None or known == () or (known is None and len(sample) < LEAST):
        return None
    held = np.asarray(model.fits(sample.inputs))
    raw, hardware = sample.inputs[held].astype(np.int64), sample.hardware[held]
    enough = _EXPLAINS * len(sample)
    try:
        found = _again(program, raw, hardware, known) if known else None
        if found is None or (found.fits < enough and len(sample) >= LEAST):
            best = search_upsets(program, raw, hardware)
            found = Upset(best.best[:MOST], best.fits, _alternatives(program, len(best.best)))
    except (NotExact, ValueError):
        return Upset((), 0, 1)
    return found if found.fits >= enough else Upset((), 0, 1)


def _again(
    program: Program, raw: NDArray[np.int64], hardware: NDArray[np.int64], known: tuple[Flip, ...]
) -> Upset | None:
    stored = {layer.name for layer in program.layers if parts(layer)}
    if not len(raw) or any(flip.layer not in stored for flip in known):
        return None
    fits = [int((GemmEngine(with_flip(program, flip)).score(raw) == hardware).all(axis=1).sum()) for flip in known]
    best = tuple(flip for flip, each in zip(known, fits, strict=True) if each == max(fits))
    return Upset(best, max(fits), _alternatives(program, len(best)))


def _alternatives(program: Program, alike: int) -> int:
    bits = sum(values.size * held.width for layer in program.layers for _, values, held in parts(layer))
    return max(1, bits // max(alike, 1))
