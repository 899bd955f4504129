"""What the detector sees in a crossing before the trigger counts it, and how that becomes raw inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emulator.detector.layout import CALO_PHI_STEPS, EGAMMA, JET, L1_LAYOUT, MET, MUON, PT_LSB
from emulator.layout import ObjectGroup

Floats = NDArray[np.float32]
Integers = NDArray[np.int16]

_CALO_PHI = (np.arange(CALO_PHI_STEPS) * (2 * np.pi / CALO_PHI_STEPS)).astype(np.float32)
COS_PHI = np.cos(_CALO_PHI)
SIN_PHI = np.sin(_CALO_PHI)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Objects of one kind in n events, in no order; pt 0 is no object.

    Attributes
    ----------
    pt : float32 (n, k)
        GeV.
    eta, phi : int16 (n, k)
        Raw units of the kind's group in the layout.
    """

    pt: Floats
    eta: Integers
    phi: Integers

    def scaled(self, factor: Floats | float) -> Candidates:
        """Return the candidates with their pt multiplied."""
        return replace(self, pt=(self.pt * factor).astype(np.float32, copy=False))

    def joined(self, other: Candidates) -> Candidates:
        """Return the candidates of both, event by event."""
        return Candidates(
            np.concatenate((self.pt, other.pt), axis=1),
            np.concatenate((self.eta, other.eta), axis=1),
            np.concatenate((self.phi, other.phi), axis=1),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Everything seen in n crossings: candidates by kind, and the missing transverse momentum in GeV (n,)."""

    egamma: Candidates
    muon: Candidates
    jet: Candidates
    met_x: Floats
    met_y: Floats


def momentum(candidates: Candidates, pt: Floats) -> tuple[Floats, Floats]:
    """Return the vector sum per event (n,) of calorimeter candidates, with `pt` (n, k) in place of their own."""
    x = np.einsum("ij,ij->i", pt, COS_PHI[candidates.phi])
    y = np.einsum("ij,ij->i", pt, SIN_PHI[candidates.phi])
    return x, y


def digitise(objects: Objects) -> Integers:
    """Return raw inputs int16 (n, 57): counted in hardware units, saturated, sorted by pt, zero-filled."""
    inputs = np.zeros((len(objects.met_x), L1_LAYOUT.width), dtype=np.int16)
    inputs[:, MET.column(0, 0)], inputs[:, MET.column(0, 2)] = _missing(objects)
    for group, candidates in ((EGAMMA, objects.egamma), (MUON, objects.muon), (JET, objects.jet)):
        inputs[:, group.offset : group.stop] = _sorted(group, candidates)
    return inputs


def _missing(objects: Objects) -> tuple[Integers, Integers]:
    size = np.hypot(objects.met_x, objects.met_y)
    turn = np.arctan2(objects.met_y, objects.met_x) * np.float32(CALO_PHI_STEPS / (2 * np.pi))
    pt = np.minimum(size / np.float32(PT_LSB), MET.axes[0].high - 1).astype(np.int16)
    return pt, np.where(pt > 0, np.floor(turn).astype(np.int16) % CALO_PHI_STEPS, 0).astype(np.int16)


def _sorted(group: ObjectGroup, candidates: Candidates) -> Integers:
    """Return (n, count * 3): one integer per object (pt over eta over phi), so that one sort orders all three."""
    pt_axis, eta_axis, _ = group.axes
    pt = np.clip(candidates.pt / np.float32(PT_LSB), 0, pt_axis.high - 1).astype(np.int32)
    key = (pt << 20) | ((candidates.eta.astype(np.int32) - eta_axis.low) << 10) | candidates.phi
    key[pt == 0] = 0
    key.sort(axis=1)
    best = key[:, : -group.count - 1 : -1]
    present = best != 0
    raw = np.zeros((len(best), group.count, 3), dtype=np.int16)
    filled = raw[:, : best.shape[1]]
    filled[:, :, 0] = best >> 20
    filled[:, :, 1] = (((best >> 10) & 0x3FF) + eta_axis.low) * present
    filled[:, :, 2] = best & 0x3FF
    return raw.reshape(len(best), -1)
