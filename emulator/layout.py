"""Which raw input of a model is which physics object: the input mapping of a card."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GROUP = ("name", "count", "axes")
_AXIS = ("name", "lsb", "unit", "low", "high")  # and periodic, which may be left out
_FARTHEST = 2**63


class BadLayout(ValueError):
    """What is no input mapping; the message names the place, what is wrong, and the remedy."""


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

    Raises
    ------
    BadLayout
        What cannot be: an `lsb` of 0, `low` at `high`, a name that cannot be read.
    """

    name: str
    lsb: float
    unit: str
    low: int
    high: int
    periodic: bool = False

    def __post_init__(self) -> None:
        _check_axis({key: getattr(self, key) for key in (*_AXIS, "periodic")}, f"axis {self.name!r:.60}")


@dataclass(frozen=True, slots=True)
class ObjectGroup:
    """`count` objects of one kind, pt-sorted and zero-filled; object i, axis k is column offset + i*len(axes) + k.

    Raises `BadLayout` for no objects, no axes, or two axes of one name.
    """

    name: str
    offset: int
    count: int
    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        where = f"object group {self.name!r:.60}"
        _check_group({key: getattr(self, key) for key in _GROUP}, where)
        _check_names([axis.name for axis in self.axes], f"{where}, axes")

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
    """The whole input vector, group by group, without holes; raises `BadLayout` for holes and for two of one name."""

    groups: tuple[ObjectGroup, ...]

    def __post_init__(self) -> None:
        offset = 0
        for group in self.groups:
            if group.offset != offset:
                raise BadLayout(
                    f"object group {group.name!r} starts at input {group.offset}, the ones before end at {offset}: "
                    "list the groups in input order and without holes"
                )
            offset = group.stop
        _check_names([group.name for group in self.groups], "object groups")

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
    def from_json(cls, value: Any) -> Layout:
        """Read what `to_json` wrote; raises `BadLayout`."""
        if not isinstance(value, list) or not value:
            raise BadLayout(f"it holds {value!r:.60}: write a list of object groups, each with {', '.join(_GROUP)}")
        groups: list[ObjectGroup] = []
        for number, entry in enumerate(value, 1):
            groups.append(_group(entry, f"object group {number}", offset=groups[-1].stop if groups else 0))
        return cls(tuple(groups))

    @classmethod
    def read(cls, path: Path) -> Layout:
        """Read a JSON file of what `to_json` writes; raises `BadLayout` that names the file."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except BadLayout as error:
            raise BadLayout(f"layout {path}: {error}") from error
        except OSError as error:
            raise BadLayout(f"layout {path} cannot be read: {error.strerror}: check the path") from error
        except (ValueError, RecursionError) as error:
            raise BadLayout(f"layout {path} is not JSON: {error}: write a list of object groups") from error


def _group(entry: Any, where: str, *, offset: int) -> ObjectGroup:
    _check_keys(entry, where, needed=_GROUP)
    _check_group(entry, where)
    axes = tuple(_axis(axis, f"{where}, axis {i}") for i, axis in enumerate(entry["axes"], 1))
    _check_names([axis.name for axis in axes], f"{where}, axes")
    return ObjectGroup(entry["name"], offset, entry["count"], axes)


def _axis(entry: Any, where: str) -> Axis:
    _check_keys(entry, where, needed=_AXIS, optional=("periodic",))
    _check_axis(entry, where)
    # A float stays one, or the digest of a card that has it would be another.
    return Axis(**entry)


def _check_group(group: Mapping[str, Any], where: str) -> None:
    _check_name(group["name"], where)
    if type(group["count"]) is not int or group["count"] < 1:
        raise BadLayout(f"{where} has count = {group['count']!r:.60}: write a whole number, at least 1")
    if not isinstance(group["axes"], list | tuple) or not group["axes"]:
        raise BadLayout(
            f"{where} has axes = {group['axes']!r:.60}: write a list with one entry for each field of the object"
        )


def _check_axis(axis: Mapping[str, Any], where: str) -> None:
    for key in ("lsb", "low", "high"):
        # Compared and not converted: an integer may be too large for a float.
        if (
            not isinstance(axis[key], int | float)
            or isinstance(axis[key], bool)
            or not -math.inf < axis[key] < math.inf
        ):
            raise BadLayout(f"{where} has {key} = {axis[key]!r:.60}: write a number")
    if not 0 < axis["lsb"] <= sys.float_info.max:
        raise BadLayout(f"{where} has lsb = {axis['lsb']!r:.60}: write the physical size of one raw unit, above 0")
    for key in ("low", "high"):
        if axis[key] % 1 or abs(axis[key]) > _FARTHEST:
            raise BadLayout(f"{where} has {key} = {axis[key]!r:.60}: write a whole number of raw units, in 64 bits")
    if not axis["low"] < axis["high"]:
        raise BadLayout(f"{where} is from {axis['low']} to {axis['high']}: write low below high")
    if type(axis.get("periodic", False)) is not bool:
        raise BadLayout(f"{where} has periodic = {axis['periodic']!r:.60}: write true or false")
    _check_name(axis["name"], where)
    _check_text(axis["unit"], "unit", where)


def _check_names(names: list[str], what: str) -> None:
    """Refuse two of one name: what is found in one would be told of the other."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise BadLayout(
                f"{what} {names.index(name) + 1} and {i + 1} are both called {name!r:.60}: give each a name of its own"
            )


def _check_keys(entry: Any, where: str, *, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    takes = ", ".join((*needed, *optional))
    if not isinstance(entry, Mapping):
        raise BadLayout(f"{where} is {entry!r:.60}: write {takes}")
    for key in needed:
        if key not in entry:
            raise BadLayout(f"{where} has no {key!r}: it takes {takes}")
    for key in entry:
        if key not in (*needed, *optional):
            raise BadLayout(f"{where} has {key!r}: it takes {takes}")


def _check_name(name: Any, where: str) -> None:
    _check_text(name, "name", where)
    if not name.strip():
        raise BadLayout(f"{where} has name = {name!r:.60}: give it a name")


def _check_text(text: Any, key: str, where: str) -> None:
    if not isinstance(text, str):
        raise BadLayout(f"{where} has {key} = {text!r:.60}: write a text")
    if not text.isprintable():
        raise BadLayout(f"{where} has {key} = {text!r:.60}: write it in printable characters")
