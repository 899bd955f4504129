"""The file of known conditions: TOML that people write, or JSON lines that another program appends to."""

from __future__ import annotations

import json
import logging
import math
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.drift.covered import covered_by
from monitor.observe.shape import Shape
from monitor.trigger.known import Known, KnownConditions
from monitor.trigger.lumisection import Lumisection

LINES = ".jsonl"
_KEYS = frozenset({"kind", "first", "last", "stream", "object", "eta", "phi", "quantities"})
log = logging.getLogger(__name__)


class BadKnown(ValueError):
    """The file cannot be followed; the message names the entry, what is wrong, and the remedy."""


class KnownFile:
    """Read anew whenever it has changed; while it cannot be read, what was known before goes on."""

    def __init__(self, path: Path) -> None:
        """Read `path` for the first time; raises `BadKnown`."""
        self._path = path
        self._stamp = _stamp(path)
        self.conditions = read(path)
        self.problems: tuple[str, ...] = ()

    def renewed(self) -> bool:
        """Look whether the file has changed, and read it then; return whether something else is known now."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return False
        try:
            conditions = read(self._path)
        except BadKnown as error:
            if not isinstance(error.__cause__, OSError):  # what could not be read now may be readable next time
                self._stamp = stamp
            return self._refused(f"{error}; what was known before goes on")
        self._stamp = stamp
        changed, self.conditions, self.problems = conditions != self.conditions, conditions, ()
        return changed

    def _refused(self, problem: str) -> bool:
        if (problem,) != self.problems:
            log.error("%s", problem)
        self.problems = (problem,)
        return False


def strangers(conditions: KnownConditions, *, streams: Collection[str], shapes: Sequence[Shape]) -> tuple[str, ...]:
    """Return, in sentences, the names in known conditions that nothing here bears: such a condition silences nothing.

    Parameters
    ----------
    streams
        The configured streams.
    shapes
        Of all models at hand.
    """
    objects = sorted({group.name for shape in shapes for group in shape.groups})
    found: list[str] = []
    for known in conditions.all:
        where = f"condition {known.kind!r} from {known.first}"
        if known.stream and known.stream not in streams:
            found.append(f"{where} is about stream {known.stream!r}: configured are {', '.join(sorted(streams))}")
        if not shapes:
            continue  # without a model nobody can say what a condition's other names are
        if known.object is not None and known.object not in objects:
            found.append(f"{where} is about object {known.object!r}: the models have {', '.join(objects) or 'none'}")
        elif (known.eta or known.phi) and not _covers(replace(known, quantities=()), shapes):
            found.append(f"{where} covers a place where nothing looks: eta {known.eta}, phi {known.phi}")
        found += [
            f"{where} covers the quantity {pattern!r}: no quantity of any model is called so"
            for pattern in known.quantities
            if not _covers(Known(known.kind, known.first, quantities=(pattern,)), shapes)
        ]
    return tuple(found)


def _covers(known: Known, shapes: Sequence[Shape]) -> bool:
    covered = (covered_by((known,), shape) for shape in shapes)
    if known.quantities:
        return any(each.quantities.any() or each.windows.any() for each in covered)
    return any(each.windows.any() for each in covered)


def read(path: Path) -> KnownConditions:
    """Read a file of known conditions; raises `BadKnown`."""
    try:
        content = path.read_text(encoding="utf-8")
        entries = _lines(content) if path.suffix.lower() == LINES else _tables(content)
        found = {}
        for number, entry in entries:
            known = _known(number, entry)
            found[known.kind, known.first, known.stream, known.object] = known  # a later one says how it ended
        return KnownConditions(tuple(found.values()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadKnown(f"{path}: {error}") from error


def _lines(content: str) -> Iterator[tuple[int, Any]]:
    """Yield the entries; a last line without an end is still being written."""
    whole, _, _ = content.rpartition("\n")
    for number, line in enumerate(whole.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is not JSON: {error}") from error


def _tables(content: str) -> Iterator[tuple[int, Any]]:
    document = tomllib.loads(content)
    entries = document.get("condition", [])
    if not isinstance(entries, list) or document.keys() - {"condition"}:
        surplus = sorted(document.keys() - {"condition"})
        raise ValueError(f"it holds {surplus or 'no list of conditions'}: write one [[condition]] for each")
    yield from enumerate(entries, 1)


def _known(number: int, entry: Any) -> Known:
    where = f"condition {number}"
    if not isinstance(entry, Mapping):
        raise TypeError(f"{where} is {entry!r}: write kind, first and what else it covers")
    if surplus := sorted(entry.keys() - _KEYS):
        raise ValueError(f"{where} has {surplus[0]!r}: known are {', '.join(sorted(_KEYS))}")
    kind = entry.get("kind")
    if not isinstance(kind, str) or not kind:
        raise ValueError(f"{where} has the kind {kind!r}: say in words what it is")
    first, last = _lumisection(where, entry, "first"), _lumisection(where, entry, "last") if "last" in entry else None
    if last is not None and last < first:
        raise ValueError(f"{where} ends at {last}, before it begins at {first}: exchange them")
    quantities = entry.get("quantities", [])
    if not isinstance(quantities, list) or not all(isinstance(name, str) for name in quantities):
        raise ValueError(f"{where} has the quantities {quantities!r}: write a list of names")
    if "quantities" in entry and not quantities:
        raise ValueError(f"{where} has quantities = []: name some, or leave it out to cover what else it says")
    return Known(
        kind=kind,
        first=first,
        last=last,
        stream=_name(where, entry, "stream") or "",
        object=_name(where, entry, "object"),
        eta=_interval(where, entry, "eta"),
        phi=_interval(where, entry, "phi"),
        quantities=tuple(quantities),
    )


def _lumisection(where: str, entry: Mapping[str, Any], key: str) -> Lumisection:
    value = entry.get(key)
    if not isinstance(value, list) or [type(part) for part in value] != [int, int] or min(value) < 0:
        raise ValueError(f"{where} has {key} = {value!r}: write [run, lumisection]")
    return Lumisection(*value)


def _interval(where: str, entry: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    if key not in entry:
        return None
    value = entry[key]
    numbers = isinstance(value, list) and [type(part) in (int, float) for part in value] == [True, True]
    if not numbers or not all(math.isfinite(part) for part in value) or not value[0] < value[1]:
        raise ValueError(f"{where} has {key} = {value!r}: write [from, to], from below to")
    if key == "phi" and value[1] - value[0] > math.tau:
        raise ValueError(f"{where} has phi = {value!r}: that is more than once around; write radians")
    return float(value[0]), float(value[1])


def _name(where: str, entry: Mapping[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{where} has {key} = {value!r}: write a name")
    if value == "":
        raise ValueError(f"{where} has {key} = '': write a name, or leave it out to cover all")
    return value


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
