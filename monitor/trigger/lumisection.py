"""The unit of time of a run."""

from __future__ import annotations

from typing import NamedTuple


class Lumisection(NamedTuple):
    """One lumisection, or what the site calls so, of one run; sorts in the order of data taking.

    A named tuple rather than a dataclass: it is a dictionary key on the hot path.
    """

    run: int
    ls: int

    def __str__(self) -> str:
        return f"{self.run}:{self.ls}"
