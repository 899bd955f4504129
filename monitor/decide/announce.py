"""When something is said, and to whom: only changes are spoken, everything else is history.

Payloads: VERDICT is the verdict of DESIGN §5 with `change` ("started", "level", "blame", "ended") and `previous` (id,
level and blame of what was said before, or None). PAGE is the verdict with `status` ("firing" or "resolved").
RETRAIN is the dossier. ANNOTATE has `run`, `ls`, `text` and `tags`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from monitor.decide.action import Action, Kind
from monitor.decide.retrain import Request
from monitor.decide.standing import Episode, Standing
from monitor.decide.table import Question, Row
from monitor.decide.verdict import Level, Verdict, identify
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection

SCHEMA = "action/1"
VERDICT_SCHEMA = "verdict/1"
Episodes = dict[Question, Episode]


def announce(
    before: Standing, episodes: Episodes, *, verdict: Verdict, top: Row | None, request: Request | None
) -> tuple[tuple[Action, ...], Episodes]:
    """Return what to say about the step from `before` to `verdict`, and the episodes with their pages noted."""
    change = _change(before, verdict)
    spoken = [*_resolved(before, episodes, verdict)]
    if change is not None:
        spoken += [_verdict(before, verdict, change), _mark(verdict)]
    if top is not None and top.level is Level.ACT and (change is not None or not episodes[top.question].paged):
        spoken.append(_page(verdict.to_json(), stream=verdict.stream, ls=verdict.lumisection, status="firing"))
        episodes = {**episodes, top.question: replace(episodes[top.question], paged=True)}
    if request is not None:
        spoken.append(Action(request.id, Kind.RETRAIN, request.stream, request.dossier))
    return tuple(spoken), episodes


def conclude(standing: Standing, lumisection: Lumisection) -> tuple[Action, ...]:
    """Return what to say when the model is not seen any more: whoever was paged for it is told that it is over."""
    return tuple(
        _page(
            _closing(standing, question, episode, lumisection),
            stream=standing.stream,
            ls=lumisection,
            status="resolved",
        )
        for question, episode in sorted(standing.episodes.items())
        if episode.paged
    )


def new_epoch(stream: str, *, before: Epoch, after: Epoch, lumisection: Lumisection) -> Action:
    """Return a mark for a change of model, menu, firmware or prescale column: said aloud, never an alarm by itself."""
    names = ("model", "digest", "menu", "firmware", "prescale_column")
    changed = [name for name in names if getattr(before, name) != getattr(after, name)]
    words = "; ".join(f"{name}: {getattr(before, name)} -> {getattr(after, name)}" for name in changed)
    return Action(
        id=identify(SCHEMA, Kind.ANNOTATE, stream, *lumisection, *_names(before), *_names(after)),
        kind=Kind.ANNOTATE,
        stream=stream,
        payload={
            "run": lumisection.run,
            "ls": lumisection.ls,
            "text": f"{stream}: new epoch, {words}",
            "tags": ["trigwatch", stream, "epoch"],
        },
    )


def _names(epoch: Epoch) -> tuple[str, ...]:
    return epoch.model, epoch.digest, epoch.menu, epoch.firmware, epoch.prescale_column


def _change(before: Standing, verdict: Verdict) -> str | None:
    shown = before.shown
    if shown is None or shown.id != verdict.id:
        if verdict.level is Level.OK:
            return None if shown is None or shown.level is Level.OK else "ended"
        return "started"
    if shown.level is not verdict.level:
        return "level"
    return None if shown.blame is verdict.blame else "blame"


def _resolved(before: Standing, episodes: Episodes, verdict: Verdict) -> list[Action]:
    """Say that a page is over where its evidence is, not where something else is merely shown instead."""
    spoken = []
    for question, old in sorted(before.episodes.items()):
        new = episodes.get(question)
        if old.paged and (new is None or new.level is not Level.ACT):
            payload = _closing(before, question, old, verdict.lumisection)
            spoken.append(_page(payload, stream=verdict.stream, ls=verdict.lumisection, status="resolved"))
            if new is not None:
                episodes[question] = replace(new, paged=False)
    return spoken


def _closing(standing: Standing, question: Question, episode: Episode, ls: Lumisection) -> dict[str, Any]:
    closing = Verdict(
        id=identify(VERDICT_SCHEMA, standing.stream, standing.subject, question.value, *episode.first),
        stream=standing.stream,
        model=standing.model,
        digest=standing.digest,
        lumisection=ls,
        level=episode.level,
        blame=episode.blame,
        since=episode.since,
        what=episode.what,
        where=episode.where,
        evidence={},
        action=episode.action,
        capsule=episode.capsule,
    )
    return closing.to_json()


def _verdict(before: Standing, verdict: Verdict, change: str) -> Action:
    shown = before.shown
    previous = None if shown is None else {"id": shown.id, "level": shown.level.value, "blame": shown.blame.value}
    return Action(
        id=_id(Kind.VERDICT, verdict.id, verdict.lumisection, verdict.level.value, verdict.blame.value),
        kind=Kind.VERDICT,
        stream=verdict.stream,
        payload={**verdict.to_json(), "change": change, "previous": previous},
    )


def _mark(verdict: Verdict) -> Action:
    return Action(
        id=_id(Kind.ANNOTATE, verdict.id, verdict.lumisection, verdict.level.value, verdict.blame.value),
        kind=Kind.ANNOTATE,
        stream=verdict.stream,
        payload={
            "run": verdict.lumisection.run,
            "ls": verdict.lumisection.ls,
            "text": f"{verdict.stream}: {verdict.level.value}, {verdict.blame.value}. {verdict.action}",
            "tags": ["trigwatch", verdict.stream, verdict.level.value, verdict.blame.value],
        },
    )


def _page(payload: Mapping[str, Any], *, stream: str, ls: Lumisection, status: str) -> Action:
    return Action(
        id=_id(Kind.PAGE, payload["id"], ls, status, payload["blame"]),
        kind=Kind.PAGE,
        stream=stream,
        payload={**payload, "status": status},
    )


def _id(kind: Kind, verdict: str, ls: Lumisection, *state: str) -> str:
    return identify(SCHEMA, kind.value, verdict, ls.run, ls.ls, *state)
