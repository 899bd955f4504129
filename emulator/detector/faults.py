"""What can break: each fault is a small value that changes one thing from its onset on, and nothing else.

A detector fault changes what is seen, so inputs and hardware score move together and emulation agrees. A firmware
fault leaves the recorded inputs alone and changes what the hardware makes of them. A delivery fault loses batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.detector.layout import CALO_ETA_LSB, CALO_PHI_STEPS, JET, L1_LAYOUT, MUON_PHI_STEPS
from emulator.detector.objects import Candidates, Floats, Integers, Objects, momentum

Scores = NDArray[np.int64]
Crossings = NDArray[np.uint16]


class Hardware(Protocol):
    """The programs that a board may hold; each takes raw inputs (n, 57) and returns raw scores int64 (n, 1)."""

    def announced(self, inputs: NDArray[np.integer]) -> Scores:
        """Run the model that the menu names."""
        ...

    def stale(self, inputs: NDArray[np.integer]) -> Scores:
        """Run the version before it."""
        ...

    def upset(self, inputs: NDArray[np.integer]) -> Scores:
        """Run the announced model with one weight bit flipped."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """Nothing is broken; the faults override what they break. `age` counts lumisections from the onset, from 0."""

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — the interface
        """Return what the broken detector sees."""
        return objects

    def recorded(self, bx: Crossings, chance: np.random.Generator) -> Crossings:  # noqa: ARG002 — the interface
        """Return the crossings (n,) that the events are recorded in."""
        return bx

    def scored(self, hardware: Hardware, inputs: Integers) -> Scores:
        """Return the broken hardware's raw scores of the recorded inputs."""
        return hardware.announced(inputs)

    def delivered(self, partition: int, chance: np.random.Generator) -> bool:  # noqa: ARG002 — the interface
        """Say whether a batch of this partition arrives."""
        return True


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the calorimeter, half-open: pseudorapidity, and phi in rad within [0, 2 pi)."""

    eta: tuple[float, float]
    phi: tuple[float, float]

    def holds(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Say which calorimeter candidates (n, k) lie inside."""
        eta, phi = candidates.eta * CALO_ETA_LSB, candidates.phi * (2 * np.pi / CALO_PHI_STEPS)
        return (eta >= self.eta[0]) & (eta < self.eta[1]) & (phi >= self.phi[0]) & (phi < self.phi[1])


@dataclass(frozen=True, slots=True)
class DeadRegion(Fault):
    """A region of the calorimeter is off, as HEM15/16 was in 2018: no jets, no e/gamma, false missing momentum.

    `left` is the share of the response that is left in it: 0 is dead.
    """

    region: Region
    left: float = 0.0

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — steady
        """Silence the region; what would have been seen there is missing now."""
        left = self._left(objects.jet)
        lost_x, lost_y = momentum(objects.jet, objects.jet.pt * (1 - left))
        return replace(
            objects,
            jet=objects.jet.scaled(left),
            egamma=objects.egamma.scaled(self._left(objects.egamma)),
            met_x=objects.met_x + lost_x,
            met_y=objects.met_y + lost_y,
        )

    def _left(self, candidates: Candidates) -> Floats:
        return np.where(self.region.holds(candidates), np.float32(self.left), np.float32(1))


@dataclass(frozen=True, slots=True)
class HotTower(Fault):
    """One trigger tower fires by itself in a share `rate` of the crossings, as a jet and as an e/gamma; raw place."""

    eta: int
    phi: int
    rate: float

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — steady
        """Add the tower's false objects, balanced by false missing momentum."""
        n = len(objects.met_x)
        energy = 12.0 + 8.0 * chance.standard_exponential((n, 1), dtype=np.float32)
        fake = _everywhere(np.where(chance.random((n, 1)) < self.rate, energy, np.float32(0)), self.eta, self.phi)
        return _added(objects, fake, as_egamma=True)


@dataclass(frozen=True, slots=True)
class JetScale(Fault):
    """Jets carry a wrong calibration constant; towers, and so missing momentum and e/gamma, do not."""

    factor: float

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — steady
        """Scale the jets."""
        return replace(objects, jet=objects.jet.scaled(self.factor))


