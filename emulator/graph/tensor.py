"""What flows between two layers: a name, a shape and a format."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emulator.formats import Format


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named array of raw integers per event, flattened in C order wherever it is stored."""

    name: str
    shape: tuple[int, ...]
    format: Format

    @property
    def size(self) -> int:
        """Number of elements per event."""
        return math.prod(self.shape)
