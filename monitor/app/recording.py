"""Recorded or simulated batches walked through a worker without a broker, on the data's own clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from pathlib import Path

from emulator.detector.run import Block, End
from monitor.app.simulate import STREAM, batch
from monitor.stream import files
from monitor.stream.columns import Limits
from monitor.trigger.batch import Batch, EndOfLumisection, Place, Reason, Received, Rejected
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import Site
from monitor.watch.closed import PartitionClosed
from monitor.watch.worker import Worker

TOPIC = "recording"
PARTITION = 0
END_OF_TIME = float("inf")

Content = Batch | EndOfLumisection
When = tuple[int, int, int, str, int]


def streams_of(paths: Iterable[Path], *, limits: Limits) -> dict[str, str]:
    """Return the streams that the files hold, all on the topic of recordings. Raises what `files.read` raises."""
    names = {each.header.stream for path in paths for each in _first(path, limits)}
    return dict.fromkeys(sorted(names), TOPIC)


def from_files(paths: Iterable[Path], *, limits: Limits) -> Iterator[Batch]:
    """Yield the batches of files in the order of data taking, in whatever order the files are named.

    Files of the same time are merged; within a file its own order stands. A file is open from its first batch to its
    last: a year of fills is more than a process may hold open. Raises what `files.read` raises.
    """
    waiting = sorted((_when(first), path) for path in paths for first in _first(path, limits))
    due: list[tuple[When, int, Batch, Iterator[Batch]]] = []
    opened = 0
    while due or opened < len(waiting):
        while opened < len(waiting) and (not due or waiting[opened][0] <= due[0][0]):
            _queue(due, opened, files.read(waiting[opened][1], limits=limits))
            opened += 1
        if due:
            _, number, batch, rest = heappop(due)
            yield batch
            _queue(due, number, rest)


def from_detector(blocks: Iterable[Block | End]) -> Iterator[Content]:
    """Yield what the simulated detector puts on the wire, without the wire."""
    for block in blocks:
        if isinstance(block, End):
            yield EndOfLumisection(STREAM, Lumisection(block.run, block.ls), block.events)
        else:
            yield batch(block)


class Refusals:
    """What a recording holds that could not be used: counted by reason, with the first of each in words."""

    def __init__(self) -> None:
        self._counts: Counter[Reason] = Counter()
        self._first: dict[Reason, str] = {}

    def add(self, rejected: Rejected) -> None:
        """Count one."""
        self._counts[rejected.reason] += 1
        self._first.setdefault(rejected.reason, rejected.detail)

    def words(self) -> tuple[str, ...]:
        """Return one sentence for each reason."""
        return tuple(
            f"{count} batches are left out ({reason}): {self._first[reason]}" for reason, count in self._counts.items()
        )


def walk(
    contents: Iterable[Content], worker: Worker, *, site: Site, refused: Refusals
) -> Iterator[tuple[PartitionClosed, float]]:
    """Walk `contents`, in time order, through `worker`; yield every closed lumisection and the time it was closed.

    Time is the data's: a lumisection lasts as long as the site says. Files hold no end-of-lumisection records, so there
    a lumisection closes when later ones have been seen for the calendar's lateness, or at the end of the recording.
    """
    clock = _Clock(site.lumisection_seconds)
    for received in clock.stamp(contents):
        step = worker.step((received,), now=received.timestamp)
        for _, rejected in step.rejected:
            refused.add(rejected)
        for closed in step.closed:
            yield closed, received.timestamp
    for closed in worker.tick(END_OF_TIME).closed:
        yield closed, clock.now


class _Clock:
    """Gives every batch the time of its lumisection, from 0 at the first one; runs follow each other at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._latest: Lumisection | None = None
        self.now = 0.0

    def stamp(self, contents: Iterable[Content]) -> Iterator[Received]:
        for offset, content in enumerate(contents):
            self._advance(_lumisection(content))
            yield Received(Place(TOPIC, PARTITION, offset), self.now, content)

    def _advance(self, lumisection: Lumisection) -> None:
        latest = self._latest
        if latest is None or lumisection > latest:
            passed = 1 if latest is None or lumisection.run != latest.run else lumisection.ls - latest.ls
            self.now += passed * self._seconds
            self._latest = lumisection


def _lumisection(content: Content) -> Lumisection:
    if isinstance(content, EndOfLumisection):
        return content.lumisection
    # An empty batch says nothing about time.
    return Lumisection(int(content.run[-1]), int(content.ls[-1])) if len(content) else Lumisection(0, 0)


def _when(batch: Batch) -> When:
    """Return what sorts batches: the time of the first event; where that is the same, who sent it."""
    time = (int(batch.run[0]), int(batch.ls[0]), int(batch.orbit[0])) if len(batch) else (0, 0, 0)
    return (*time, batch.header.producer, batch.header.sequence)


def _queue(due: list[tuple[When, int, Batch, Iterator[Batch]]], number: int, batches: Iterator[Batch]) -> None:
    """Add the next of `batches`, if there is one. The numbers differ: what follows them is never compared."""
    batch = next(batches, None)
    if batch is not None:
        heappush(due, (_when(batch), number, batch, batches))


def _first(path: Path, limits: Limits) -> Iterator[Batch]:
    yield from (each for each, _ in zip(files.read(path, limits=limits), range(1), strict=False))
