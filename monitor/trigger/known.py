"""What is known to be going on: scans, masks, calibrations. It silences exactly what it covers, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import tau

from monitor.trigger.lumisection import Lumisection

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Known:
    """One known condition.

    Without a place, an object or quantities it covers the whole lumisection: conditions are not judged in it. Agreement
    between hardware and emulation is never silenced.

    Attributes
    ----------
    kind
        What people call it ("emittance scan", "HEM15 off").
    first, last
        Lumisections that it covers, both included; `last` None: it goes on.
    stream
        The stream that it is about, "" for all.
    object
        Object group of the layout, None for all.
    eta, phi
        Half-open intervals, phi in rad and allowed to wrap; None is everywhere.
    quantities
        Names of quantities, with * and ? as wildcards, that it moves as well.
    """

    kind: str
    first: Lumisection
    last: Lumisection | None = None
    stream: str = ""
    object: str | None = None
    eta: Interval | None = None
    phi: Interval | None = None
    quantities: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """True where it covers everything in its lumisections."""
        return not (self.somewhere or self.quantities)

    @property
    def somewhere(self) -> bool:
        """True where it has a place or an object."""
        return not (self.object is None and self.eta is None and self.phi is None)

    def holds(self, stream: str, lumisection: Lumisection) -> bool:
        """Say whether it covers this lumisection of this stream."""
        return (
            self.stream in ("", stream)
            and self.first <= lumisection
            and (self.last is None or lumisection <= self.last)
        )

    def names(self, quantity: str) -> bool:
        """Say whether it covers a quantity by its name; brackets are those of `jet[0]`, and no wildcard."""
        return any(fnmatchcase(quantity, pattern.replace("[", "[[]")) for pattern in self.quantities)

    def meets(self, object: str | None, eta: Interval | None, phi: Interval | None) -> bool:  # noqa: A002 — the field's word
        """Say whether it covers something that looks at this place.

        What looks everywhere is not covered by a place: it must be named. An object alone covers all that is about it,
        and the places where several kinds of objects are counted together (`object` None).
        """
        if not self.somewhere or (self.object is not None and object is not None and object != self.object):
            return False
        placed = eta is not None or phi is not None
        if self.eta is None and self.phi is None:
            return object == self.object or (object is None and placed)
        return placed and _meet(self.eta, eta) and _meet_around(self.phi, phi)


@dataclass(frozen=True, slots=True)
class KnownConditions:
    """All that is known, of all streams."""

    all: tuple[Known, ...] = ()

    def of(self, stream: str, lumisection: Lumisection) -> tuple[Known, ...]:
        """Return what covers this lumisection of this stream."""
        return tuple(known for known in self.all if known.holds(stream, lumisection))


def _meet(one: Interval | None, other: Interval | None) -> bool:
    return one is None or other is None or (one[0] < other[1] and other[0] < one[1])


def _meet_around(one: Interval | None, other: Interval | None) -> bool:
    if one is None or other is None:
        return True
    wide, across = one[1] - one[0], (other[0] - one[0]) % tau
    return across < wide or across + (other[1] - other[0]) > tau
