"""The mismatching events that are kept whole: the 64 earliest, whatever the order they came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Up to `KEPT` mismatching events with the smallest (orbit, bx, event), in that order.

    Attributes
    ----------
    orbit : uint32 (n,)
    bx : uint16 (n,)
    event : uint64 (n,)
    inputs : int32 (n, inputs)
        Raw hardware integers.
    hardware, emulated : int64 (n, outputs)
        Raw scores.
    """

    orbit: NDArray[np.uint32]
    bx: NDArray[np.uint16]
    event: NDArray[np.uint64]
    inputs: NDArray[np.int32]
    hardware: NDArray[np.int64]
    emulated: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.event)

    @classmethod
    def empty(cls, inputs: int, outputs: int) -> Sample:
        """Return a sample of no events."""
        return cls(
            orbit=np.zeros(0, np.uint32),
            bx=np.zeros(0, np.uint16),
            event=np.zeros(0, np.uint64),
            inputs=np.zeros((0, inputs), np.int32),
            hardware=np.zeros((0, outputs), np.int64),
            emulated=np.zeros((0, outputs), np.int64),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {name: getattr(self, name) for name in ("orbit", "bx", "event", "inputs", "hardware", "emulated")}

    def earliest(self) -> Sample:
        """Return the `KEPT` earliest events, sorted; content breaks ties, so that the order of arrival is forgotten."""
        if len(self) <= 1:
            return self
        order = np.lexsort((self.event, self.bx, self.orbit))
        cut = order[min(KEPT, len(order)) - 1]
        near = self.orbit[order] <= self.orbit[cut]  # equal orbits may tie: only among these does content decide
        chosen = self.select(order[near])
        content = [*chosen.emulated.T, *chosen.hardware.T, *chosen.inputs.T]
        return chosen.select(np.lexsort((*content, chosen.event, chosen.bx, chosen.orbit))[:KEPT])

    def select(self, rows: NDArray[np.intp]) -> Sample:
        """Return the events of `rows`."""
        return Sample(
            self.orbit[rows],
            self.bx[rows],
            self.event[rows],
            self.inputs[rows],
            self.hardware[rows],
            self.emulated[rows],
        )

    def __add__(self, other: Sample) -> Sample:
        if not len(self) or not len(other):
            return self if len(self) else other
        mine, theirs = self.arrays(), other.arrays()
        columns = {name: np.concatenate([mine[name], theirs[name]]) for name in mine}
        return Sample(**columns).earliest()
