"""The lumisections that a retraining should learn from, and why each of the others should not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby, pairwise
from typing import Any

from monitor.decide.retrain import Request, State
from monitor.decide.verdict import Blame, Level
from monitor.trigger.lumisection import Lumisection

SCHEMA = "training/1"
GROWS = frozenset({State.PROPOSED, State.APPROVED})
ELSEWHERE = frozenset({Blame.FIRMWARE, Blame.IDENTITY, Blame.STREAM, Blame.MONITOR})


class Unfit(StrEnum):
    """Why a lumisection is not to be trained on; the first that holds is said."""

    MISMATCHES = "scores differ from emulation"
    INCOMPLETE = "incomplete"
    NOT_EMULATED = "not re-emulated"
    BLAMED = "blamed on firmware, identity, stream or monitor"
    NOT_JUDGED = "conditions not judged"
    LOCAL = "a fault with a place in eta or phi"
    NORMAL = "conditions back to normal"
    ABSENT = "no data"


@dataclass(frozen=True, slots=True)
class Material:
    """One lumisection of the model in question; `unfit` is None where it may be trained on."""

    lumisection: Lumisection
    events: int
    pileup: float | None
    level: Level
    mismatches: int
    unfit: Unfit | None

    @property
    def usable(self) -> bool:
        """Whether it may be trained on."""
        return self.unfit is None

    def to_json(self) -> dict[str, Any]:
        """Return one row of the table, JSON values only."""
        return {
            "run": self.lumisection.run,
            "ls": self.lumisection.ls,
            "events": self.events,
            "pileup": self.pileup,
            "level": self.level.value,
            "mismatches": self.mismatches,
            "usable": self.usable,
            "reason": "" if self.unfit is None else self.unfit.value,
        }


@dataclass(frozen=True, slots=True)
class Training:
    """Everything between the change and the end of the request's episode, in the order of data taking.

    `growing` is True while the episode lasts and nobody has begun to train: then more may come.
    """

    request: Request
    state: State
    materials: tuple[Material, ...]
    growing: bool

    def query(self) -> dict[str, Any]:
        """Return what to ask a data catalogue for; `runs` has the form of a list of certified lumisections."""
        usable = [each for each in self.materials if each.usable]
        spans = [*_spans((each.lumisection, each.unfit) for each in self.materials)]
        excluded = [*spans, *_gaps(self.materials)]
        runs: dict[str, list[list[int]]] = {}
        for run, first, last, unfit in spans:
            if unfit is None:
                runs.setdefault(str(run), []).append([first, last])
        return {
            "schema": SCHEMA,
            "id": self.request.id,
            "stream": self.request.stream,
            "model": self.request.model,
            "digest": self.request.digest,
            "state": self.state.value,
            "growing": self.growing,
            "lumisections": len(usable),
            "events": sum(each.events for each in usable),
            "runs": runs,
            "excluded": [
                {"run": run, "first": first, "last": last, "reason": unfit.value}
                for run, first, last, unfit in sorted(excluded, key=lambda span: span[:2])
                if unfit is not None
            ],
        }


def training(request: Request, state: State, rows: Sequence[Mapping[str, Any]]) -> Training:
    """Sort the judged lumisections of a request.

    Parameters
    ----------
    rows
        The stream's judged lumisections since the change, as the store keeps them, in the order of data taking. Those
        of other models are none of the request's business.
    """
    own = [row for row in rows if _is_about(row, request)]
    episode = [number for number, row in enumerate(own) if row["verdict"] == request.dossier["verdict"]]
    if not episode:
        return Training(request, state, (), growing=False)
    first, last = episode[0], episode[-1]
    # Before the episode's first lumisection the level was not reached yet, but the change point says: moved already.
    materials = [_material(row, begun=number >= first) for number, row in enumerate(own[: last + 1])]
    growing = last == len(own) - 1 and state in GROWS
    return Training(request, state, tuple(_joined(materials)), growing=growing)


def _is_about(row: Mapping[str, Any], request: Request) -> bool:
    return bool(row["digest"] == request.digest and (request.digest or row["model"] == request.model))


def _material(row: Mapping[str, Any], *, begun: bool) -> Material:
    return Material(
        lumisection=Lumisection(row["run"], row["ls"]),
        events=row["events"],
        pileup=row["evidence"]["pileup"],
        level=Level(row["level"]),
        mismatches=row["mismatched"],
        unfit=_unfit(row, begun=begun),
    )


def _unfit(row: Mapping[str, Any], *, begun: bool) -> Unfit | None:
    evidence, level, blame = row["evidence"], Level(row["level"]), Blame(row["blame"])
    reasons = {
        # A stream that is known for a share of mismatches keeps the lumisections that have no more than that.
        Unfit.MISMATCHES: row["mismatched"] > evidence["agreement"]["floor"] * row["compared"],
        Unfit.INCOMPLETE: _is_incomplete(evidence["completeness"]),
        Unfit.NOT_EMULATED: row["compared"] < row["events"],
        Unfit.BLAMED: blame in ELSEWHERE,
        Unfit.NOT_JUDGED: not row["events"] or evidence["unjudged"] is not None or level is Level.UNKNOWN,
        Unfit.LOCAL: blame is Blame.DETECTOR and _is_placed(row),
        Unfit.NORMAL: begun and level is Level.OK,
    }
    return next((unfit for unfit, holds in reasons.items() if holds), None)


def _is_incomplete(arrived: Mapping[str, Any]) -> bool:
    short = arrived["declared"] is not None and arrived["received"] != arrived["declared"]
    return bool(short or arrived["lost_batches"] or arrived["missing_partitions"])


def _is_placed(row: Mapping[str, Any]) -> bool:
    where = row.get("where")
    if where is None:  # kept by a version that did not keep the place: the leading quantity's is the same one
        shifts = row["evidence"]["shifts"]
        where = shifts[0]["where"] if shifts else {}
    return where.get("eta") is not None or where.get("phi") is not None


def _joined(materials: Iterable[Material]) -> Iterable[Material]:
    """Yield one entry for each lumisection: its epochs together are as fit as the least fit of them."""
    for _, same in groupby(materials, key=lambda each: each.lumisection):
        whole, *others = same
        for other in others:
            events = whole.events + other.events
            whole = replace(
                whole,
                events=events,
                pileup=_mean((whole.pileup, whole.events), (other.pileup, other.events)),
                level=max(whole.level, other.level, key=lambda level: level.number),
                mismatches=whole.mismatches + other.mismatches,
                unfit=whole.unfit or other.unfit,
            )
        yield whole


def _mean(*parts: tuple[float | None, int]) -> float | None:
    known = [(value, events) for value, events in parts if value is not None]
    total = sum(events for _, events in known)
    return sum(value * events for value, events in known) / total if total else None


def _spans(
    marks: Iterable[tuple[Lumisection, Unfit | None]],
) -> Iterable[tuple[int, int, int, Unfit | None]]:
    """Yield (run, first, last, reason) of neighbouring lumisections with one and the same reason."""
    numbered = ((ls, unfit, ls.ls - number) for number, (ls, unfit) in enumerate(marks))
    for (run, unfit, _), same in groupby(numbered, key=lambda each: (each[0].run, each[1], each[2])):
        members = [ls.ls for ls, _, _ in same]
        yield run, members[0], members[-1], unfit


def _gaps(materials: Sequence[Material]) -> Iterable[tuple[int, int, int, Unfit | None]]:
    """Yield the lumisections of which nothing is known: nothing came, or another model ran, or it is kept no more."""
    for before, after in pairwise(each.lumisection for each in materials):
        if before.run == after.run and after.ls > before.ls + 1:
            yield before.run, before.ls + 1, after.ls - 1, Unfit.ABSENT
