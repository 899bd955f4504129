"""What differs between two integer programs, layer by layer."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.graph import Layer, Program


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: where, of what, in words. Numbers are raw hardware integers."""

    layer: str
    what: str
    words: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"layer {self.layer}, {self.what}: {self.words}"


def changes(left: Program, right: Program) -> tuple[Change, ...]:
    """Return what differs, in the order of the layers; names do not count, only content."""
    found: list[Change] = []
    for ours, theirs in itertools.zip_longest(left.layers, right.layers):
        if ours is None or theirs is None:
            only = ours or theirs
            side = "the first" if theirs is None else "the second"
            found.append(Change(only.name, "layer", f"{type(only).__name__}, in {side} model only"))
        elif type(ours) is not type(theirs):
            found.append(Change(ours.name, "layer", f"{type(ours).__name__} | {type(theirs).__name__}"))
        else:
            found += _fields(ours, theirs)
    return tuple(found)


def _fields(ours: Layer, theirs: Layer) -> Iterator[Change]:
    for field in dataclasses.fields(ours):
        if field.name in {"name", "sources"}:
            continue
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if field.name == "output":
            mine, other = (mine.shape, mine.format), (other.shape, other.format)
        words = _compared(mine, other)
        if words is not None:
            yield Change(ours.name, field.name.replace("_", " "), words)


def _compared(ours: Any, theirs: Any) -> str | None:
    """Return how two values of a field differ, None where they do not."""
    if not (isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray)):
        return (
            None
            if ours is theirs or (type(ours) is type(theirs) and ours == theirs)
            else f"{_said(ours)} | {_said(theirs)}"
        )
    if ours.shape != theirs.shape:
        return f"{ours.shape} | {theirs.shape}"
    apart = np.abs(ours - theirs)
    changed = int(np.count_nonzero(apart))
    if not changed:
        return None
    place = tuple(int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
    return f"{changed} of {ours.size} numbers, most at {list(place)}: {int(ours[place])} | {int(theirs[place])}"


def _said(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"numbers of shape {value.shape}"
    return ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
