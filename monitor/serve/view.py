"""Everything that the page, the API and the metrics show: plain values, built by the loop, read by other threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from monitor.decide.retrain import Event, State
from monitor.decide.training import Training
from monitor.decide.verdict import Blame, Level, Verdict
from monitor.drift.evidence import Evidence
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import Site


@dataclass(frozen=True, slots=True)
class Histogram:
    """One distribution of the latest lumisections, beside what the reference expects.

    Attributes
    ----------
    name
        "score", or the input's name in the layout ("jet[0].pt").
    unit
        The physical unit of `edges`; "raw" where they are hardware integers, "" for a pure number.
    edges
        n + 1 ascending bin edges.
    counts
        Events in the n bins.
    expected
        What the reference expects for the same number of events, n values, or None without a reference.
    threshold
        Where the trigger cuts, on the axis of `edges`, or None.
    log
        True where counts span decades and a logarithmic axis reads better.
    """

    name: str
    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    expected: tuple[float, ...] | None = None
    threshold: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        bins = len(self.edges) - 1
        if bins < 1 or len(self.counts) != bins or (self.expected is not None and len(self.expected) != bins):
            expected = "none" if self.expected is None else len(self.expected)
            raise ValueError(
                f"histogram {self.name!r} has {len(self.edges)} edges, {len(self.counts)} counts and {expected} "
                "expected values: n bins need n + 1 edges and n of each"
            )
        if any(not low < high for low, high in pairwise(self.edges)):
            raise ValueError(f"histogram {self.name!r} has edges that do not ascend: {self.edges}")


@dataclass(frozen=True, slots=True)
class EtaPhiMap:
    """Occupancy of one object group against the reference.

    `pull` holds one row per eta bin and one column per phi bin: (observed - expected) / error; None marks a cell
    without expectation.
    """

    object: str
    eta_edges: tuple[float, ...]
    phi_edges: tuple[float, ...]
    pull: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, slots=True)
class LevelPoint:
    """One lumisection in a stream's history; `alarm` is the combined evidence ratio (1 is the line), NaN unjudged."""

    lumisection: Lumisection
    level: Level
    blame: Blame = Blame.NONE
    alarm: float = float("nan")


@dataclass(frozen=True, slots=True)
class Compared:
    """Events that were re-emulated, and how many of them differed in at least one bit of the raw score."""

    compared: int
    mismatched: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What a stream has counted since the daemon started; all only ever rise.

    `agreement` is by model label; `not_comparable` and `rejected` are by reason; `lumisections` is by level.
    """

    events: int = 0
    lost_batches: int = 0
    agreement: Mapping[str, Compared] = field(default_factory=dict)
    not_comparable: Mapping[str, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    lumisections: Mapping[Level, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrainView:
    """A retraining request; `dossier` holds JSON values, as they went to the retraining topic."""

    id: str
    state: State
    dossier: Mapping[str, Any]
    who: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has seen the verdict, and perhaps labelled it; `at` in seconds since the epoch."""

    who: str
    note: str
    at: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream as people and programs see it.

    Attributes
    ----------
    model, digest, engine
        The label that the menu announces, the content that ran ("" if unknown) and the emulation engine that answers.
    verdict, evidence
        The latest ones, or None before the first lumisection closed.
    judged_at
        When the latest verdict was made, in seconds since the epoch, or None.
    silent_after
        Seconds without a new verdict after which the stream counts as silent, which is UNKNOWN.
    newest_event_timestamp
        Seconds since the epoch of the newest record, or None before the first.
    lumisection_delay
        Seconds between the end of the latest judged lumisection and its verdict, or None.
    levels
        Recent history, oldest first.
    score, inputs, maps
        Distributions of the latest lumisections against the reference; `inputs` are the chosen ones, most moved first.
    """

    name: str
    model: str = ""
    digest: str = ""
    engine: str = ""
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    acknowledged: Acknowledgement | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    judged_at: float | None = None
    silent_after: float = float("inf")
    newest_event_timestamp: float | None = None
    lumisection_delay: float | None = None
    counters: Counters = Counters()
    levels: tuple[LevelPoint, ...] = ()
    retrain: RetrainView | None = None
    score: Histogram | None = None
    inputs: tuple[Histogram, ...] = ()
    maps: tuple[EtaPhiMap, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceView:
    """What the reader knows about its supply; `lag` in records by (topic, partition), ages in seconds."""

    reachable: bool
    last_fetch_age: float
    lag: Mapping[tuple[str, int], int] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SinkView:
    """One way out: what was delivered, how often it failed, what waits in the outbox."""

    name: str
    delivered: int = 0
    failures: int = 0
    pending: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole daemon at one moment.

    Attributes
    ----------
    started, now
        When the daemon started and when the loop made this snapshot, in seconds since the epoch.
    stale_after
        Seconds after which a snapshot that was not renewed means that the loop is stuck: everything is UNKNOWN then.
    ready
        True once state is restored, models are loaded and the source is assigned.
    problems
        Why the daemon is not healthy, in sentences; empty if it is.
    unattributed
        Records rejected before a stream could be told, by reason.
    canaries
        Lumisections that the planted faults needed to be found, by fault.
    pace_changes
        How often the daemon's own throughput and lag have changed since it started.
    """

    site: Site
    version: str
    role: str
    started: float
    now: float
    ready: bool
    streams: tuple[StreamView, ...]
    problems: tuple[str, ...] = ()
    stale_after: float = 60.0
    source: SourceView | None = None
    sinks: tuple[SinkView, ...] = ()
    unattributed: Mapping[str, int] = field(default_factory=dict)
    canaries: Mapping[str, float] = field(default_factory=dict)
    pace_changes: Mapping[str, int] = field(default_factory=dict)


class Absent(LookupError):
    """What was asked for does not exist: 404."""


class Refused(Exception):
    """What was asked for exists but cannot be done now, and why: 409."""


class House(Protocol):
    """What the application offers to the outside; every method may be called from any thread.

    Rows are JSON values, newest first. Each writing method returns when its change is durable.
    """

    def snapshot(self) -> Snapshot:
        """Return the snapshot that the loop made last, at once."""
        ...

    def verdicts(self, *, limit: int, stream: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the latest verdicts, one per change of an episode."""
        ...

    def lumisections(self, *, limit: int, stream: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the latest judged lumisections with their numbers."""
        ...

    def references(self) -> Sequence[Mapping[str, Any]]:
        """Return the Book's pages: id, version, conditions, lumisections they came from."""
        ...

    def models(self) -> Sequence[Mapping[str, Any]]:
        """Return the registry's cards."""
        ...

    def retrain(self) -> Sequence[Mapping[str, Any]]:
        """Return the retraining requests with dossier and state."""
        ...

    def acknowledge(self, verdict: str, /, *, who: str, note: str, label: str) -> None:
        """Record that `who` has seen the verdict with this id; "" leaves note or label as it was. Raises `Absent`."""
        ...

    def training(self, request: str, /) -> Training:
        """Return the lumisections that the retraining request with this id is about. Raises `Absent`."""
        ...

    def step(self, request: str, event: Event, /, *, who: str, note: str) -> State:
        """Take a step of the retraining request with this id. Raises `Absent`, or `Refused` where there is none."""
        ...

    def reload(self) -> Sequence[str]:
        """Read settings, models and references again; return what changed. Raises `Refused` and keeps the old."""
        ...
