"""Layers with several sources."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.formats import Format, Raw
from emulator.graph.later import LATER
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
    """Σ a·b at every position, added step by step in `accumulator`.

    Attributes
    ----------
    left, right
        (positions, n): elements of the first and of the second source that are multiplied; None for all of both, at
        one position.
    whole
        A product is added at full width, and the sum is cast; otherwise every product is cast before it is added.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    accumulator: Format
    left: Raw | None = field(default=None, metadata=LATER)
    right: Raw | None = field(default=None, metadata=LATER)
    whole: bool = field(default=False, metadata=LATER)


@dataclass(frozen=True, slots=True, eq=False)
class Concatenate:
    """Output element i is element gather[i] of all sources laid end to end, cast from its own source's format."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    gather: Raw
