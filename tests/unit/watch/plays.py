"""A small trigger to watch: two real integer models, producers, partitions and the records they put there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.graph import Program
from emulator.layout import Axis, Layout, ObjectGroup
from monitor.trigger.batch import Batch, EndOfLumisection, Place, Received, Rejected
from monitor.trigger.header import Header
from monitor.trigger.lumisection import Lumisection
from monitor.watch.closed import PartitionClosed
from monitor.watch.frontier import Frontier
from monitor.watch.shelf import AMBIGUOUS_LABEL, UNKNOWN_DIGEST, UNKNOWN_MODEL, NotComparable
from monitor.watch.worker import Worker, WorkerStep

STREAM, TOPIC = "jets", "trigger"
PT = Axis("pt", 0.5, "GeV", 0, 4096)
ETA = Axis("eta", 0.0435, "", -115, 115)
PHI = Axis("phi", 2 * np.pi / 144, "rad", 0, 144, periodic=True)
LAYOUT = Layout((ObjectGroup("met", 0, 1, (PT, ETA, PHI)), ObjectGroup("jet", 3, 3, (PT, ETA, PHI))))
WIDTH = LAYOUT.width


@dataclass(frozen=True)
class Linear:
    """A model in integers: score = sum(weights * inputs) >> 3, saturated at zero."""

    label: str
    weights: tuple[int, ...]
    threshold: int | None = 400
    layout: Layout | None = LAYOUT
    fails: bool = False
    program: Program | None = None

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(repr(self.weights).encode()).hexdigest()}"

    @property
    def inputs(self) -> int:
        return len(self.weights)

    @property
    def outputs(self) -> int:
        return 1

    def score(self, raw: NDArray[Any]) -> NDArray[np.int64]:
        if self.fails:
            raise RuntimeError("the engine is gone")
        return np.maximum(raw.astype(np.int64) @ np.asarray(self.weights) >> 3, 0)[:, None]

    def fits(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        return (np.abs(raw.astype(np.int64)) < 1 << 15).all(axis=1)


V1 = Linear("v1", (4, 0, 0, 9, 1, 2, 5, 0, 1, 3, 1, 0))
V2 = Linear("v2", (4, 0, 0, 8, 1, 2, 6, 0, 1, 3, 1, 0))


@dataclass(frozen=True)
class Library:
    """A registry of models."""

    models: Sequence[Linear] = (V1, V2)

    def find(self, label: str, digest: str | None, *, runs: tuple[int, int], menu: str) -> Linear | NotComparable:
        assert runs[0] <= runs[1]
        assert menu
        named = [m for m in self.models if (m.digest == digest if digest else m.label == label)]
        if len(named) == 1:
            return named[0]
        reason = UNKNOWN_DIGEST if digest else AMBIGUOUS_LABEL if named else UNKNOWN_MODEL
        return NotComparable(reason, layout=named[0].layout if named else None)

    def all(self) -> Sequence[Linear]:
        return self.models


def header(**changes: Any) -> Header:
    return replace(Header(STREAM, "v1", "menu-1", "fw-1", "2a", "p0", 0, V1.digest), **changes)


def batch(
    *lumisections: tuple[int, int],
    events: int = 20,
    seed: int = 0,
    hardware: Linear = V1,
    width: int = WIDTH,
    pileup: float = 40.0,
    **head: Any,
) -> Batch:
    """Return a batch with `events` events of each lumisection; `hardware` is what really ran."""
    chance = np.random.default_rng([seed, *(number for pair in lumisections for number in pair)])
    n = events * len(lumisections)
    inputs = np.zeros((n, width), np.int16)
    inputs[:, 0::3] = chance.exponential(60, (n, len(range(0, width, 3)))).astype(np.int16)
    inputs[:, 1::3] = chance.integers(-100, 100, (n, len(range(1, width, 3))))
    inputs[:, 2::3] = chance.integers(0, 144, (n, len(range(2, width, 3))))
    order = np.repeat(np.arange(len(lumisections)), events)
    ls = np.asarray([pair[1] for pair in lumisections], np.uint32)[order] if n else np.zeros(0, np.uint32)
    run = np.asarray([pair[0] for pair in lumisections], np.uint32)[order] if n else np.zeros(0, np.uint32)
    score = hardware.score(inputs[:, : hardware.inputs]) if width >= hardware.inputs else np.zeros((n, 1), np.int64)
    return Batch(
        header=header(**head),
        run=run,
        ls=ls,
        orbit=(ls.astype(np.uint32) * 1000 + np.uint32(head.get("sequence", 0) % 1000)).astype(np.uint32),
        event=chance.integers(0, 2**40, n).astype(np.uint64),
        bx=chance.integers(0, 3564, n).astype(np.uint16),
        pileup=np.full(n, pileup, np.float32),
        inputs=inputs,
        score=score,
    )


def end(run: int, ls: int, events: int, stream: str = STREAM) -> EndOfLumisection:
    return EndOfLumisection(stream, Lumisection(run, ls), events)


@dataclass
class Log:
    """One partition: what is put on it gets the next offset."""

    partition: int = 0
    topic: str = TOPIC
    records: list[Received] = field(default_factory=list)

    def put(self, content: Batch | EndOfLumisection | Rejected, *, at: float = 0.0) -> Log:
        place = Place(self.topic, self.partition, len(self.records))
        self.records.append(Received(place, at, content))
        return self

    def since(self, offset: int) -> list[Received]:
        return self.records[offset:]


def worker(models: Sequence[Linear] = (V1, V2), **options: Any) -> Worker:
    return Worker(**{"streams": {STREAM: TOPIC}, "shelf": Library(models), **options})


def step(watch: Worker, *contents: Batch | EndOfLumisection | Rejected, at: float = 0.0) -> WorkerStep:
    """Put contents on partition 0 of a worker, where the previous ones ended."""
    key = (TOPIC, 0)
    try:
        offset = watch.frontier(key).next
    except KeyError:
        offset = 0
    received = [Received(Place(TOPIC, 0, offset + i), at, content) for i, content in enumerate(contents)]
    return watch.step(received, now=at)


def same(one: Sequence[PartitionClosed], other: Sequence[PartitionClosed]) -> bool:
    return [each.to_bytes() for each in one] == [each.to_bytes() for each in other]


def resumed(watch: Worker, frontier: Frontier, *, partition: int = 0, now: float = 0.0) -> Worker:
    """Give a frontier, as it comes back from the database, to a new worker."""
    watch.resume((TOPIC, partition), Frontier.from_json(frontier.to_json()), now=now)
    return watch
