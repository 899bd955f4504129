"""Who has reported: closed partitions of one stream, waiting until a lumisection can be judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from monitor.drift.evidence import Completeness
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.watch.closed import PartitionClosed


@dataclass(slots=True)
class RollCall:
    """The partitions of one stream.

    Attributes
    ----------
    expected
        Partition numbers that every lumisection must come from.
    done
        The newest lumisection that was taken out; what comes for it or before it was seen, or is too late.
    newest
        Per partition, the newest lumisection that it has closed.
    waiting, since
        What has come per lumisection and partition, and when the first of it came.
    """

    expected: frozenset[int]
    done: Lumisection | None = None
    newest: dict[int, Lumisection] = field(default_factory=dict)
    waiting: dict[Lumisection, dict[int, PartitionClosed]] = field(default_factory=dict)
    since: dict[Lumisection, float] = field(default_factory=dict)

    def report(self, closed: PartitionClosed, *, now: float) -> bool:
        """Take a partition's report; False if it is known already or comes after its lumisection was judged."""
        ls, partition = closed.lumisection, closed.partition
        self.newest[partition] = max(ls, self.newest.get(partition, ls))
        if (self.done is not None and ls <= self.done) or partition in self.waiting.get(ls, {}):
            return False
        self.waiting.setdefault(ls, {})[partition] = closed
        self.since.setdefault(ls, now)
        return True

    def take(self, *, now: float, lateness: float) -> list[PartitionClosed] | None:
        """Take out the oldest lumisection if nobody can add to it any more, or it has waited long enough; else None."""
        if not self.waiting:
            return None
        ls = min(self.waiting)
        if self._may_come(ls) and now - self.since[ls] < lateness:
            return None
        self.done = ls
        del self.since[ls]
        present = self.waiting.pop(ls)
        return [present[partition] for partition in sorted(present)]

    def _may_come(self, ls: Lumisection) -> bool:
        absent = self.expected - self.waiting[ls].keys()
        return any(partition not in self.newest or self.newest[partition] < ls for partition in absent)


def completeness(parts: Collection[PartitionClosed], *, expected: Collection[int]) -> Completeness:
    """Return what arrived of what was declared; a partition that declares nothing is taken at what it brought."""
    declares = any(part.declared is not None for part in parts)
    return Completeness(
        received=sum(part.received for part in parts),
        declared=sum(part.received if part.declared is None else part.declared for part in parts) if declares else None,
        lost_batches=sum(part.lost_batches for part in parts),
        missing_partitions=tuple(sorted(set(expected) - {part.partition for part in parts})),
    )


def merge(parts: Iterable[PartitionClosed]) -> list[Summary]:
    """Add the partitions up, one summary per epoch and shape, in an order that depends on their content only."""
    found: dict[tuple[Epoch, Shape], Summary] = {}
    for part in parts:
        for summary in part.summaries:
            key = (summary.key.epoch, summary.shape)
            found[key] = found[key] + summary if key in found else summary
    return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1].digest()))]


def rejections(parts: Iterable[PartitionClosed]) -> dict[str, int]:
    """Return the rejected records of all partitions, by reason."""
    total: dict[str, int] = {}
    for part in parts:
        for reason, count in part.rejected.items():
            total[reason] = total.get(reason, 0) + count
    return dict(sorted(total.items()))
