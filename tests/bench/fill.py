"""The fill that the daemon is measured with: the records of a few large lumisections, and what is normal in them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import emulator
from emulator.detector import MODELS, SCENARIOS, play, reference_fills
from emulator.detector.run import Block
from monitor.app.recording import TOPIC as RECORDING
from monitor.app.recording import from_detector
from monitor.app.references import learned
from monitor.app.settings import Settings, build
from monitor.app.shelf import CardShelf
from monitor.app.simulate import STREAM, TOPIC, batch
from monitor.stream.codec import encode, encode_end
from monitor.stream.record import Outgoing
from monitor.trigger.batch import Batch, EndOfLumisection
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS

EVENTS = 120_000
"""Of a lumisection: a twentieth of what 100 kHz would bring."""

LUMISECTIONS = 6
REFERENCE_FILLS, REFERENCE_LUMISECTIONS = 6, 40


def simulated() -> list[Batch]:
    """Return every lumisection as one batch: one stream of 57 inputs of 16 bits."""
    scenario = SCENARIOS["quiet"]
    blocks = play(scenario, seed=1, lumisections=LUMISECTIONS, events_per_lumisection=EVENTS, partitions=1)
    parts: list[list[Batch]] = [[] for _ in range(LUMISECTIONS)]
    for block in blocks:
        if isinstance(block, Block):
            parts[block.ls - 1].append(batch(block))
    return [_joined(part) for part in parts]


def records(lumisections: Sequence[Batch], *, size: int, topic: str = TOPIC) -> Iterator[Outgoing]:
    """Yield what a trigger would write in batches of `size`, with ends of lumisections; the last was taken just now."""
    start, many = time.time() - LUMISECTIONS * CMS.lumisection_seconds, EVENTS // size
    for number, whole in enumerate(lumisections, start=1):
        contents = [encode(_part(whole, i * size, size, sequence=number * many + i)) for i in range(many)]
        end = EndOfLumisection(STREAM, Lumisection(int(whole.run[0]), number), EVENTS)
        for headers, value in (*contents, encode_end(end)):
            yield Outgoing(topic, value, headers, partition=0, timestamp=start + number * CMS.lumisection_seconds)


def write_book(path: Path) -> None:
    """Learn what is normal from clean fills, as the demonstration does."""
    clean = reference_fills(seed=4_000, fills=REFERENCE_FILLS, lumisections=REFERENCE_LUMISECTIONS, partitions=1)
    with CardShelf.open(emulator.Registry(MODELS)) as shelf:
        book = learned(from_detector(clean), shelf=shelf, site=CMS, streams={STREAM: RECORDING})
    path.write_bytes(book.to_bytes())


def settings(folder: Path, *, book: Path, topic: str = TOPIC, **supply: dict[str, Any]) -> Settings:
    """Return the settings of a daemon that keeps its state in `folder`."""
    return build(
        {
            **supply,
            "state": {"path": folder / "bench.db"},
            "models": {"path": MODELS},
            "reference": {"book": book},
            "http": {"port": 0},
            "streams": [{"name": STREAM, "topic": topic}],
        }
    )


def _joined(parts: Sequence[Batch]) -> Batch:
    names = [name for name in Batch.__dataclass_fields__ if name != "header"]
    return Batch(parts[0].header, **{name: np.concatenate([getattr(each, name) for each in parts]) for name in names})


def _part(whole: Batch, start: int, size: int, *, sequence: int) -> Batch:
    part = whole.select(slice(start, start + size))
    return replace(part, header=replace(whole.header, sequence=sequence))
