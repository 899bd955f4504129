"""What a summary counts, decided by the model alone: two summaries add up if and only if their shapes are equal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from emulator.layout import Layout, ObjectGroup
from monitor.observe.binning import BINS, SCORE_BINS, Binning
from monitor.observe.grid import Grid, grids_of
from monitor.trigger.site import DEFAULT

BITS = 32
CROSSINGS = DEFAULT.crossings
MOST_PAIRED = 64
"""Inputs of which all products are summed; of a wider model these many, evenly spread."""
PLAIN_FEATURES = 12
"""Inputs of a model without layout whose products are summed."""

TALLY = (
    "events",
    "accepted",
    "decided",  # events whose decision is known: recorded by the firmware, or score against threshold
    "compared",
    "mismatched",
    "flipped",  # events whose decision differs between hardware and emulation
    "pileup_known",
    "pileup_1024",  # sum of pile-up in units of 1/1024: integers add up exactly in any order
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The model as far as counting goes.

    Attributes
    ----------
    layout
        The input mapping, or None where the inputs are just numbers.
    inputs, outputs
        Widths of the input and output vectors.
    threshold
        Raw; an event is accepted if its first output is at or over it. None if the stream carries the decision.
    crossings
        Bunch crossings in an orbit of the site's machine.
    """

    layout: Layout | None
    inputs: int
    outputs: int
    threshold: int | None
    crossings: int = CROSSINGS

    def __post_init__(self) -> None:
        if self.layout is not None and self.layout.width != self.inputs:
            raise ValueError(
                f"the layout describes {self.layout.width} inputs, the model has {self.inputs}: mend the card's layout"
            )

    def __hash__(self) -> int:
        # Asked for with every batch: the layout, which would be walked from end to end, is left to the comparison.
        return hash((self.inputs, self.outputs, self.threshold))

    @property
    def groups(self) -> tuple[ObjectGroup, ...]:
        """The object groups, none without layout."""
        return () if self.layout is None else self.layout.groups

    @property
    def mapped(self) -> tuple[ObjectGroup, ...]:
        """The object groups that have an eta-phi map."""
        return tuple(g for g in self.groups if g.axis("eta") is not None and g.axis("phi") is not None)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The fine eta-phi grids of the groups of `mapped`."""
        return _grids(self)

    def names(self) -> tuple[str, ...]:
        """Return the name of every input; `input[3]` without layout."""
        return self.layout.names() if self.layout else tuple(f"input[{i}]" for i in range(self.inputs))

    def binnings(self) -> tuple[Binning, ...]:
        """Return the binning of every input."""
        if self.layout is None:
            return (Binning("signed"),) * self.inputs
        return tuple(Binning.of(axis) for group in self.groups for _ in range(group.count) for axis in group.axes)

    def plain(self) -> tuple[int, ...]:
        """Return the inputs that serve as features without layout: up to twelve, evenly spread."""
        count = min(self.inputs, PLAIN_FEATURES)
        return tuple(i * self.inputs // count for i in range(count)) if self.layout is None else ()

    @property
    def paired(self) -> tuple[int, ...]:
        """The inputs of which all products are summed."""
        count = min(self.inputs, MOST_PAIRED)
        return tuple(i * self.inputs // count for i in range(count))

    def features(self) -> tuple[tuple[str, str], ...]:
        """Return the (object, feature) pairs whose products are summed; the score's bin comes last."""
        found = [("", f"input[{i}]") for i in self.plain()]
        for group in self.groups:
            several = group.count > 1  # of a single object, "how many" is nearly constant and its sum is itself
            found += [(group.name, "multiplicity")] if several else []
            found += [(group.name, "leading")]
            found += [(group.name, "sum")] if several else []
        return (*found, ("", "score"))

    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all count arrays of a summary."""
        features = len(self.features())
        return {
            "bits": (self.outputs, BITS),
            "bx": (2, self.crossings),
            "emulated": (self.outputs, SCORE_BINS),
            "inputs": (self.inputs, BINS + 1),
            "mismatched": (self.outputs,),
            "paired": (len(self.paired),),
            "pairs": (len(self.paired) * (len(self.paired) + 1) // 2,),
            "products": (features, features),
            "score": (self.outputs, SCORE_BINS),
            "sums": (features,),
            "tally": (len(TALLY),),
            "towers": (sum(grid.size for grid in self.grids),),
        }

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` reads back."""
        return {
            "layout": None if self.layout is None else self.layout.to_json(),
            "inputs": self.inputs,
            "outputs": self.outputs,
            "threshold": self.threshold,
            "crossings": self.crossings,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Shape:
        """Read what `to_json` wrote."""
        layout = None if value["layout"] is None else Layout.from_json(value["layout"])
        return cls(layout, value["inputs"], value["outputs"], value["threshold"], value["crossings"])

    def digest(self) -> str:
        """Return the content digest: equal shapes, equal digests."""
        return _digest(self)


@lru_cache(maxsize=64)
def _grids(shape: Shape) -> tuple[Grid, ...]:
    return grids_of(shape.mapped)


@lru_cache(maxsize=64)
def _digest(shape: Shape) -> str:
    # Remembered because every judged lumisection asks; a shape is immutable, so the memory cannot lie.
    return hashlib.sha256(json.dumps(shape.to_json(), sort_keys=True).encode()).hexdigest()
