"""What one step of the loop leaves behind: written in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.decide.action import Action
from monitor.watch.judged import Judged

PartitionKey = tuple[str, int]
CounterKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Letter:
    """Bytes for the outside that are not an action: a dead letter, a closed partition for the summaries topic.

    Attributes
    ----------
    id
        Names the content for ever: a second letter with the same id is dropped.
    kind
        The routing key, "dead-letter" or "summary"; the database's routes say which sinks get it.
    body
        The exact bytes.
    attributes
        JSON values: headers, key, partition, as the sink needs them.
    """

    id: str
    kind: str
    stream: str
    body: bytes
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that changed since the last one.

    Attributes
    ----------
    now
        Seconds since the epoch.
    frontiers
        JSON value of the frontier of every partition that moved, by (topic, partition).
    states
        Bytes by name: "aggregator", "book", … Replaces what was stored under the name.
    counters
        What to add, by (name, stream, label): ("rejected", "jets", "malformed"). Label may be "".
    judged
        New lumisections: history, evidence, summaries, verdicts, capsules and retraining requests come from here.
    actions, letters
        For the outbox.
    """

    now: float
    frontiers: Mapping[PartitionKey, Mapping[str, Any]] = field(default_factory=dict)
    states: Mapping[str, bytes] = field(default_factory=dict)
    counters: Mapping[CounterKey, int] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    actions: tuple[Action, ...] = ()
    letters: tuple[Letter, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing waiting in the outbox for one sink.

    `payload` holds an action's JSON value; `body` a letter's bytes and `payload` its attributes.
    """

    number: int
    id: str
    kind: str
    stream: str
    payload: Mapping[str, Any]
    body: bytes | None
    created: float
