"""Which raw input of a model is which physics object: the input mapping of a card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Axis:
    """One field of an object in raw hardware integers.

    Attributes
    ----------
    name
        "pt", "eta", "phi" or a site's own word.
    lsb
        Physical size of one raw unit.
    unit
        The physical unit ("GeV", "rad", "").
    low, high
        Raw domain: low <= raw < high. For a periodic axis, high - low is the period.
    periodic
        True for an angle that wraps.
    """

    name: str
    lsb: float
    unit: str
    low: int
    high: int
    periodic: bool = False


@dataclass(frozen=True, slots=True)
class ObjectGroup:
    """`count` objects of one kind, pt-sorted and zero-filled; object i, axis k is column offset + i*len(axes) + k."""

    name: str
    offset: int
    count: int
    axes: tuple[Axis, ...]

    def column(self, index: int, axis: int) -> int:
        """Return the input column of axis number `axis` of object number `index`."""
        return self.offset + index * len(self.axes) + axis

    def axis(self, name: str) -> int | None:
        """Return the number of the axis called `name`, or None."""
        return next((k for k, axis in enumerate(self.axes) if axis.name == name), None)

    @property
    def stop(self) -> int:
        """The first column behind this group."""
        return self.offset + self.count * len(self.axes)


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole input vector, group by group, without holes."""

    groups: tuple[ObjectGroup, ...]

    def __post_init__(self) -> None:
        offset = 0
        for group in self.groups:
            if group.offset != offset:
                raise ValueError(
                    f"object group {group.name!r} starts at input {group.offset}, the ones before end at {offset}: "
                    "list the groups in input order and without holes"
                )
            offset = group.stop

    def __iter__(self) -> Iterator[ObjectGroup]:
        return iter(self.groups)

    @property
    def width(self) -> int:
        """Number of inputs."""
        return self.groups[-1].stop if self.groups else 0

    def names(self) -> tuple[str, ...]:
        """Return the name of every input: `jet[3].phi`; a group of one object has no index."""
        return tuple(
            f"{group.name}{f'[{i}]' if group.count > 1 else ''}.{axis.name}"
            for group in self.groups
            for i in range(group.count)
            for axis in group.axes
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Return a JSON value that `from_json` reads back."""
        return [
            {
                "name": group.name,
                "count": group.count,
                "axes": [
                    {"name": a.name, "lsb": a.lsb, "unit": a.unit, "low": a.low, "high": a.high, "periodic": a.periodic}
                    for a in group.axes
                ],
            }
            for group in self.groups
        ]

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> Layout:
        """Read what `to_json` wrote; raises ValueError that names what is wrong."""
        groups: list[ObjectGroup] = []
        for entry in value:
            try:
                axes = tuple(Axis(**axis) for axis in entry["axes"])
                offset = groups[-1].stop if groups else 0
                groups.append(ObjectGroup(entry["name"], offset, int(entry["count"]), axes))
            except (KeyError, TypeError) as error:
                raise ValueError(f"input layout entry {entry!r} is not an object group: {error}") from error
        return cls(tuple(groups))
