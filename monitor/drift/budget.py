"""The false-alarm promise, and the thresholds that follow from it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import log

WEEK = 7 * 86_400.0
AGREEMENT = 0.2
"""Share of the false pages that mismatches may cause; the rest is for conditions."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How often people accept to be called for nothing, by everything that is watched.

    An e-detector that alarms at the level A has an average run length of at least A under the null (Shin, Ramdas and
    Rinaldo, arXiv 2203.03532): so A is the number of lumisections that one false page may cost. Nothing is tuned: one
    page a week is split evenly between streams, and in each of them between agreement and conditions.

    Attributes
    ----------
    false_pages_per_week
        Of all streams together.
    lumisection_seconds
        Length of a lumisection.
    streams
        How many are watched.
    """

    false_pages_per_week: float = 1.0
    _: KW_ONLY
    lumisection_seconds: float
    streams: int = 1

    def __post_init__(self) -> None:
        if not self.false_pages_per_week > 0 or not self.lumisection_seconds > 0 or self.streams < 1:
            raise ValueError(
                f"{self.false_pages_per_week} false pages a week of {self.lumisection_seconds} s lumisections on "
                f"{self.streams} streams: all must be positive"
            )

    @property
    def arl0(self) -> float:
        """Average run length of one stream to a false page about its conditions, in lumisections; at least 10."""
        return self._run_length(1 - AGREEMENT)

    @property
    def line(self) -> float:
        """ln(ARL0): where the alarm line stands on a logarithmic scale."""
        return log(self.arl0)

    @property
    def mismatch_alpha(self) -> float:
        """The inverse of the run length to a false page about one stream's agreement."""
        return 1.0 / self._run_length(AGREEMENT)

    def _run_length(self, share: float) -> float:
        return max(10.0, self.streams * WEEK / self.lumisection_seconds / (share * self.false_pages_per_week))
