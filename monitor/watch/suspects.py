"""Who fits the mismatches: every registered model and every known way of feeding it wrongly, tried on the sample."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fit:
    """How many of the sample's events one explanation reproduces bit for bit.

    `hypothesis` is "" where the model itself fits, otherwise what was done to its inputs ("all inputs doubled").
    """

    digest: str
    label: str
    hypothesis: str
    fits: int
    of: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Simple facts about hardware minus emulation over the sample, raw units.

    Attributes
    ----------
    least, median, most
        Of the signed differences of all outputs that differ.
    off_by_one
        Share of differing outputs that differ by one raw unit: rounding.
    bits
        Output bits that differ in any event, lowest first.
    constant
        The hardware's score where it is the same in the whole sample and the emulation's is not: a stuck output.
    """

    least: int
    median: int
    most: int
    off_by_one: float
    bits: tuple[int, ...]
    constant: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Suspects:
    """What the mismatching sample says about its cause, best fit first; only explanations that fit something."""

    fits: tuple[Fit, ...]
    delta: Delta
