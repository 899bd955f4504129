"""A card in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import emulator
from emulator.conversion import conversion_of
from monitor.app.console import say


def engine_of(card: emulator.Card) -> str:
    """Return the name of the engine that answers for a card."""
    return card.certificate.engine


def described(card: emulator.Card) -> Mapping[str, Any]:
    """Return what a card is, by name: what two cards are compared by first."""
    return {
        "label": card.label,
        "digest": card.digest,
        "inputs": ", ".join(f"{t.name} {list(t.shape)} {t.format}" for t in card.inputs),
        "outputs": ", ".join(f"{t.name} {list(t.shape)} {t.format}" for t in card.outputs),
        "threshold": card.threshold,
        "engine": engine_of(card),
    }


def say_card(card: emulator.Card) -> None:
    """Say what a card is, how it was converted, and what was proven."""
    for key, value in described(card).items():
        say(f"{key:<12} {value}")
    if card.falls_to is not None:
        say(f"{'falls to':<12} {card.falls_to}")
    for number, (name, value) in enumerate(conversion_of(card).items()):
        say(f"{'' if number else 'converted':<12} {name}: {value}")
    proof = card.certificate
    say(f"{'certificate':<12} {_proven(proof)}")
    for key in ("compiler", "seed"):
        say(f"{'':<12} {key}: {getattr(proof, key)}")


def _proven(proof: emulator.Certificate) -> str:
    if proof.engine == "abi":
        return f"{proof.reference}; golden vectors record what it said when it was imported"
    if proof.engine == "csim":
        return f"none: csim itself answers, {proof.reference}; golden vectors record what it said when it was imported"
    compared = f"{proof.random} random and {proof.directed} directed inputs"
    return f"{proof.mismatches} mismatches in {compared} against {proof.reference}"
