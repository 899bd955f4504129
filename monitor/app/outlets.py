"""The ways out of the outbox: every entry becomes what its sink understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from monitor.decide.action import Action, Kind
from monitor.serve import cloudevent, grafana, webhook
from monitor.serve.alertmanager import Alertmanager
from monitor.serve.post import Unsent
from monitor.serve.webhook import Mode
from monitor.store.commit import Entry
from monitor.stream.record import Headers, Outgoing
from monitor.stream.transport import Sink, Undelivered

TOPICS, ALERTMANAGER, WEBHOOK, GRAFANA = "topics", "alertmanager", "webhook", "grafana"


class TopicOutlet:
    """Verdicts and retraining requests as CloudEvents, dead letters and summaries as their bytes, to their topics."""

    name = TOPICS

    def __init__(self, sink: Sink, *, topics: Mapping[str, str], site: str) -> None:
        """`topics` names the topic of every kind of entry: verdict, retrain, dead-letter, summary."""
        self._sink = sink
        self._topics = topics
        self._site = site

    def deliver(self, entries: Sequence[Entry]) -> int:
        """See Outlet.deliver."""
        try:
            self._sink.send([self._outgoing(entry) for entry in entries])
        except Undelivered as error:
            raise Unsent(str(error)) from error
        return len(entries)

    def tend(self, now: float) -> None:
        """See Outlet.tend: a topic needs no tending."""

    def close(self) -> None:
        """See Outlet.close."""
        self._sink.close()

    def _outgoing(self, entry: Entry) -> Outgoing:
        topic = self._topics[entry.kind]
        if entry.body is None:
            event = cloudevent.event(_action(entry), site=self._site, time=entry.created)
            kind: Headers = (("content-type", cloudevent.CONTENT_TYPE.encode()),)
            return Outgoing(topic, event, kind, entry.stream.encode(), timestamp=entry.created)
        key = entry.payload.get("key")
        return Outgoing(
            topic,
            entry.body,
            _headers(entry.payload.get("headers", ())),
            None if key is None else str(key).encode("latin-1"),
            timestamp=entry.payload.get("timestamp"),
        )


class AlertmanagerOutlet:
    """Pages; what fires is posted again from time to time, for Alertmanager forgets."""

    name = ALERTMANAGER

    def __init__(self, alertmanager: Alertmanager, *, clock: Callable[[], float]) -> None:
        self._alertmanager = alertmanager
        self._clock = clock

    def deliver(self, entries: Sequence[Entry]) -> int:
        """See Outlet.deliver."""
        for entry in entries:
            self._alertmanager.tell(entry.payload, now=self._clock())
        return len(entries)

    def tend(self, now: float) -> None:
        """See Outlet.tend."""
        self._alertmanager.tend(now)

    def close(self) -> None:
        """See Outlet.close: what fires stays firing until a verdict resolves it."""


class EachOutlet:
    """One request for each action; what the other side refuses for good is dropped, and counted as a failure."""

    def __init__(self, name: str, send: Callable[[Action, float], object]) -> None:
        self.name = name
        self._send = send

    def deliver(self, entries: Sequence[Entry]) -> int:
        """See Outlet.deliver: stops at the first that fails, so that the order holds."""
        for done, entry in enumerate(entries):
            try:
                self._send(_action(entry), entry.created)
            except Unsent as error:
                if not error.refused and not done:
                    raise
                if not error.refused:
                    return done
        return len(entries)

    def tend(self, now: float) -> None:
        """See Outlet.tend: nothing to tend."""

    def close(self) -> None:
        """See Outlet.close: nothing is kept open."""


def webhook_outlet(url: str, *, number: int, site: str, mode: Mode = Mode.STRUCTURED) -> EachOutlet:
    """Return the outlet of the `number`th webhook."""
    return EachOutlet(
        f"{WEBHOOK}-{number}",
        lambda action, time: webhook.send(action, url=url, site=site, time=time, mode=mode),
    )


def grafana_outlet(url: str, *, token: str | None) -> EachOutlet:
    """Return the outlet of annotations."""
    return EachOutlet(GRAFANA, lambda action, time: grafana.send(action, url=url, token=token, time=time))


def _action(entry: Entry) -> Action:
    return Action(entry.id, Kind(entry.kind), entry.stream, entry.payload)


def _headers(pairs: Sequence[Sequence[str]]) -> Headers:
    # Headers are bytes on the wire and JSON in the outbox: latin-1 maps each byte to one character and back.
    return tuple((str(name), str(value).encode("latin-1")) for name, value in pairs)
