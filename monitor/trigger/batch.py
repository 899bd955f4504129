"""What one Kafka record becomes: events, the end of a lumisection, or a rejection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from monitor.trigger.header import Header
from monitor.trigger.lumisection import Lumisection


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Events as the trigger recorded them; all columns have the same length n.

    Attributes
    ----------
    run, ls, orbit : uint32 (n,)
    event : uint64 (n,)
    bx : uint16 (n,)
        Bunch crossing within the orbit.
    pileup : float32 (n,)
        Mean interactions of this bunch as the luminometer reports it; NaN if unknown.
    inputs : int16 or int32 (n, inputs)
        Raw hardware integers, in the model's input order.
    score : int64 (n, outputs)
        Raw hardware output.
    accept : bool (n,) or None
        The firmware's own decision, where the stream carries it.
    """

    header: Header
    run: NDArray[np.uint32]
    ls: NDArray[np.uint32]
    orbit: NDArray[np.uint32]
    event: NDArray[np.uint64]
    bx: NDArray[np.uint16]
    pileup: NDArray[np.float32]
    inputs: NDArray[np.int16] | NDArray[np.int32]
    score: NDArray[np.int64]
    accept: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.event)

    def select(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Batch:
        """Return the events of `rows` as a Batch with the same header."""
        return Batch(
            header=self.header,
            run=self.run[rows],
            ls=self.ls[rows],
            orbit=self.orbit[rows],
            event=self.event[rows],
            bx=self.bx[rows],
            pileup=self.pileup[rows],
            inputs=self.inputs[rows],
            score=self.score[rows],
            accept=None if self.accept is None else self.accept[rows],
        )


@dataclass(frozen=True, slots=True)
class EndOfLumisection:
    """The producer has put `events` events of this lumisection on this partition, and no more will come."""

    stream: str
    lumisection: Lumisection
    events: int


class Reason(StrEnum):
    """Why a record was rejected: the label of `trigwatch_rejected_total` and of the dead letter."""

    SCHEMA = "schema"  # the `schema` or `type` header is missing or not ours
    MALFORMED = "malformed"  # not one Arrow IPC stream with exactly one record batch, or not JSON
    COLUMNS = "columns"  # a column is missing, surplus, of another type, or has nulls
    METADATA = "metadata"  # a name is missing or does not match, a number is not a number
    VALUES = "values"  # a value outside its domain (bx beyond the orbit, infinite pile-up, …)
    WIDTH = "width"  # the number of inputs or outputs is not the model's
    OVERSIZED = "oversized"  # more bytes or events than the settings allow
    STREAM = "stream"  # the record names a stream that is not configured on this topic
    DUPLICATE = "duplicate"  # a sequence number that was seen before
    LATE = "late"  # a lumisection that is closed already, or runs backwards


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be used, as a value: counted by reason and sent to the dead-letter topic."""

    reason: Reason
    detail: str
    stream: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stood: enough to find its bytes again."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received:
    """What a record became, and where it stood.

    `timestamp` is the record's own time in seconds since the epoch (Kafka's CreateTime). Replays use it as their clock.
    """

    place: Place
    timestamp: float
    content: Batch | EndOfLumisection | Rejected
