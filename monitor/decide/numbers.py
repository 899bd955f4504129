"""The evidence as JSON values: what a verdict, the store and the API carry."""

from __future__ import annotations

import math
from typing import Any

from monitor.decide.case import Case
from monitor.drift.evidence import Evidence, Shift, Where

MOST_SHIFTS = 8


def numbers(case: Case) -> dict[str, Any]:
    """Return everything behind a verdict, JSON values only: no NaN, no infinity."""
    found = evidence_numbers(case.evidence)
    found["events"] = case.events
    if case.culprit is not None:
        culprit = case.culprit
        found["culprit"] = {
            "label": culprit.label,
            "digest": culprit.digest,
            "hypothesis": culprit.hypothesis,
            "fits": culprit.fits,
            "of": culprit.of,
        }
    if case.skipped:
        found["skipped"] = case.skipped
    if case.silent_since is not None:
        found["silent_since"] = list(case.silent_since)
    return {**found, **case.details}


def evidence_numbers(evidence: Evidence) -> dict[str, Any]:
    """Return the numbers of `evidence` alone."""
    epoch, arrived, agreement, accept = evidence.epoch, evidence.completeness, evidence.agreement, evidence.accept
    return {
        "epoch": {"menu": epoch.menu, "firmware": epoch.firmware, "prescale_column": epoch.prescale_column},
        "completeness": {
            "received": arrived.received,
            "declared": arrived.declared,
            "lost_batches": arrived.lost_batches,
            "missing_partitions": list(arrived.missing_partitions),
        },
        "agreement": {
            "compared": agreement.compared,
            "mismatched": agreement.mismatched,
            "ratio": finite(agreement.ratio),
            "floor": finite(agreement.floor),
            "not_comparable": dict(sorted(agreement.not_comparable.items())),
        },
        "pileup": finite(evidence.pileup),
        "reference": evidence.reference,
        "unjudged": evidence.unjudged,
        "known": list(evidence.known),
        "alarm": finite(evidence.alarm),
        "shifts": [shift_numbers(each) for each in evidence.shifts[:MOST_SHIFTS]],
        "accept": None
        if accept is None
        else {
            "observed": finite(accept.observed),
            "expected": finite(accept.expected),
            "sigma": finite(accept.sigma),
        },
        "second_opinion": list(evidence.second_opinion),
    }


def shift_numbers(shift: Shift) -> dict[str, Any]:
    """Return one quantity's case."""
    return {
        "quantity": shift.quantity,
        "family": shift.family,
        "ratio": finite(shift.ratio),
        "direction": shift.direction,
        "observed": finite(shift.observed),
        "expected": finite(shift.expected),
        "sigma": finite(shift.sigma),
        "tolerance": finite(shift.tolerance),
        "since": list(shift.since),
        "within": shift.within,
        "climbing": shift.climbing,
        "where": place_numbers(shift.where),
    }


def place_numbers(where: Where) -> dict[str, Any]:
    """Return a place, without what is not known of it."""
    eta, phi = where.eta and list(where.eta), where.phi and list(where.phi)
    found = {"object": where.object, "eta": eta, "phi": phi, "bit": where.bit}
    return {name: value for name, value in found.items() if value is not None}


def finite(value: float) -> float | None:
    """Return the number, or None where JSON has no word for it."""
    return float(value) if math.isfinite(value) else None
