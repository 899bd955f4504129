"""What the detector makes of a crossing: soft jets of the pile-up, the hardest scatter, leptons, missing momentum.

Spectra are points of a Poisson process in falling pt: with N(>pt) the mean number of objects above pt, the k-th hardest
object has N(>pt_k) = the sum of k exponential numbers. So objects come sorted, and zero-filling needs no multiplicity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.detector.chance import Purpose, generator
from emulator.detector.conditions import Crossings, Fill, Wobble
from emulator.detector.layout import (
    CALO_ETA_LSB,
    CALO_PHI_STEPS,
    EGAMMA,
    JET,
    MUON,
    MUON_ETA_LSB,
    MUON_PHI_STEPS,
)
from emulator.detector.objects import Candidates, Floats, Integers, Objects, momentum
from emulator.layout import ObjectGroup

REFERENCE_PILEUP = np.float32(50.0)
_TABLE = 65536  # one entry per value of a uint16: a random place is one look-up

# Standing structure of the calorimeter in 20-degree wedges: the same in every fill, so part of what is normal.
_WEDGES = np.array([2, -3, 1, 4, -1, 0, -4, 3, 1, -2, 5, -3, 0, 2, -1, -5, 3, -2]) / 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Look-up tables int16 (65536,) from a uniform uint16 to raw eta and phi of one kind of object."""

    eta: Integers
    phi: Integers

    def draw(self, chance: np.random.Generator, shape: tuple[int, int]) -> tuple[Integers, Integers]:
        """Return raw (eta, phi) of `shape`."""
        n = shape[0] * shape[1]
        # Four uint16 from one uint64: three times as fast as drawing them one by one.
        places = chance.integers(0, 2**64, -(-2 * n // 4), dtype=np.uint64).view(np.uint16)
        return self.eta.take(places[:n]).reshape(shape), self.phi.take(places[n : 2 * n]).reshape(shape)


class Response:
    """The detector during one fill; tables of places are built once, every lumisection is drawn on its own."""

    def __init__(self, fill: Fill) -> None:
        self._fill = fill
        self._jets = _places(JET, fill.wobble, forward=0.6)
        self._egammas = _places(EGAMMA, fill.wobble, forward=0.0)
        self._muons = _places(MUON, fill.wobble, forward=0.3)

    def objects(self, crossings: Crossings, ls: int) -> Objects:
        """Return what is seen in these crossings of lumisection `ls`, before any fault."""
        chance = generator(self._fill.seed, Purpose.RESPONSE, self._fill.run, ls)
        wobble = self._fill.wobble
        pileup = crossings.pileup
        interactions = np.maximum(pileup + np.sqrt(pileup) * _normal(chance, pileup.shape), np.float32(1.0))
        level = (interactions / REFERENCE_PILEUP).astype(np.float32, copy=False)
        soft = self._soft_jets(chance, level * (1.0 + 0.35 * crossings.head))
        hard, lost_x, lost_y = _hardest_scatter(chance, interactions)
        jet = soft.joined(hard).scaled(wobble.jet_scale)
        electron, lepton, neutrino_x, neutrino_y = _electroweak(chance, level)
        noise = np.sqrt(36.0 + 2.2 * interactions * (1.0 + 0.2 * crossings.head)) * np.float32(wobble.met_noise)
        return Objects(
            egamma=self._egamma(chance, level, jet).joined(electron).scaled(wobble.egamma_scale),
            muon=self._muon(chance, level).joined(lepton),
            jet=jet,
            met_x=noise * _normal(chance, noise.shape) + lost_x + neutrino_x,
            met_y=noise * _normal(chance, noise.shape) + lost_y + neutrino_y,
        )

    def _soft_jets(self, chance: np.random.Generator, level: Floats) -> Candidates:
        mean = 5.0 * self._fill.wobble.soft * level**1.5
        pt = _spectrum(chance, mean, slope=3.6 * level**0.3, lowest=8.0, count=JET.count)
        return Candidates(pt, *self._jets.draw(chance, pt.shape))

    def _egamma(self, chance: np.random.Generator, level: Floats, jet: Candidates) -> Candidates:
        """Own clusters, and those that the hardest soft jet and the two of the scatter leave in the same place."""
        mean = 1.8 * self._fill.wobble.soft * level
        pt = _spectrum(chance, mean, slope=3.0 * level**0.2, lowest=4.0, count=EGAMMA.count)
        own = Candidates(pt, *self._egammas.draw(chance, pt.shape))
        which = [0, JET.count, JET.count + 1]
        eta = jet.eta[:, which]
        share = chance.random((len(eta), 3), dtype=np.float32)
        seen = (share > 0.75) & (np.abs(eta) <= -EGAMMA.axes[1].low)
        return own.joined(Candidates(jet.pt[:, which] * share * seen, np.where(seen, eta, 0), jet.phi[:, which]))

    def _muon(self, chance: np.random.Generator, level: Floats) -> Candidates:
        mean = 0.15 * self._fill.wobble.muon_efficiency * level
        pt = _spectrum(chance, mean, slope=np.full_like(level, 4.5), lowest=2.5, count=3)
        return Candidates(pt, *self._muons.draw(chance, pt.shape))


def _spectrum(chance: np.random.Generator, mean: Floats, *, slope: Floats, lowest: float, count: int) -> Floats:
    """Return pt (n, count) in GeV, hardest first, of an exponential spectrum: `mean` objects above `lowest`."""
    arrivals = np.cumsum(_exponential(chance, (count, len(mean))), axis=0)
    height = np.log(mean / arrivals)
    pt = np.where(height > 0, np.float32(lowest) + slope * height, 0)
    return np.ascontiguousarray(pt.T, dtype=np.float32)


def _hardest_scatter(chance: np.random.Generator, interactions: Floats) -> tuple[Candidates, Floats, Floats]:
    """Return the jets (n, 3) of the hardest of all interactions, and the momentum (x, y) that mismeasurement adds.

    N(>pt) is proportional to pt^-4; two jets back to back, the second of which may have radiated a third. What is
    measured too low, or passes the calorimeter's edge, points back as missing momentum.
    """
    n = len(interactions)
    scale = 6.0 * (interactions / _exponential(chance, (n,))) ** np.float32(0.25)
    radiated = 0.5 * chance.random(n, dtype=np.float32) ** 2
    true = np.stack((scale, scale * (1 - radiated), scale * radiated), axis=1)
    eta, phi = _dijet_places(chance, n)
    inside = np.abs(eta) <= -JET.axes[1].low
    resolution = np.sqrt(0.8 / np.maximum(true, 1.0) + 0.0036)
    measured = true * np.maximum(1 + resolution * _normal(chance, true.shape), 0) * inside
    jets = Candidates(np.where(measured > 8.0, measured, 0), np.where(inside, eta, 0), phi)
    return jets, *momentum(jets, 0.5 * (true - measured))


def _dijet_places(chance: np.random.Generator, n: int) -> tuple[Integers, Integers]:
    boost, opening, kick, wide, turn = _normal(chance, (5, n))
    eta = np.stack((1.4 * boost + 0.9 * opening, 1.4 * boost - 0.9 * opening, 1.4 * boost - 0.9 * opening + wide))
    angle = 2 * np.pi * chance.random(n, dtype=np.float32)
    phi = np.stack((angle, angle + np.pi + 0.12 * kick, angle + np.pi + 0.7 * turn))
    return _count(eta.T, CALO_ETA_LSB), _count(phi.T, 2 * np.pi / CALO_PHI_STEPS) % CALO_PHI_STEPS


def _electroweak(chance: np.random.Generator, level: Floats) -> tuple[Candidates, Candidates, Floats, Floats]:
    """Return electrons (n, 2), muons (n, 2) and the neutrinos' momentum (x, y) of W and Z decays.

    The lepton's pt has the Jacobian peak at 40 GeV; its partner flies opposite: a neutrino, or in Z a second lepton.
    """
    n = len(level)
    happens = chance.random(n, dtype=np.float32) < 0.008 * level
    cosine, is_z, is_muon = chance.random((3, n), dtype=np.float32)
    pt = 40.0 * np.sqrt(1 - cosine**2) * (1 + 0.05 * _normal(chance, (n,))) * happens
    z_boson, muonic = is_z < 0.15, is_muon < 0.5
    phi = 2 * np.pi * chance.random(n, dtype=np.float32)
    both = np.stack((pt, pt * z_boson), axis=1).astype(np.float32)
    eta = np.clip(_normal(chance, (n, 2)) * 1.1, -2.4, 2.4)
    angles = np.stack((phi, phi + np.pi), axis=1)
    calo_phi = _count(angles, 2 * np.pi / CALO_PHI_STEPS) % CALO_PHI_STEPS
    muon_phi = _count(angles, 2 * np.pi / MUON_PHI_STEPS) % MUON_PHI_STEPS
    electrons = Candidates(both * ~muonic[:, None], _count(eta, CALO_ETA_LSB), calo_phi)
    muons = Candidates(both * muonic[:, None], _count(eta, MUON_ETA_LSB), muon_phi)
    invisible = -pt * ~z_boson
    return electrons, muons, invisible * np.cos(phi), invisible * np.sin(phi)


def _places(group: ObjectGroup, wobble: Wobble, *, forward: float) -> Places:
    """Tabulate raw eta (with a forward shoulder) and phi (wedges, beam offset) densities as quantiles."""
    _, eta_axis, phi_axis = group.axes
    eta = np.arange(eta_axis.low, eta_axis.high)
    reach = eta / eta_axis.high
    along = 1 + forward * np.exp(-(((np.abs(reach) - 0.56) / 0.12) ** 2)) - 0.4 * np.abs(reach) + wobble.tilt * reach
    phi = np.arange(phi_axis.high)
    angle = phi * phi_axis.lsb
    around = 1 + _WEDGES[phi * len(_WEDGES) // phi_axis.high] + wobble.beam_offset * np.cos(angle - wobble.beam_angle)
    return Places(_quantiles(eta, along), _quantiles(phi, around))


def _quantiles(values: NDArray[np.int64], density: NDArray[np.float64]) -> Integers:
    edges = np.cumsum(density) / density.sum()
    return values[np.searchsorted(edges, (np.arange(_TABLE) + 0.5) / _TABLE)].astype(np.int16)


def _normal(chance: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return chance.standard_normal(shape, dtype=np.float32)


def _exponential(chance: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    # A float32 draw can be 0, which would be an object of infinite momentum.
    return np.maximum(chance.standard_exponential(shape, dtype=np.float32), np.float32(1e-7))


def _count(physical: Floats, lsb: float) -> Integers:
    raw: Integers = np.floor(physical / np.float32(lsb)).astype(np.int16)
    return raw
