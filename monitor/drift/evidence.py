"""What the battery knows after one lumisection; numbers only, judged in `decide`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the detector or in the record, in physical units, as far as it is localised.

    `eta` and `phi` are half-open intervals (phi in radians, may wrap past its period); `object` names an object group
    of the layout, `bit` an output bit. None means: not localised in this respect.
    """

    object: str | None = None
    eta: tuple[float, float] | None = None
    phi: tuple[float, float] | None = None
    bit: int | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """One quantity's case against "nothing moved".

    Attributes
    ----------
    ratio
        ln(e-detector) / ln(ARL0): 1 is the alarm line.
    observed, expected, sigma
        Latest value, what the page expects at these conditions, and the statistical error of the value.
    tolerance
        The benign shift that the page allows, in the quantity's own unit.
    since
        Where the detector's growth began: the estimate of when the change happened.
    within
        How many lumisections earlier or later it may also have been.
    climbing
        True where the shift is a ramp that still grows, False for a step.
    """

    quantity: str
    family: str
    ratio: float
    direction: int
    observed: float
    expected: float
    sigma: float
    tolerance: float
    since: Lumisection
    where: Where = Where()
    within: int = 0
    climbing: bool = False


@dataclass(frozen=True, slots=True)
class Completeness:
    """What arrived of what was declared. `declared` is None where no end-of-lumisection record came."""

    received: int
    declared: int | None
    lost_batches: int = 0
    missing_partitions: tuple[int, ...] = ()

    @property
    def fraction_lost(self) -> float:
        """Share of the declared events that did not arrive, 0 where nothing was declared or more came."""
        if not self.declared:
            return 0.0
        return max(0.0, 1.0 - self.received / self.declared)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Bit-exact comparison of recorded and re-emulated raw scores.

    `ratio` is ln(e-process) / ln(1/alpha) against the declared floor; 1 is the alarm line. `not_comparable` counts
    events by reason (unknown model, unknown digest, emulator failed).
    """

    compared: int
    mismatched: int
    ratio: float
    since: Lumisection | None
    floor: float
    not_comparable: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AcceptRate:
    """Share of events at or over threshold, against what the page expects at this pile-up (one sigma, 0..1).

    `tolerance` is the benign difference that the page allows, in the same unit.
    """

    observed: float
    expected: float
    sigma: float
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that `decide` may look at, for one stream and one lumisection.

    Attributes
    ----------
    reference
        Id of the Book's page, or None: then `unjudged` says why ("learning", "no page for prescale column 2b").
    pileup
        Mean pile-up of the lumisection, NaN if unknown.
    alarm
        ln(combined e-detector) / ln(ARL0); 1 is the alarm line. NaN without a reference.
    shifts
        The quantities behind the alarm, largest first: the e-BH selection, or the top few below the line.
    second_opinion
        Quantities on which river's detectors fired in this lumisection.
    known
        Known conditions that silenced something in this lumisection.
    """

    stream: str
    lumisection: Lumisection
    epoch: Epoch
    completeness: Completeness
    agreement: Agreement
    pileup: float
    reference: str | None
    unjudged: str | None
    alarm: float
    shifts: tuple[Shift, ...]
    accept: AcceptRate | None
    second_opinion: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
