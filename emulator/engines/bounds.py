"""What raw inputs must be before an engine runs them: integers, one column an input, inside the input's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Integers
from emulator.graph.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Smallest and largest raw integer of every input column, int64 (inputs,) each."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @classmethod
    def of(cls, tensors: tuple[Tensor, ...]) -> Bounds:
        """Return the bounds of input tensors laid end to end."""
        sizes = [tensor.size for tensor in tensors]
        return cls(
            np.repeat(np.array([tensor.format.low for tensor in tensors], np.int64), sizes),
            np.repeat(np.array([tensor.format.high for tensor in tensors], np.int64), sizes),
        )

    def check_shape(self, raw: NDArray[Any]) -> None:
        """Raise ValueError unless `raw` is integers (n, inputs)."""
        if raw.ndim != 2 or raw.shape[1] != len(self.low) or raw.dtype.kind not in "iu":
            raise ValueError(f"raw inputs are {raw.dtype} {raw.shape}, the model takes integers (n, {len(self.low)})")

    def check(self, block: Integers, *, first: int = 0) -> None:
        """Raise ValueError for the first value that its format cannot hold; `first` is the first event's number."""
        if not len(block) or not ((block.min(axis=0) < self.low).any() or (block.max(axis=0) > self.high).any()):
            return
        event, column = (int(i) for i in np.argwhere((block < self.low) | (block > self.high))[0])
        raise ValueError(
            f"event {first + event}, input {column} is {int(block[event, column])}, its format holds "
            f"{int(self.low[column])} to {int(self.high[column])}: wrong column order, model or units?"
        )
