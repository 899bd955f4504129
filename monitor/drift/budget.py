"""The false-alarm promise, and the one threshold that follows from it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from math import log

WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """How often people accept to be called for nothing.

    An e-detector that alarms at the level A has an average run length of at least A under the null (Shin, Ramdas and
    Rinaldo, arXiv 2203.03532): so A is the number of lumisections that one false page may cost. One page
    a week of 23-second lumisections is A = about 26,000; nothing is tuned.
    """

    false_pages_per_week: float = 1.0
    _: KW_ONLY
    lumisection_seconds: float

    def __post_init__(self) -> None:
        if not self.false_pages_per_week > 0 or not self.lumisection_seconds > 0:
            raise ValueError(
                f"{self.false_pages_per_week} false pages a week of {self.lumisection_seconds} s lumisections: "
                "both must be positive"
            )

    @property
    def arl0(self) -> float:
        """Average run length to a false page, in lumisections; at least 10."""
        return max(10.0, WEEK / self.lumisection_seconds / self.false_pages_per_week)

    @property
    def line(self) -> float:
        """ln(ARL0): where the alarm line stands on a logarithmic scale."""
        return log(self.arl0)
