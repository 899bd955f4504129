"""All that is known when a lumisection is judged, and the rules that a site may set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.drift.evidence import Evidence
from monitor.trigger.lumisection import Lumisection


@dataclass(frozen=True, slots=True)
class Rules:
    """What a site may set; shares are of 1, counts are lumisections.

    Attributes
    ----------
    alarm, warning
        Evidence ratios from which on ACT and WATCH are said; 1 is the line that the false-alarm promise belongs to.
    incomplete
        Share of declared events whose loss makes a lumisection unfit to be judged.
    clear_after
        How long the evidence must stay under the line before an episode falls back.
    persistent_after
        How long conditions must be over the line before retraining is proposed.
    explained
        Share of the mismatching sample that another model or hypothesis must reproduce to be named.
    rate_change, rate_sigmas
        Relative change of the accept rate, and its significance, that count as visibly affected.
    broad
        Number of moved quantities that counts as a broad shift.
    """

    alarm: float = 1.0
    warning: float = 0.5
    incomplete: float = 0.02
    clear_after: int = 5
    persistent_after: int = 10
    explained: float = 0.9
    rate_change: float = 0.05
    rate_sigmas: float = 5.0
    broad: int = 3


@dataclass(frozen=True, slots=True)
class Culprit:
    """The best explanation of the mismatches: another registered model, or the right one fed wrongly.

    `hypothesis` is "" for another model, else what was done to the inputs ("all inputs doubled").
    """

    label: str
    digest: str
    hypothesis: str
    fits: int
    of: int


@dataclass(frozen=True, slots=True)
class Case:
    """One stream, one lumisection, one epoch.

    Attributes
    ----------
    events
        Events that arrived in this epoch; 0 where there are none to judge.
    groups
        Kinds of objects that have a place of their own in the detector (jets, muons), as opposed to sums over all of
        it (missing energy): to tell a shift of one kind from a general one.
    culprit
        Set where the mismatches were looked into and something fits.
    silent_since
        The newest lumisection where a stream has gone silent, or None.
    skipped
        Lumisections of the run between this one and the previous one of which nothing arrived at all.
    bit
        The only output bit that differs in the mismatching events, or None.
    capsule
        Id of a capsule that replays one of this lumisection's mismatches.
    details
        More numbers for the verdict's evidence, JSON values only.
    dossier
        What a retraining request would add to the evidence, JSON values only.
    """

    evidence: Evidence
    events: int
    groups: tuple[str, ...] = ()
    culprit: Culprit | None = None
    silent_since: Lumisection | None = None
    skipped: int = 0
    bit: int | None = None
    capsule: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    dossier: Mapping[str, Any] = field(default_factory=dict)
