"""Snapshot to exposition: the numbers of one scrape, capped in series, with labels that cannot break the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from monitor.decide.verdict import Blame, Level
from monitor.drift.evidence import Evidence
from monitor.serve import catalogue as c
from monitor.serve.light import healthy, light
from monitor.serve.statement import LABELS
from monitor.serve.view import Snapshot, StreamView

SERIES = 2_000
TOP_QUANTITIES = 12
LABEL_LENGTH = 128

Sample = tuple[c.Metric, tuple[str, ...], float]


class Scrape(Collector):
    """One snapshot as Prometheus reads it at `now`, at most `limit` series of our own."""

    def __init__(self, snapshot: Snapshot, *, now: float, limit: int = SERIES) -> None:
        self._families = cap(samples(snapshot, now=now), limit=limit)
        self._site = snapshot.site
        self._process = ProcessCollector(registry=CollectorRegistry())

    def collect(self) -> Iterator[Metric]:
        """Yield every family of the catalogue, then the process metrics."""
        for metric in c.CATALOGUE:
            yield _family(metric, self._families[metric], word=self._site.lumisection_word)
        yield from self._process.collect()


def render(snapshot: Snapshot, *, now: float, accept: str = "", limit: int = SERIES) -> tuple[bytes, str]:
    """Return the page and its content type: OpenMetrics or the classic text, as `accept` asks for."""
    encoder, content_type = choose_encoder(accept)
    return encoder(Scrape(snapshot, now=now, limit=limit)), content_type


def cap(found: Iterable[Sample], *, limit: int) -> dict[c.Metric, dict[tuple[str, ...], float]]:
    """Keep the first `limit` series in the catalogue's order; the two that say how many there are always stay.

    Labels that become equal once cleaned are added up for counters; of
    gauges the last one counts.
    """
    families: dict[c.Metric, dict[tuple[str, ...], float]] = {metric: {} for metric in c.CATALOGUE}
    for metric, labels, value in found:
        family, key = families[metric], tuple(clean(label) for label in labels)
        family[key] = family.get(key, 0.0) + value if metric.type is c.Type.COUNTER else value
    total = sum(len(family) for family in families.values())
    left = limit - 2
    for metric, family in families.items():
        families[metric] = dict(list(family.items())[: max(left, 0)])
        left -= len(family)
    dropped = max(0, total - max(limit - 2, 0))
    families[c.EXPORTED_SERIES] = {(): float(total - dropped + 2)}
    families[c.DROPPED_SERIES] = {(): float(dropped)}
    return families


def clean(label: str) -> str:
    """Return a label value that every parser can read: no lone surrogates, no control characters, not endless."""
    return "".join(ch if ch.isprintable() else "?" for ch in label)[:LABEL_LENGTH]


def samples(snapshot: Snapshot, *, now: float) -> Iterator[Sample]:
    """Yield every number of `snapshot` as it may be shown at `now`."""
    yield c.UP, (), float(not healthy(snapshot, now))
    yield c.READY, (), float(snapshot.ready)
    yield c.BUILD_INFO, (snapshot.version, snapshot.site.name, snapshot.role), 1.0
    yield c.START, (), snapshot.started
    yield c.SNAPSHOT, (), snapshot.now
    for reason, count in snapshot.unattributed.items():
        yield c.REJECTED, ("(none)", reason), float(count)
    for fault, delay in snapshot.canaries.items():
        yield c.CANARY_DELAY, (fault,), delay
    for what, count in snapshot.pace_changes.items():
        yield c.PACE_CHANGES, (what,), float(count)
    yield from _source(snapshot)
    for stream in snapshot.streams:
        yield from _stream(snapshot, stream, now=now)
        yield from _counters(stream)
        if stream.evidence is not None:
            yield from _evidence(stream.name, stream.evidence)


def _source(snapshot: Snapshot) -> Iterator[Sample]:
    if snapshot.source is not None:
        yield c.SOURCE_REACHABLE, (), float(snapshot.source.reachable)
        yield c.LAST_FETCH_AGE, (), snapshot.source.last_fetch_age
        for (topic, partition), lag in sorted(snapshot.source.lag.items()):
            yield c.CONSUMER_LAG, (topic, str(partition)), float(lag)
    for sink in snapshot.sinks:
        yield c.DELIVERED, (sink.name,), float(sink.delivered)
        yield c.DELIVERY_FAILURES, (sink.name,), float(sink.failures)
        yield c.OUTBOX, (sink.name,), float(sink.pending)


def _stream(snapshot: Snapshot, stream: StreamView, *, now: float) -> Iterator[Sample]:
    shown = light(snapshot, stream, now=now)
    yield c.STREAM_LEVEL, (stream.name,), float(shown.level.number)
    for blame in Blame:
        yield c.STREAM_BLAME, (stream.name, blame.value), float(blame is shown.blame)
    yield c.ACKNOWLEDGED, (stream.name,), float(stream.acknowledged is not None)
    for label in LABELS:
        yield c.LABELLED, (stream.name, label), float(stream.labels.get(label, 0))
    yield c.RETRAIN_STATE, (stream.name,), float(stream.retrain.state.number if stream.retrain else 0)
    if stream.model:
        yield c.MODEL_INFO, (stream.name, stream.model, stream.digest, stream.engine), 1.0
    times = {
        c.NEWEST_EVENT: stream.newest_event_timestamp,
        c.JUDGED: stream.judged_at,
        c.LUMISECTION_DELAY: stream.lumisection_delay,
    }
    for metric, value in times.items():
        if value is not None:
            yield metric, (stream.name,), value


def _counters(stream: StreamView) -> Iterator[Sample]:
    counters = stream.counters
    yield c.EVENTS, (stream.name,), float(counters.events)
    yield c.LOST_BATCHES, (stream.name,), float(counters.lost_batches)
    for model, agreement in counters.agreement.items():
        yield c.COMPARED, (stream.name, model), float(agreement.compared)
        yield c.MISMATCHES, (stream.name, model), float(agreement.mismatched)
    yield from _by(c.NOT_COMPARABLE, stream.name, counters.not_comparable)
    yield from _by(c.REJECTED, stream.name, counters.rejected)
    for level in Level:
        yield c.LUMISECTIONS, (stream.name, level.value), float(counters.lumisections.get(level, 0))


def _by(metric: c.Metric, stream: str, counts: Mapping[str, int]) -> Iterator[Sample]:
    for reason, count in counts.items():
        yield metric, (stream, reason), float(count)


def _evidence(stream: str, evidence: Evidence) -> Iterator[Sample]:
    yield c.AGREEMENT_RATIO, (stream,), evidence.agreement.ratio
    if evidence.completeness.declared is not None:
        yield c.COMPLETENESS, (stream,), 1.0 - evidence.completeness.fraction_lost
    if not math.isnan(evidence.alarm):
        yield c.ALARM_RATIO, (stream,), evidence.alarm
    if not math.isnan(evidence.pileup):
        yield c.PILEUP, (stream,), evidence.pileup
    if evidence.accept is not None:
        yield c.ACCEPT_RATE, (stream,), evidence.accept.observed
        yield c.EXPECTED_ACCEPT_RATE, (stream,), evidence.accept.expected
    if evidence.reference is not None:
        yield c.REFERENCE_INFO, (stream, evidence.reference), 1.0
    for shift in evidence.shifts[:TOP_QUANTITIES]:
        yield c.EVIDENCE_RATIO, (stream, shift.quantity), shift.ratio


def _family(metric: c.Metric, family: Mapping[tuple[str, ...], float], *, word: str) -> Metric:
    shape = CounterMetricFamily if metric.type is c.Type.COUNTER else GaugeMetricFamily
    # Names are for programs and the same everywhere; the help is for the people of this site.
    text = metric.help.replace("lumisection", word).replace("Lumisection", word.capitalize())
    page = shape(metric.full, text, labels=metric.labels)
    for labels, value in family.items():
        page.add_metric(labels, value)
    return page
