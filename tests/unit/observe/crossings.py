"""A few events of a small trigger, for the rooms that count and judge."""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Axis, Layout, ObjectGroup
from monitor.observe.summary import SummaryKey
from monitor.trigger.batch import Batch
from monitor.trigger.header import Epoch, Header
from monitor.trigger.lumisection import Lumisection

PHI = Axis("phi", 2 * pi / 144, "rad", 0, 144, periodic=True)
PT = Axis("pt", 0.5, "GeV", 0, 2048)
LAYOUT = Layout(
    (
        ObjectGroup("met", 0, 1, (PT, Axis("eta", 0.0435, "", 0, 1), PHI)),
        ObjectGroup("jet", 3, 3, (PT, Axis("eta", 0.0435, "", -115, 116), PHI)),
    )
)
INPUTS = LAYOUT.width
EPOCH = Epoch("toy_v1", "sha256:" + "0" * 64, "menu_1", "fw_1", "2a")
THRESHOLD = 500


def key(run: int = 1, ls: int = 1, epoch: Epoch = EPOCH) -> SummaryKey:
    return SummaryKey("scout", Lumisection(run, ls), epoch)


def batch(inputs: NDArray[np.signedinteger], score: NDArray[np.int64], **columns: NDArray[np.generic]) -> Batch:
    """Return events with these inputs (n, k) and scores (n, m); other columns count up unless given."""
    n = len(inputs)
    fixed = {
        "run": np.ones(n, np.uint32),
        "ls": np.ones(n, np.uint32),
        "orbit": np.arange(n, dtype=np.uint32),
        "event": np.arange(n, dtype=np.uint64),
        "bx": (np.arange(n) % 3564).astype(np.uint16),
        "pileup": np.full(n, 50.0, np.float32),
        "accept": None,
    }
    header = Header("scout", EPOCH.model, EPOCH.menu, EPOCH.firmware, EPOCH.prescale_column, "p", 0)
    return Batch(header=header, inputs=inputs, score=score, **{**fixed, **columns})  # type: ignore[arg-type]


def crossings(
    n: int, rng: np.random.Generator, *, pileup: float = 50.0, scale: float = 1.0, offset: float = 0.0
) -> Batch:
    """Return n events: jets of a falling spectrum whose number grows with pile-up, zero-filled, and a score of them.

    `scale` multiplies every pt; `offset` adds to the mean number of jets.
    """
    inputs = np.zeros((n, INPUTS), np.int16)
    number = rng.poisson(pileup / 25.0 + offset, n)
    pt = np.sort(np.minimum(60 + rng.exponential(40 * scale * (1 + pileup / 200), (n, 3)), 2000), axis=1)[:, ::-1]
    for i in range(3):
        there = number > i
        inputs[:, 3 + 3 * i] = pt[:, i] * there
        inputs[:, 4 + 3 * i] = rng.integers(-115, 116, n) * there
        inputs[:, 5 + 3 * i] = rng.integers(0, 144, n) * there
    inputs[:, 0] = rng.exponential(40 * scale, n) + 1
    inputs[:, 2] = rng.integers(0, 144, n)
    score = 2 * inputs[:, [0]].astype(np.int64) + inputs[:, [3]] + inputs[:, [6]]
    return batch(inputs, score, pileup=np.full(n, pileup, np.float32))
