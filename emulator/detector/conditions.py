"""What the machine does to the detector: fills, pile-up, bunch trains, the luminometer, and benign wobble."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.detector.chance import Purpose, generator

ORBITS = 2**18  # orbits in a lumisection
CROSSINGS = 3564  # bunch crossings in an orbit
ABORT_GAP = 120

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Trains:
    """The filled bunch crossings of an orbit; all columns have one entry per filled bunch.

    Attributes
    ----------
    bx : uint16 (b,)
        Ascending.
    luminosity : float32 (b,)
        The bunch's pile-up over the mean of all bunches.
    head : float32 (b,)
        1 for the first bunch of a train, falling to 0 behind it: no pulse from before hides what it sees.
    """

    bx: NDArray[np.uint16]
    luminosity: Floats
    head: Floats


@dataclass(frozen=True, slots=True)
class Wobble:
    """How one fill differs from the next with nothing broken: factors around 1, angles in rad."""

    jet_scale: float
    egamma_scale: float
    muon_efficiency: float
    met_noise: float
    soft: float
    beam_offset: float
    beam_angle: float
    tilt: float


@dataclass(frozen=True, slots=True)
class Luminometer:
    """How the reported pile-up errs: `scale` for the whole fill, `noise` anew in each lumisection (relative)."""

    scale: float
    noise: float


@dataclass(frozen=True, slots=True)
class Beams:
    """How the machine is run.

    Attributes
    ----------
    levelled
        Pile-up is held at or under this, as luminosity levelling does.
    train
        Bunches in a train.
    """

    levelled: float | None = None
    train: int = 36


NOMINAL = Beams()


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """One fill of the machine, taken as one run of `lumisections`, with pile-up that decays from `start` to `stop`."""

    seed: int
    run: int
    lumisections: int
    start: float
    stop: float
    beams: Beams
    trains: Trains
    wobble: Wobble
    luminometer: Luminometer

    def pileup(self, ls: int) -> float:
        """Return the mean pile-up over all bunches in lumisection `ls` (from 1)."""
        share = (ls - 1) / max(1, self.lumisections - 1)
        decayed = self.start * float(np.exp(share * np.log(self.stop / self.start)))
        return decayed if self.beams.levelled is None else min(self.beams.levelled, decayed)


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """n recorded crossings of one lumisection in the order of time.

    Attributes
    ----------
    orbit : uint32 (n,)
    bx : uint16 (n,)
    pileup : float32 (n,)
        True mean interactions of the bunch.
    reported : float32 (n,)
        The same as the luminometer tells it.
    head : float32 (n,)
        As in `Trains`.
    """

    orbit: NDArray[np.uint32]
    bx: NDArray[np.uint16]
    pileup: Floats
    reported: Floats
    head: Floats


def draw_fill(*, seed: int, run: int, lumisections: int, beams: Beams = NOMINAL) -> Fill:
    """Return the fill that belongs to `seed` and `run`: its bunches, its wobble and its luminometer's errors."""
    if lumisections < 1:
        raise ValueError(f"a fill of {lumisections} lumisections has no data: ask for at least 1")
    chance = generator(seed, Purpose.FILL, run)
    return Fill(
        seed=seed,
        run=run,
        lumisections=lumisections,
        start=60.0 * chance.normal(1.0, 0.015),
        stop=35.0 * chance.normal(1.0, 0.015),
        beams=beams,
        trains=_trains(chance, beams.train),
        wobble=_wobble(chance),
        luminometer=Luminometer(scale=chance.normal(1.0, 0.004), noise=0.003),
    )


def draw_crossings(fill: Fill, ls: int, events: int) -> Crossings:
    """Return `events` different crossings of lumisection `ls`, chosen evenly among the filled ones."""
    chance = generator(fill.seed, Purpose.CROSSINGS, fill.run, ls)
    trains = fill.trains
    bunches = len(trains.bx)
    # Sorted draws plus 0, 1, 2, … are sorted draws without repetition.
    slot = np.sort(chance.integers(0, ORBITS * bunches - events + 1, events)) + np.arange(events)
    orbit, bunch = np.divmod(slot, bunches)
    pileup = trains.luminosity[bunch] * np.float32(fill.pileup(ls))
    error = fill.luminometer.scale * chance.normal(1.0, fill.luminometer.noise)
    return Crossings(
        orbit=(orbit + (ls - 1) * ORBITS).astype(np.uint32),
        bx=trains.bx[bunch],
        pileup=pileup,
        reported=pileup * np.float32(error),
        head=trains.head[bunch],
    )


def _trains(chance: np.random.Generator, train: int) -> Trains:
    place, bx = _filling_pattern(train)
    luminosity = chance.normal(1.0, 0.05, len(bx)) * (1.0 - 0.0015 * place)  # tails lose luminosity to electron clouds
    return Trains(
        bx=bx,
        luminosity=(luminosity / luminosity.mean()).astype(np.float32),
        head=np.exp(-place / 2.0).astype(np.float32),
    )


def _filling_pattern(train: int) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Return (place in its train, BX) of every filled bunch: injections of four trains, as at 25 ns."""
    starts: list[int] = []
    first, injection = 55, 4 * train + 3 * 7
    while first + injection <= CROSSINGS - ABORT_GAP:
        starts += [first + (train + 7) * number for number in range(4)]
        first += injection + 31
    bx = np.asarray(starts)[:, None] + np.arange(train)
    place = np.broadcast_to(np.arange(train), bx.shape)
    return place.ravel(), bx.ravel().astype(np.uint16)


def _wobble(chance: np.random.Generator) -> Wobble:
    return Wobble(
        jet_scale=chance.normal(1.0, 0.002),
        egamma_scale=chance.normal(1.0, 0.0015),
        muon_efficiency=chance.normal(1.0, 0.008),
        met_noise=chance.normal(1.0, 0.004),
        soft=chance.normal(1.0, 0.003),
        beam_offset=abs(chance.normal(0.0, 0.005)),
        beam_angle=chance.uniform(0.0, 2 * np.pi),
        tilt=chance.normal(0.0, 0.005),
    )
