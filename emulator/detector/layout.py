"""The 57 inputs of an AXOL1TL-like model: missing energy, 4 e/gamma, 4 muons, 10 jets, each as (pt, eta, phi)."""

from __future__ import annotations

from math import pi

from emulator.layout import Axis, Layout, ObjectGroup

PT_LSB = 0.5
CALO_ETA_LSB = 0.0435
MUON_ETA_LSB = 0.010875
CALO_PHI_STEPS = 144
MUON_PHI_STEPS = 576


def _axes(*, pt_steps: int, eta_lsb: float, eta_limit: int, phi_steps: int) -> tuple[Axis, ...]:
    return (
        Axis("pt", PT_LSB, "GeV", 0, pt_steps),
        Axis("eta", eta_lsb, "", -eta_limit, eta_limit + 1),
        Axis("phi", 2 * pi / phi_steps, "rad", 0, phi_steps, periodic=True),
    )


MET = ObjectGroup("met", 0, 1, _axes(pt_steps=4096, eta_lsb=CALO_ETA_LSB, eta_limit=0, phi_steps=CALO_PHI_STEPS))
EGAMMA = ObjectGroup("egamma", 3, 4, _axes(pt_steps=512, eta_lsb=CALO_ETA_LSB, eta_limit=57, phi_steps=CALO_PHI_STEPS))
MUON = ObjectGroup("muon", 15, 4, _axes(pt_steps=512, eta_lsb=MUON_ETA_LSB, eta_limit=225, phi_steps=MUON_PHI_STEPS))
JET = ObjectGroup("jet", 27, 10, _axes(pt_steps=2048, eta_lsb=CALO_ETA_LSB, eta_limit=115, phi_steps=CALO_PHI_STEPS))

L1_LAYOUT = Layout((MET, EGAMMA, MUON, JET))
