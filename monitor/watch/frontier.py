"""How far one partition has been read: all that is needed to go on after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.trigger.lumisection import Lumisection


@dataclass(frozen=True, slots=True)
class Producer:
    """The newest batch of one producer: its sequence number and how far in the run it reached."""

    sequence: int
    run: int
    ls: int
    orbit: int


@dataclass(frozen=True, slots=True)
class OpenMark:
    """A lumisection that was open: the offset of its first record, and when later ones began to arrive, if they did."""

    lumisection: Lumisection
    first: int
    overtaken: float | None


@dataclass(frozen=True, slots=True)
class StreamMark:
    """One stream on this partition: the newest closed lumisection, the open ones, and what was noticed since.

    `doubted` is a lumisection too far ahead to be believed at once.
    """

    closed: Lumisection | None = None
    open: tuple[OpenMark, ...] = ()
    doubted: Lumisection | None = None
    lost_batches: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frontier:
    """The state of one partition without its sums, which are read again.

    Attributes
    ----------
    resume
        Where reading starts again: the first record that contributes to an open lumisection.
    next
        The first record that was never looked at. What lies between is added up again, but never reported again.
    refused
        Half-open offset ranges between the two that were rejected then, and are skipped in silence.
    clock
        The newest record time believed, seconds since the epoch.
    """

    resume: int
    next: int
    clock: float = 0.0
    producers: Mapping[str, Producer] = field(default_factory=dict)
    streams: Mapping[str, StreamMark] = field(default_factory=dict)
    refused: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` reads back."""
        return {
            "resume": self.resume,
            "next": self.next,
            "clock": self.clock,
            "producers": {name: [p.sequence, p.run, p.ls, p.orbit] for name, p in self.producers.items()},
            "streams": {name: _mark_to_json(mark) for name, mark in self.streams.items()},
            "refused": [list(each) for each in self.refused],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Frontier:
        """Read what `to_json` wrote; raises ValueError that says what is wrong."""
        try:
            return cls(
                resume=int(value["resume"]),
                next=int(value["next"]),
                clock=float(value["clock"]),
                producers={name: Producer(*numbers) for name, numbers in value["producers"].items()},
                streams={name: _mark_from_json(mark) for name, mark in value["streams"].items()},
                refused=tuple((int(start), int(stop)) for start, stop in value["refused"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a frontier: {error!r} in {value!r}") from error


def _mark_to_json(mark: StreamMark) -> dict[str, Any]:
    return {
        "closed": None if mark.closed is None else list(mark.closed),
        "open": [[*each.lumisection, each.first, each.overtaken] for each in mark.open],
        "doubted": None if mark.doubted is None else list(mark.doubted),
        "lost_batches": mark.lost_batches,
        "rejected": dict(mark.rejected),
    }


def _mark_from_json(value: Mapping[str, Any]) -> StreamMark:
    return StreamMark(
        closed=None if value["closed"] is None else Lumisection(*value["closed"]),
        open=tuple(OpenMark(Lumisection(run, ls), first, overtaken) for run, ls, first, overtaken in value["open"]),
        doubted=None if value["doubted"] is None else Lumisection(*value["doubted"]),
        lost_batches=int(value["lost_batches"]),
        rejected=dict(value["rejected"]),
    )
