"""One lumisection of one stream, judged: what the store keeps and the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.decide.capsule import Capsule
from monitor.decide.retrain import Request
from monitor.decide.verdict import Verdict
from monitor.drift.evidence import Evidence
from monitor.observe.summary import Summary
from monitor.trigger.lumisection import Lumisection
from monitor.watch.suspects import Suspects


@dataclass(frozen=True, slots=True)
class Judged:
    """One epoch of one lumisection of one stream, with everything known about it.

    A lumisection in which the menu changes is judged once per epoch. Without any event there is one with
    `summary` None, and so for a stream that has gone silent.

    Attributes
    ----------
    summary
        All partitions together.
    suspects
        What the mismatching events point at, where there are any.
    capsules
        New ones: what is needed to replay one mismatch.
    retrain
        A retraining request that this lumisection has proposed.
    rejected
        Records of the stream rejected since the previous lumisection, by reason; counted with the first epoch only.
    at
        When it was judged, seconds since the epoch.
    canaries
        Lumisections until each planted fault was found the last time, infinity where it was missed.
    silent
        True where it was not a lumisection that led here, but that none came: `lumisection` is the newest one known.
    """

    stream: str
    lumisection: Lumisection
    summary: Summary | None
    evidence: Evidence
    verdict: Verdict
    at: float
    suspects: Suspects | None = None
    capsules: tuple[Capsule, ...] = ()
    retrain: Request | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    silent: bool = False
    canaries: Mapping[str, float] = field(default_factory=dict)
