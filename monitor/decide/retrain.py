"""When a model should be trained again, and what a request for it goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monitor.trigger.lumisection import Lumisection

SCHEMA = "retrain/1"


class State(StrEnum):
    """Where a request stands; `NONE` is a stream without one."""

    NONE = "none"
    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"


class Event(StrEnum):
    """What moves a request; the first is the daemon's, the others come from people or the training pipeline."""

    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    START = "start"
    FINISH = "finish"
    FAIL = "fail"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.NONE, Event.PROPOSE): State.PROPOSED,
    (State.PROPOSED, Event.APPROVE): State.APPROVED,
    (State.PROPOSED, Event.REJECT): State.REJECTED,
    (State.APPROVED, Event.START): State.RUNNING,
    (State.APPROVED, Event.REJECT): State.REJECTED,
    (State.RUNNING, Event.FINISH): State.DONE,
    (State.RUNNING, Event.FAIL): State.APPROVED,
}


class NotAllowed(Exception):
    """The request is not in a state from which this is possible; the message says what is."""


def move(state: State, event: Event) -> State:
    """Return the state after `event`. Raises `NotAllowed` where the table has no such step."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        possible = ", ".join(sorted(each.value for start, each in TRANSITIONS if start is state)) or "nothing"
        raise NotAllowed(f"a request that is {state.value} cannot {event.value}; possible: {possible}") from None


@dataclass(frozen=True, slots=True)
class Request:
    """A proposed retraining and its dossier, JSON values only (DESIGN §5)."""

    id: str
    stream: str
    model: str
    digest: str
    lumisection: Lumisection
    dossier: Mapping[str, Any]
