"""A retraining request in sentences: what a person needs in order to decide, before all the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.serve.words import percent


def sentences(dossier: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the dossier says on effect, threshold and gain; of what it does not know, nothing."""
    return (
        *_effect(_part(dossier, "effect")),
        *_threshold(_part(dossier, "threshold")),
        *_gain(_part(dossier, "gain")),
    )


def _effect(effect: Mapping[str, Any]) -> Iterator[str]:
    accepted, expected, sigma = (_number(effect, name) for name in ("accepted", "expected", "sigma"))
    if accepted is not None and expected is not None and sigma is not None:
        yield f"Since the change {accepted:,.0f} events were accepted, {expected:,.0f} ± {sigma:,.0f} were expected."
    most, error = (_number(_part(effect, "overlap"), name) for name in ("at_most", "sigma"))
    if most is not None and error is not None:
        yield f"Of what the reference would have accepted, at most {percent(most)} (± {percent(error)}) still is."


def _threshold(threshold: Mapping[str, Any]) -> Iterator[str]:
    present, restoring, low, high = (_number(threshold, name) for name in ("present", "restoring", "low", "high"))
    if present is None or restoring is None:
        return
    ends = ["open" if end is None else f"{end:.0f}" for end in (low, high)]
    yield (
        f"A threshold of {restoring:.0f} ({ends[0]} to {ends[1]}) instead of {present:.0f} would restore the rate, "
        "not the same events."
    )


def _gain(gain: Mapping[str, Any]) -> Iterator[str]:
    if gain.get("visible") is False:
        yield "The accept rate has not visibly moved: there is no loss of rate to restore."
    restores = _number(_part(gain, "retraining"), "restores")
    if restores is not None:
        yield (
            f"The moved inputs account for {percent(restores)} of the change of the rate: a lower estimate of what "
            "a retraining would restore."
        )


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(value: Mapping[str, Any], name: str) -> float | None:
    found = value.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
