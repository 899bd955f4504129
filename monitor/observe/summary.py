"""Everything that is remembered of the events of one lumisection: sums of integers, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emulator.pack import Unreadable, pack, unpack
from monitor.observe.sample import Sample
from monitor.observe.shape import TALLY, Shape
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection

Counts = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True, order=True)
class SummaryKey:
    """Which events belong together."""

    stream: str
    lumisection: Lumisection
    epoch: Epoch


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """A commutative monoid: `a + b` is exactly associative and commutative, byte for byte.

    Attributes
    ----------
    key
        Stream, lumisection and epoch; only summaries of one key add up.
    shape
        What is counted; fixes the shapes of `counts` (see `Shape.arrays`).
    counts
        int64 arrays by name (see `Shape.arrays`).
    not_comparable
        Events that could not be re-emulated, by reason.
    sample
        The earliest mismatching events.
    """

    key: SummaryKey
    shape: Shape
    counts: Counts
    not_comparable: Mapping[str, int]
    sample: Sample

    @classmethod
    def empty(cls, key: SummaryKey, shape: Shape) -> Summary:
        """Return the neutral element: no events."""
        counts = {name: np.zeros(size, np.int64) for name, size in shape.arrays().items()}
        return cls(key, shape, counts, {}, Sample.empty(shape.inputs, shape.outputs))

    def tally(self, name: str) -> int:
        """Return one of the scalar counts named in `TALLY`."""
        return int(self.counts["tally"][TALLY.index(name)])

    @property
    def events(self) -> int:
        """Number of events."""
        return self.tally("events")

    @property
    def accepted(self) -> int:
        """Events that the trigger kept, of `tally("decided")`."""
        return self.tally("accepted")

    @property
    def compared(self) -> int:
        """Events that were re-emulated."""
        return self.tally("compared")

    @property
    def mismatched(self) -> int:
        """Compared events with at least one differing bit in the raw score."""
        return self.tally("mismatched")

    @property
    def pileup(self) -> float:
        """Mean pile-up over the events where it is known, else NaN."""
        known = self.tally("pileup_known")
        return self.tally("pileup_1024") / 1024 / known if known else float("nan")

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean (p,) and covariance (p, p) of the bins of the `paired` inputs; 0 where there are no events."""
        count, events = len(self.shape.paired), max(self.events, 1)
        mean = self.counts["paired"] / events
        square = np.zeros((count, count))
        square[_below(count)] = self.counts["pairs"] / events
        square = np.maximum(square, square.T)
        return mean, square - np.outer(mean, mean)

    def __add__(self, other: Summary) -> Summary:
        if self.key != other.key or self.shape != other.shape:
            raise ValueError(
                f"summaries of {self.key} and {other.key} do not add up: only those of one stream, lumisection, "
                "epoch and shape do; keep them apart"
            )
        counts = {name: self.counts[name] + other.counts[name] for name in self.counts}
        reasons = {**self.not_comparable}
        for reason, events in other.not_comparable.items():
            reasons[reason] = reasons.get(reason, 0) + events
        return Summary(self.key, self.shape, counts, reasons, self.sample + other.sample)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: equal content, equal bytes."""
        names = {
            "stream": self.key.stream,
            "lumisection": list(self.key.lumisection),
            "epoch": _epoch_json(self.key.epoch),
            "shape": self.shape.to_json(),
            "not_comparable": dict(self.not_comparable),
        }
        sample = {f"sample.{name}": column for name, column in self.sample.arrays().items()}
        narrow = {name: _narrow(values) for name, values in self.counts.items()}
        return pack(names, {**narrow, **sample})

    @classmethod
    def from_bytes(cls, content: bytes) -> Summary:
        """Read what `to_bytes` wrote; raises `Unreadable`."""
        names, arrays = unpack(content)
        try:
            shape = Shape.from_json(names["shape"])
            key = SummaryKey(names["stream"], Lumisection(*names["lumisection"]), Epoch(**names["epoch"]))
            counts = {name: arrays[name].astype(np.int64).reshape(size) for name, size in shape.arrays().items()}
            columns = {name[7:]: column for name, column in arrays.items() if name.startswith("sample.")}
            return cls(key, shape, counts, names["not_comparable"], Sample(**columns))
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"{len(content)} bytes are packed, but are not a summary: {error}") from error


@lru_cache(maxsize=16)
def _below(count: int) -> tuple[NDArray[np.intp], ...]:
    # Remembered, because every judged lumisection asks and making them takes as long as all the rest.
    return np.tril_indices(count)


def _narrow(values: NDArray[np.int64]) -> NDArray[np.integer]:
    # Most counts are small: the narrowest type that holds them keeps a summary under 100 kB, and stays canonical
    # because it depends on the values only.
    peak = int(np.abs(values).max(initial=0))
    for kind in (np.int8, np.int16, np.int32):
        if peak <= np.iinfo(kind).max:
            return values.astype(kind)
    return values


def _epoch_json(epoch: Epoch) -> dict[str, str]:
    return {
        "model": epoch.model,
        "digest": epoch.digest,
        "menu": epoch.menu,
        "firmware": epoch.firmware,
        "prescale_column": epoch.prescale_column,
    }
