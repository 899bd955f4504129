"""A family of quantities that are measured together, and where in the detector each of them looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.frame import Frame
from monitor.observe.summary import Summary

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Values = NDArray[Any] | float
Measured = tuple[Values, Values, Values]
Measure = Callable[[Summary, Frame], Measured]


@dataclass(frozen=True, slots=True)
class Region:
    """Where a quantity looks: object group, and half-open intervals of eta and phi (rad); None is everywhere."""

    object: str | None = None
    eta: tuple[float, float] | None = None
    phi: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Quantities of one family that are measured together.

    `measure` returns (value, exposure, spread), each (q,) or one number for all: for counts the count, the events it
    was counted in, and nothing (0); for means the mean, the number of entries, and the variance of one entry. `once`
    marks counts to which an event adds one or nothing; `rare` those that are judged although a reference may never have
    seen any. Each `alike` neighbours are one thing seen from as many directions, none of which is special: what fills
    differ by is the same for all of them; `wobble` is what they are taken to differ by at least, in an entry's standard
    deviations. `mixed` marks quantities each of which mixes all inputs: they point nowhere, any place that is known
    covers them, and along a run their curves are known no better than a fill is.
    """

    family: str
    counted: bool
    names: tuple[str, ...]
    regions: tuple[Region, ...]
    measure: Measure
    once: bool = False
    rare: bool = False
    alike: int = 1
    wobble: float = 0.0
    mixed: bool = False

    def __post_init__(self) -> None:
        if len(self.names) != len(self.regions):
            raise ValueError(
                f"family {self.family!r} names {len(self.names)} quantities in {len(self.regions)} regions"
            )


def alone(measure: Callable[[Summary], Measured]) -> Measure:
    """Return what measures a summary that needs no frame."""
    return lambda summary, _: measure(summary)
