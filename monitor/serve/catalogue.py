"""Every metric once: dashboards, alert rules and the reference page are tested against this list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "trigwatch_"
FORBIDDEN_LABELS = frozenset({"run", "ls", "lumisection", "fill", "event", "orbit"})


class Type(StrEnum):
    """The exposition types in use; there are no histograms, because series are few by contract."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `name` has no prefix, and carries `_total` exactly where `type` is a counter."""

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str
    unit: str = ""

    def __post_init__(self) -> None:
        if (self.type is Type.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"metric {self.name!r} is a {self.type}: counters end in _total, gauges do not")
        if wrong := FORBIDDEN_LABELS.intersection(self.labels):
            raise ValueError(f"metric {self.name!r} has label {min(wrong)!r}: it would make endless series")

    @property
    def full(self) -> str:
        """The name as it stands on the page, in dashboards and in rules."""
        return PREFIX + self.name


def _gauge(name: str, *labels: str, text: str, unit: str = "") -> Metric:
    return Metric(name, Type.GAUGE, labels, text, unit)


def _counter(name: str, *labels: str, text: str, unit: str) -> Metric:
    return Metric(name, Type.COUNTER, labels, text, unit)


UP = _gauge("up", text="1 while the daemon's loop answers and nothing is wrong with the daemon itself, else 0.")
READY = _gauge("ready", text="1 once state is restored, models are loaded and partitions are assigned.")
EXPORTED_SERIES = _gauge("exported_series", text="Series on this page, without the process metrics.", unit="series")
DROPPED_SERIES = _gauge(
    "dropped_series", text="Series left out because the page is full; above 0 something is not shown.", unit="series"
)
BUILD_INFO = _gauge("build_info", "version", "site", "role", text="1; the labels say what runs here.")
START = _gauge("start_timestamp_seconds", text="When the daemon started.", unit="seconds since the epoch")
SNAPSHOT = _gauge(
    "snapshot_timestamp_seconds", text="When the loop last renewed these numbers.", unit="seconds since the epoch"
)
STREAM_LEVEL = _gauge(
    "stream_level", "stream", text="How bad it is: 0 ok, 1 watch, 2 act, 3 unknown (never to be read as ok)."
)
STREAM_BLAME = _gauge("stream_blame", "stream", "blame", text="1 for the party that has to move, 0 for the others.")
ACKNOWLEDGED = _gauge("acknowledged", "stream", text="1 while somebody has acknowledged the current verdict.")
LABELLED = _gauge(
    "labelled_verdicts",
    "stream",
    "label",
    text="Verdicts that people called a true or a false alarm when acknowledging them.",
)
NEWEST_EVENT = _gauge(
    "newest_event_timestamp_seconds", "stream", text="Time of the newest record.", unit="seconds since the epoch"
)
JUDGED = _gauge(
    "judged_timestamp_seconds", "stream", text="When the latest verdict was made.", unit="seconds since the epoch"
)
LUMISECTION_DELAY = _gauge(
    "lumisection_delay_seconds",
    "stream",
    text="From the end of the latest judged lumisection to its verdict.",
    unit="seconds",
)
RETRAIN_STATE = _gauge(
    "retrain_state",
    "stream",
    text="Retraining request: 0 none, 1 proposed, 2 approved, 3 running, 4 done, 5 rejected.",
)
EVENTS = _counter("events_total", "stream", text="Trigger events read and summarised.", unit="events")
COMPARED = _counter(
    "compared_total", "stream", "model", text="Events whose score was computed again bit by bit.", unit="events"
)
MISMATCHES = _counter(
    "mismatches_total",
    "stream",
    "model",
    text="Compared events whose recorded raw score differs from the emulated one in at least one bit.",
    unit="events",
)
NOT_COMPARABLE = _counter(
    "not_comparable_total", "stream", "reason", text="Events that could not be computed again.", unit="events"
)
REJECTED = _counter(
    "rejected_total",
    "stream",
    "reason",
    text="Records that could not be used and went to the dead-letter topic; stream (none) where it is not known.",
    unit="records",
)
LOST_BATCHES = _counter(
    "lost_batches_total", "stream", text="Batches missing in the producers' sequence numbers.", unit="batches"
)
LUMISECTIONS = _counter(
    "lumisections_total", "stream", "level", text="Lumisections judged, by verdict.", unit="lumisections"
)
COMPLETENESS = _gauge(
    "completeness_ratio",
    "stream",
    text="Events received of those declared in the latest lumisection; 1 is all.",
    unit="ratio",
)
ALARM_RATIO = _gauge(
    "alarm_ratio",
    "stream",
    text="Combined evidence that inputs or scores moved given the conditions; 1 is the alarm line.",
    unit="ratio",
)
EVIDENCE_RATIO = _gauge(
    "evidence_ratio",
    "stream",
    "quantity",
    text="Evidence of the most moved quantities; 1 is the alarm line.",
    unit="ratio",
)
AGREEMENT_RATIO = _gauge(
    "agreement_ratio",
    "stream",
    text="Evidence that hardware and emulation disagree more often than the declared floor; 1 is the alarm line.",
    unit="ratio",
)
ACCEPT_RATE = _gauge(
    "accept_rate_ratio", "stream", text="Share of events at or over the model's threshold.", unit="ratio"
)
EXPECTED_ACCEPT_RATE = _gauge(
    "expected_accept_rate_ratio", "stream", text="The same as the reference expects it at this pile-up.", unit="ratio"
)
PILEUP = _gauge("pileup", "stream", text="Mean pile-up of the latest lumisection.", unit="interactions")
MODEL_INFO = _gauge(
    "model_info", "stream", "model", "digest", "engine", text="1; which model runs and what computes it again."
)
REFERENCE_INFO = _gauge(
    "reference_info", "stream", "reference", text="1; the page of the Book that says what is normal now."
)
CONSUMER_LAG = _gauge(
    "consumer_lag_records", "topic", "partition", text="Records waiting on the broker.", unit="records"
)
SOURCE_REACHABLE = _gauge("source_reachable", text="1 while the broker or tape answers.")
LAST_FETCH_AGE = _gauge("source_last_fetch_age_seconds", text="Since the source last answered a fetch.", unit="seconds")
DELIVERED = _counter("delivered_total", "sink", text="Messages delivered to the world.", unit="messages")
DELIVERY_FAILURES = _counter(
    "delivery_failures_total", "sink", text="Deliveries that failed and are tried again.", unit="attempts"
)
OUTBOX = _gauge("outbox_pending", "sink", text="Messages waiting to be delivered.", unit="messages")
PACE_CHANGES = _counter(
    "pace_changes_total",
    "what",
    text="Changes that ADWIN saw in the daemon's own throughput or lag; it promises no rate of false ones.",
    unit="changes",
)
CANARY_DELAY = _gauge(
    "canary_detection_delay_lumisections",
    "fault",
    text="Lumisections until the planted fault was found the last time; +Inf if it was missed.",
    unit="lumisections",
)

