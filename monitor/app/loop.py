"""The turn: poll, read, judge, commit, show. Everything that happens to a message happens here, in this order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from monitor.app.back import Back, Done
from monitor.app.front import Front, Read
from monitor.store.commit import Commit, CounterKey, Letter, PartitionKey
from monitor.store.database import Database, Full
from monitor.stream.record import Record
from monitor.stream.transport import Partition, Polled, Source

QUIET_COMMIT_SECONDS = 1.0
FULL = "the disk of the database is full: nothing is lost, nothing more is read; make room"


class Witness(Protocol):
    """Who wants to see every turn: the board that pages and metrics are made from."""

    def see(self, turn: Turn) -> None:
        """Take note of a finished turn."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the loop, after its commit or before one that waits; times in seconds since the epoch."""

    now: float
    records: tuple[Record, ...]
    done: Done
    problem: str = ""
    troubles: tuple[str, ...] = ()


@dataclass(slots=True)
class _Uncommitted:
    """What was worked out and is not yet durable."""

    reads: list[Read] = field(default_factory=list)
    dones: list[Done] = field(default_factory=list)
    left: set[PartitionKey] = field(default_factory=set)

    @property
    def moved(self) -> frozenset[PartitionKey]:
        return frozenset[PartitionKey]().union(*(read.moved for read in self.reads)) - self.left

    @property
    def is_urgent(self) -> bool:
        """Whether somebody outside is waiting for it."""
        spoken = any(read.letters for read in self.reads)
        return spoken or any(done.judged or done.actions or done.letters for done in self.dones)

    def commit(self, *, now: float, front: Front, back: Back) -> Commit:
        counters: Counter[CounterKey] = Counter()
        for each in [part.counters for part in self.reads] + [part.counters for part in self.dones]:
            counters.update(each)
        return Commit(
            now=now,
            frontiers={partition: front.frontier(partition) for partition in self.moved},
            states=back.states() if self.dones else {},
            counters=dict(counters),
            judged=tuple(each for done in self.dones for each in done.judged),
            actions=tuple(each for done in self.dones for each in done.actions),
            letters=self._letters(),
        )

    def _letters(self) -> tuple[Letter, ...]:
        dead = tuple(each for read in self.reads for each in read.letters)
        return dead + tuple(each for done in self.dones for each in done.letters)


class Loop:
    """Turns the source's records into committed verdicts; the only writer of state.

    The transaction holds new state, the frontier of every partition and the outbox. A kill between two commits loses
    nothing: the log is read again from the last frontier. What sinks say is said only after the commit.
    """

    def __init__(
        self,
        *,
        source: Source,
        front: Front,
        back: Back,
        database: Database,
        witness: Witness,
        clock: Callable[[], float],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source = source
        self._front = front
        self._back = back
        self._database = database
        self._witness = witness
        self._clock = clock
        self._pause = pause
        self._uncommitted = _Uncommitted()
        self._committed_at = clock()

    def turn(self, *, timeout: float) -> Turn:
        """Do one turn, waiting at most `timeout` seconds for records.

        While the disk is full nothing more is read: the records wait in the log, and the turn says why.
        """
        if self._uncommitted.is_urgent and not self._try_to_commit(self._clock()):
            self._pause(timeout)
            return self._show(Turn(self._clock(), (), Done(), problem=FULL))
        polled = self._source.poll(timeout=timeout)
        now = self._clock()
        self._take_and_leave(polled, now)
        read = self._front.read(polled.records, now=now)
        done = self._back.take(read.closed, now=now)
        self._remember(read, done)
        failed = self._is_due(now) and not self._try_to_commit(now)
        return self._show(Turn(now, polled.records, done, FULL if failed else "", read.troubles))

    def finish(self) -> None:
        """Commit what is worked out; the last turn of an orderly stop."""
        self._try_to_commit(self._clock())

    def _take_and_leave(self, polled: Polled, now: float) -> None:
        if polled.revoked:
            # What was read of them is worth keeping, but whoever has them now also reads it again, to no harm.
            self._try_to_commit(now)
            self._uncommitted.left |= set(polled.revoked)
            self._front.leave(polled.revoked)
        if not polled.assigned:
            return
        stored = self._database.frontiers()
        self._uncommitted.left -= set(polled.assigned)
        begin = {
            each: self._front.begin(each, stored.get((each.topic, each.partition)), now=now) for each in polled.assigned
        }
        self._source.seek({each: offset for each, offset in begin.items() if offset is not None})

    def _remember(self, read: Read, done: Done) -> None:
        if read.moved or read.letters or read.counters:
            self._uncommitted.reads.append(read)
        if read.closed or done != Done():
            self._uncommitted.dones.append(done)

    def _is_due(self, now: float) -> bool:
        waiting = bool(self._uncommitted.reads or self._uncommitted.dones)
        return waiting and (self._uncommitted.is_urgent or now - self._committed_at >= QUIET_COMMIT_SECONDS)

    def _try_to_commit(self, now: float) -> bool:
        """Return whether everything is durable now; on a full disk it stays uncommitted and is tried again."""
        moved = self._uncommitted.moved
        try:
            self._database.commit(self._uncommitted.commit(now=now, front=self._front, back=self._back))
        except Full:
            return False
        self._uncommitted = _Uncommitted()
        self._committed_at = now
        self._source.commit(self._advice(moved))
        return True

    def _advice(self, moved: frozenset[PartitionKey]) -> Mapping[Partition, int]:
        return {Partition(*each): self._front.resumes(each) for each in moved}

    def _show(self, turn: Turn) -> Turn:
        self._witness.see(turn)
        return turn
