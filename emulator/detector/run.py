"""A whole run as a stream: blocks of events, partition by partition, and the end of every lumisection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emulator.detector.chance import Purpose, generator
from emulator.detector.conditions import NOMINAL, Beams, Fill, draw_crossings, draw_fill
from emulator.detector.faults import Fault
from emulator.detector.hardware import ANNOUNCED, Board
from emulator.detector.objects import digitise
from emulator.detector.response import Response
from emulator.detector.scenarios import Scenario

MENU = "L1Menu_Collisions2026_v1_2_0"
FIRMWARE = "ugt-0x1f42"
PRESCALE_COLUMN = "2p0E34"
BATCH_EVENTS = 1000
FIRST_RUN = 401_000
FIRST_REFERENCE_RUN = 400_000


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One batch of events of one lumisection, as a producer puts it on a partition; columns have length n.

    Attributes
    ----------
    sequence
        Counts up by one per producer and partition.
    label, digest
        The model that the menu announces, and its content where the producer knows it.
    orbit : uint32 (n,)
        Ascending; events of one orbit are ordered by bx.
    event : uint64 (n,)
        Counts up in the run.
    bx : uint16 (n,)
    pileup : float32 (n,)
        Of the bunch, as the luminometer reports it.
    inputs : int16 (n, 57)
        Raw hardware integers in the order of `L1_LAYOUT`.
    score : int64 (n, 1)
        Raw hardware output.
    accept : bool (n,)
    """

    run: int
    ls: int
    partition: int
    sequence: int
    label: str
    digest: str | None
    menu: str
    firmware: str
    prescale_column: str
    producer: str
    orbit: NDArray[np.uint32]
    event: NDArray[np.uint64]
    bx: NDArray[np.uint16]
    pileup: NDArray[np.float32]
    inputs: NDArray[np.int16]
    score: NDArray[np.int64]
    accept: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.event)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return every column of the schema by name; run and ls as uint32 (n,)."""
        return {
            "run": np.full(len(self), self.run, dtype=np.uint32),
            "ls": np.full(len(self), self.ls, dtype=np.uint32),
            "orbit": self.orbit,
            "event": self.event,
            "bx": self.bx,
            "pileup": self.pileup,
            "inputs": self.inputs,
            "score": self.score,
            "accept": self.accept,
        }


@dataclass(frozen=True, slots=True)
class End:
    """The producer of `partition` has made `events` events of this lumisection, lost ones included."""

    run: int
    ls: int
    partition: int
    events: int


def play(
    scenario: Scenario,
    *,
    seed: int,
    lumisections: int | None = None,
    events_per_lumisection: int = 1000,
    partitions: int = 2,
    run: int = FIRST_RUN,
    beams: Beams = NOMINAL,
    scored: bool = True,
) -> Iterator[Block | End]:
    """Yield the run of a scenario in the order of time: blocks of a lumisection, then one `End` per partition.

    Pile-up decays from about 60 to about 35 over the run, or is levelled. Equal arguments give equal bytes.
    Without `scored`, no model runs and score is (n, 0).
    Raises FileNotFoundError if the committed models are missing.
    """
    length = scenario.lumisections if lumisections is None else lumisections
    fill = draw_fill(seed=seed, run=run, lumisections=length, beams=beams)
    taking = _Taking(events_per_lumisection, partitions, Board(seed) if scored else None)
    return _blocks(taking, fill, fault=scenario.fault, onset=scenario.onset)


def reference_fills(
    *,
    seed: int,
    fills: int,
    lumisections: int,
    events_per_lumisection: int = 1000,
    partitions: int = 2,
    scored: bool = True,
) -> Iterator[Block | End]:
    """Yield `fills` clean runs one after the other: what a reference is learned from. Each wobbles in its own way."""
    taking = _Taking(events_per_lumisection, partitions, Board(seed) if scored else None)
    for run in range(FIRST_REFERENCE_RUN, FIRST_REFERENCE_RUN + fills):
        yield from _blocks(taking, draw_fill(seed=seed, run=run, lumisections=lumisections), fault=Fault(), onset=1)


@dataclass(frozen=True, slots=True)
class _Taking:
    """How data are taken: `board` is None where nothing is scored."""

    events: int
    partitions: int
    board: Board | None

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= self.events:
            raise ValueError(
                f"{self.events} events a lumisection on {self.partitions} partitions: "
                "ask for at least one partition, and one event for each"
            )


def _blocks(taking: _Taking, fill: Fill, *, fault: Fault, onset: int) -> Iterator[Block | End]:
    response = Response(fill)
    for ls in range(1, fill.lumisections + 1):
        active = fault if ls >= onset else Fault()
        whole = _lumisection(taking, response, fill, ls, fault=active, age=ls - onset)
        lost = generator(fill.seed, Purpose.DELIVERY, fill.run, ls)
        for partition in range(taking.partitions):
            rows = np.arange(partition, taking.events, taking.partitions)
            batches = -(-len(rows) // BATCH_EVENTS)
            for index, chosen in enumerate(np.array_split(rows, batches)):
                if active.delivered(partition, lost):
                    yield _part(whole, chosen, partition=partition, sequence=(ls - 1) * batches + index)
        for partition in range(taking.partitions):
            yield End(fill.run, ls, partition, len(range(partition, taking.events, taking.partitions)))


def _lumisection(taking: _Taking, response: Response, fill: Fill, ls: int, *, fault: Fault, age: int) -> Block:
    """Return all events of one lumisection as one block of partition 0."""
    crossings = draw_crossings(fill, ls, taking.events)
    objects = fault.seen(
        response.objects(crossings, ls), age=age, chance=generator(fill.seed, Purpose.FAULT, fill.run, ls)
    )
    inputs = digitise(objects)
    score, accept = _decided(taking.board, fault, inputs)
    return Block(
        run=fill.run,
        ls=ls,
        partition=0,
        sequence=0,
        label=ANNOUNCED,
        digest=taking.board.model.card.digest if taking.board else None,
        menu=MENU,
        firmware=FIRMWARE,
        prescale_column=PRESCALE_COLUMN,
        producer="producer-0",
        orbit=crossings.orbit,
        event=np.arange(1, taking.events + 1, dtype=np.uint64) + np.uint64((ls - 1) * taking.events),
        bx=fault.recorded(crossings.bx, generator(fill.seed, Purpose.FAULT, fill.run, ls)),
        pileup=crossings.reported,
        inputs=inputs,
        score=score,
        accept=accept,
    )


def _decided(
    board: Board | None, fault: Fault, inputs: NDArray[np.int16]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if board is None:
        return np.zeros((len(inputs), 0), dtype=np.int64), np.zeros(len(inputs), dtype=np.bool_)
    score = fault.scored(board, inputs)
    return score, score[:, 0] >= board.threshold


def _part(whole: Block, rows: NDArray[np.intp], *, partition: int, sequence: int) -> Block:
    return replace(
        whole,
        partition=partition,
        sequence=sequence,
        producer=f"producer-{partition}",
        orbit=whole.orbit[rows],
        event=whole.event[rows],
        bx=whole.bx[rows],
        pileup=whole.pileup[rows],
        inputs=whole.inputs[rows],
        score=whole.score[rows],
        accept=whole.accept[rows],
    )