# In the order in which a full page keeps them.
CATALOGUE = (
    UP,
    READY,
    BUILD_INFO,
    START,
    SNAPSHOT,
    STREAM_LEVEL,
    EVENTS,
    COMPARED,
    MISMATCHES,
    NEWEST_EVENT,
    JUDGED,
    LUMISECTION_DELAY,
    RETRAIN_STATE,
    SOURCE_REACHABLE,
    LAST_FETCH_AGE,
    CANARY_DELAY,
    PACE_CHANGES,
    COMPLETENESS,
    ALARM_RATIO,
    AGREEMENT_RATIO,
    ACCEPT_RATE,
    EXPECTED_ACCEPT_RATE,
    PILEUP,
    LOST_BATCHES,
    NOT_COMPARABLE,
    REJECTED,
    ACKNOWLEDGED,
    LABELLED,
    DELIVERED,
    DELIVERY_FAILURES,
    OUTBOX,
    CONSUMER_LAG,
    EVIDENCE_RATIO,
    STREAM_BLAME,
    LUMISECTIONS,
    MODEL_INFO,
    REFERENCE_INFO,
    EXPORTED_SERIES,
    DROPPED_SERIES,
)

# What prometheus_client says about the process itself, under the names that every Prometheus setup knows.
PROCESS_METRICS = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)
