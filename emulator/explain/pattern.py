"""What hardware minus emulation looks like, before any hypothesis is tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emulator.formats import Integers


@dataclass(frozen=True, slots=True)
class Pattern:
    """Simple facts about hardware minus emulation over a sample, raw units.

    Attributes
    ----------
    least, median, most
        Of the signed differences of all outputs that differ.
    off_by_one
        Share of differing outputs that differ by one raw unit: rounding.
    powers_of_two
        Share of differing outputs that differ by one power of two, either sign: a line or a bit of a sum.
    saturated
        Share of differing outputs at which the hardware says the least or largest value of the sample, that value
        comes more than once, and the emulation lies beyond it: a limit that the model does not have.
    bits
        Output bits that differ in any event, lowest first.
    constant
        The hardware's score where it is the same in the whole sample and the emulation's is not: a stuck output.
    """

    least: int
    median: int
    most: int
    off_by_one: float
    powers_of_two: float
    saturated: float
    bits: tuple[int, ...]
    constant: tuple[int, ...] | None


def pattern(hardware: Integers, emulated: Integers) -> Pattern:
    """Return the simple facts about raw scores (n, outputs) that differ somewhere; raises ValueError if none does."""
    differs = hardware != emulated
    if not differs.any():
        raise ValueError("hardware and emulation agree on all these events: there is no difference to describe")
    steps = (hardware - emulated)[differs].astype(np.int64)
    sizes = np.abs(steps)
    changed = int(np.bitwise_or.reduce((hardware ^ emulated).ravel())) & 0xFFFFFFFF
    stuck = len(hardware) > 1 and bool((hardware == hardware[0]).all())
    moves = not (emulated == emulated[0]).all()
    return Pattern(
        least=int(steps.min()),
        median=int(np.sort(steps)[len(steps) // 2]),
        most=int(steps.max()),
        off_by_one=float(np.mean(sizes == 1)),
        powers_of_two=float(np.mean((sizes & (sizes - 1)) == 0)),
        saturated=float(np.mean(_at_a_limit(hardware, emulated)[differs])),
        bits=tuple(bit for bit in range(32) if changed >> bit & 1),
        constant=tuple(int(each) for each in hardware[0]) if stuck and moves else None,
    )


def _at_a_limit(hardware: Integers, emulated: Integers) -> Integers:
    """Return bool (n, outputs): where the hardware sits at an end of its values, and the emulation goes beyond."""
    top, bottom = hardware.max(axis=0), hardware.min(axis=0)
    high = (hardware == top) & (emulated > top)
    low = (hardware == bottom) & (emulated < bottom)
    repeated_high, repeated_low = (hardware == top).sum(axis=0) > 1, (hardware == bottom).sum(axis=0) > 1
    return np.asarray((high & repeated_high) | (low & repeated_low))
