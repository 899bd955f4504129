"""When a model should be trained again, and what a request for it goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monitor.decide.blame import is_local
from monitor.decide.case import Case, Rules
from monitor.decide.numbers import finite, shift_numbers
from monitor.decide.standing import Episode
from monitor.decide.verdict import Verdict, identify
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

    @property
    def number(self) -> int:
        """The value of `trigwatch_retrain_state`."""
        return tuple(State).index(self)


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


def propose(episode: Episode, case: Case, *, verdict: Verdict, rules: Rules) -> Request | None:
    """Return a request where conditions have moved for good and the model feels it, once per episode.

    A fault with a place in eta or phi is repaired or masked; a model trained on it would learn the fault. The place
    may be lost in single lumisections, so the episode's majority counts too. Agreement, identity and stream never lead
    here: `judge` asks only while conditions are to blame, and no single score is under suspicion.
    """
    if episode.requested or episode.over < rules.persistent_after:
        return None
    if is_local(episode.where) or 2 * episode.local >= episode.over:
        return None
    if not (rate_moved(case, rules) or len(case.evidence.shifts) >= rules.broad):
        return None
    ls = case.evidence.lumisection
    request = identify(SCHEMA, verdict.stream, verdict.digest or verdict.model, *episode.first)
    return Request(
        request, verdict.stream, verdict.model, verdict.digest, ls, _dossier(request, episode, case, verdict)
    )


def rate_moved(case: Case, rules: Rules) -> bool:
    """Say whether the accept rate is visibly off what the reference expects at this pile-up."""
    accept = case.evidence.accept
    if accept is None or not accept.expected > 0:
        return False
    off = abs(accept.observed - accept.expected)
    return off >= rules.rate_change * accept.expected and off >= rules.rate_sigmas * accept.sigma


def _dossier(request: str, episode: Episode, case: Case, verdict: Verdict) -> dict[str, Any]:
    accept, shifts = case.evidence.accept, case.evidence.shifts
    since, ls = episode.since, case.evidence.lumisection
    effect = None
    if accept is not None:
        ratio = accept.observed / accept.expected if accept.expected > 0 else float("nan")
        effect = {"observed": finite(accept.observed), "expected": finite(accept.expected), "ratio": finite(ratio)}
    return {
        "schema": SCHEMA,
        "id": request,
        "stream": verdict.stream,
        "model": verdict.model,
        "digest": verdict.digest,
        "verdict": verdict.id,
        "run": ls.run,
        "ls": ls.ls,
        "blame": verdict.blame.value,
        "since": {"run": since.run, "ls": since.ls},
        "what": [shift.quantity for shift in shifts],
        "moved": [shift_numbers(shift) for shift in shifts],
        "accept_rate": effect,
        "train_on": {
            "from": {"run": since.run, "ls": since.ls},
            "to": {"run": ls.run, "ls": ls.ls},
            "growing": True,
            "query": f"/api/v1/retrain/{request}/lumisections",
            "table": f"/api/v1/retrain/{request}/lumisections.parquet",
        },
        "reference": case.evidence.reference,
        "state": State.PROPOSED.value,
        "step": Event.PROPOSE.value,
        **case.dossier,
    }
