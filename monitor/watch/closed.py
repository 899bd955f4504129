"""One partition's share of one lumisection, finished: what travels from worker to aggregator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from emulator.pack import Unreadable, pack, unpack
from monitor.observe.summary import Summary
from monitor.trigger.lumisection import Lumisection


@dataclass(frozen=True, slots=True)
class PartitionClosed:
    """A partition will add nothing more to this lumisection.

    Attributes
    ----------
    summaries
        One per epoch seen, in the order of their epochs; none if no event arrived.
    declared
        Events that the producer says it put on this partition; None without an end-of-lumisection record.
    received
        Events that arrived and were counted.
    lost_batches
        Gaps in the producers' sequences noticed on this partition since its previous lumisection closed.
    rejected
        Records of this stream rejected on this partition since its previous lumisection closed, by reason.
    """

    stream: str
    lumisection: Lumisection
    partition: int
    summaries: tuple[Summary, ...]
    declared: int | None
    received: int
    lost_batches: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes that the summaries topic carries."""
        names = {
            "schema": "partition-closed/1",
            "stream": self.stream,
            "lumisection": list(self.lumisection),
            "partition": self.partition,
            "declared": self.declared,
            "received": self.received,
            "lost_batches": self.lost_batches,
            "rejected": dict(self.rejected),
            "summaries": len(self.summaries),
        }
        bodies = {f"{i:03}": np.frombuffer(each.to_bytes(), np.uint8) for i, each in enumerate(self.summaries)}
        return pack(names, bodies)

    @classmethod
    def from_bytes(cls, content: bytes) -> PartitionClosed:
        """Read what `to_bytes` wrote; raises `Unreadable` that says what is wrong."""
        names, bodies = unpack(content)
        if names.get("schema") != "partition-closed/1":
            raise Unreadable(f"schema is {names.get('schema')!r}, not 'partition-closed/1': not a closed partition")
        try:
            run, ls = names["lumisection"]
            return cls(
                stream=names["stream"],
                lumisection=Lumisection(run, ls),
                partition=names["partition"],
                summaries=tuple(Summary.from_bytes(bodies[f"{i:03}"].tobytes()) for i in range(names["summaries"])),
                declared=names["declared"],
                received=names["received"],
                lost_batches=names["lost_batches"],
                rejected=names["rejected"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"a closed partition of {len(content)} bytes is damaged: {error!r}") from error