@dataclass(frozen=True, slots=True)
class Ageing(Fault):
    """The calorimeter loses a share `loss` of its response per lumisection, the forward region several times that."""

    loss: float

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — steady
        """Scale every calorimeter object by what is left of the response at its place."""
        left = np.float32(self._left(age + 1, np.float32(1.0)))
        return replace(
            objects,
            jet=objects.jet.scaled(self._left(age + 1, _forwardness(objects.jet))),
            egamma=objects.egamma.scaled(self._left(age + 1, _forwardness(objects.egamma))),
            met_x=objects.met_x * left,
            met_y=objects.met_y * left,
        )

    def _left(self, lumisections: int, forwardness: Floats | np.float32) -> Floats:
        return np.asarray(np.maximum(1.0 - self.loss * lumisections * forwardness, 0.1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class BeamShift(Fault):
    """The beam has moved sideways: objects crowd towards `towards` (rad), 1 + `amplitude` cos(phi - towards)."""

    amplitude: float
    towards: float

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — steady
        """Turn every object a little towards the side; missing momentum is left alone."""
        return replace(
            objects,
            jet=self._turned(objects.jet, chance),
            egamma=self._turned(objects.egamma, chance),
            muon=self._turned(objects.muon, chance, steps=MUON_PHI_STEPS),
        )

    def _turned(self, there: Candidates, chance: np.random.Generator, *, steps: int = CALO_PHI_STEPS) -> Candidates:
        """Move phi by -a sin(phi - towards), to first order the density 1 + a cos; less than a step moves by chance."""
        angle = there.phi * np.float32(2 * np.pi / steps) - np.float32(self.towards)
        moved = -np.float32(self.amplitude * steps / (2 * np.pi)) * np.sin(angle)
        jump = np.floor(moved + chance.random(moved.shape, dtype=np.float32)).astype(np.int16)
        return replace(there, phi=(there.phi + jump) % np.int16(steps))


@dataclass(frozen=True, slots=True)
class Correlated(Fault):
    """Jets and e/gamma of different crossings are read out as one: both stay as they are, but now go together.

    In a share of the crossings, chosen by chance, the e/gammas are dealt anew: the crossing with the hardest leading
    jet gets the hardest leading e/gamma. Every distribution of a single input stays the same.
    """

    share: float

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:  # noqa: ARG002 — steady
        """Deal the e/gammas anew."""
        rows = np.flatnonzero(chance.random(len(objects.met_x)) < self.share)
        jet, egamma = (np.argsort(kind.pt[rows].max(axis=1), kind="stable") for kind in (objects.jet, objects.egamma))
        order = np.arange(len(objects.met_x))
        order[rows[jet]] = rows[egamma]
        there = objects.egamma
        return replace(objects, egamma=Candidates(there.pt[order], there.eta[order], there.phi[order]))


@dataclass(frozen=True, slots=True)
class NoiseBurst(Fault):
    """For `lumisections` lumisections the calorimeter is full of soft false jets; then the noise is gone."""

    lumisections: int
    jets: float

    def seen(self, objects: Objects, *, age: int, chance: np.random.Generator) -> Objects:
        """Add the false jets (a mean of `jets` an event) anywhere in the calorimeter."""
        if age >= self.lumisections:
            return objects
        shape = (len(objects.met_x), round(2 * self.jets))
        energy = 8.0 + 4.0 * chance.standard_exponential(shape, dtype=np.float32)
        eta = chance.integers(JET.axes[1].low, JET.axes[1].high, shape, dtype=np.int16)
        phi = chance.integers(0, CALO_PHI_STEPS, shape, dtype=np.int16)
        pt = np.where(chance.random(shape) < 0.5, energy, np.float32(0))
        return _added(objects, Candidates(pt, eta, phi), as_egamma=False)


@dataclass(frozen=True, slots=True)
class Late(Fault):
    """A share of the events is recorded one crossing late: the last ones of a train come behind its end."""

    share: float

    def recorded(self, bx: Crossings, chance: np.random.Generator) -> Crossings:
        """Move some of them on by one; the abort gap is behind the last."""
        return bx + (chance.random(len(bx)) < self.share).astype(np.uint16)


@dataclass(frozen=True, slots=True)
class StaleModel(Fault):
    """The board still holds the version before the one that the menu announces."""

    def scored(self, hardware: Hardware, inputs: Integers) -> Scores:
        """Score with the old version."""
        return hardware.stale(inputs)


@dataclass(frozen=True, slots=True)
class WeightUpset(Fault):
    """One bit of one weight is flipped in the board's memory."""

    def scored(self, hardware: Hardware, inputs: Integers) -> Scores:
        """Score with the flipped weight."""
        return hardware.upset(inputs)


@dataclass(frozen=True, slots=True)
class TruncatedInput(Fault):
    """The pt of one kind of object is halved in integers on its way into the model, and so loses its lowest bit."""

    kind: str

    def scored(self, hardware: Hardware, inputs: Integers) -> Scores:
        """Score inputs whose odd pt are one too small."""
        group = next(group for group in L1_LAYOUT if group.name == self.kind)
        columns = [group.column(index, 0) for index in range(group.count)]
        changed = inputs.copy()
        changed[:, columns] = (changed[:, columns] >> 1) << 1
        return hardware.announced(changed)


@dataclass(frozen=True, slots=True)
class UnitSlip(Fault):
    """Every input is written in a unit half as large, so the model reads all values doubled; int16 clips."""

    def scored(self, hardware: Hardware, inputs: Integers) -> Scores:
        """Score the doubled inputs."""
        limits = np.iinfo(np.int16)
        return hardware.announced(np.clip(inputs.astype(np.int32) * 2, limits.min, limits.max))


@dataclass(frozen=True, slots=True)
class StreamLoss(Fault):
    """The producer of one partition drops a share of its batches without a word."""

    partition: int
    share: float

    def delivered(self, partition: int, chance: np.random.Generator) -> bool:
        """Drop by chance, on the broken partition only."""
        return partition != self.partition or chance.random() >= self.share


def _everywhere(pt: Floats, eta: int, phi: int) -> Candidates:
    return Candidates(pt, np.full(pt.shape, eta, dtype=np.int16), np.full(pt.shape, phi, dtype=np.int16))


def _added(objects: Objects, fake: Candidates, *, as_egamma: bool) -> Objects:
    x, y = momentum(fake, fake.pt)
    egamma = objects.egamma.joined(fake) if as_egamma else objects.egamma
    return replace(
        objects, jet=objects.jet.joined(fake), egamma=egamma, met_x=objects.met_x - x, met_y=objects.met_y - y
    )


def _forwardness(candidates: Candidates) -> Floats:
    """Return how much faster than the barrel's edge (1) a place (n, k) ages: 0.5 at eta 0, 2.5 at eta 5."""
    eta = np.abs(candidates.eta).astype(np.float32) * np.float32(CALO_ETA_LSB)
    return np.asarray(0.5 + eta / np.float32(2.5), dtype=np.float32)
