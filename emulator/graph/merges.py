"""Layers with two sources."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.formats import Format, Raw
from emulator.graph.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Element by element at full width, then one cast; the shorter source repeats.

    `operation` is one of add, subtract, multiply, average, maximum, minimum.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    operation: str


@dataclass(frozen=True, slots=True, eq=False)
class Dot:
    """Σ a·b, every product cast to `accumulator` and added step by step in it; one output."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    accumulator: Format


@dataclass(frozen=True, slots=True, eq=False)
class Concatenate:
    """Output element i is element gather[i] of the two sources laid end to end, cast from its own source's format."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    gather: Raw
