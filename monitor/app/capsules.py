"""`trigwatch capsule`: replay one mismatch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import emulator
from emulator.explain import first_divergence
from monitor.app.console import GOOD, NO, Commands, Unusable, command, group, say, why
from monitor.decide.capsule import Capsule


def add(commands: Commands) -> None:
    """Add the command."""
    example = "trigwatch capsule replay mismatch.json --models models/"
    parts = group(commands, "capsule", text="replay one mismatch", example=example)
    again = command(
        parts,
        "replay",
        replay,
        text="emulate the event of a capsule with every card; exit 1 if the hardware's score is still not the model's",
        example=example,
    )
    again.add_argument("file", type=Path)
    again.add_argument("--models", type=Path, required=True, help="the folder of cards")


def replay(given: argparse.Namespace) -> int:
    """Emulate the capsule's event with every card of the folder."""
    try:
        capsule = Capsule.from_json(json.loads(given.file.read_text(encoding="utf-8")))
        registry = emulator.Registry(given.models)
    except (OSError, ValueError, RecursionError) as error:
        raise Unusable(why(error) if isinstance(error, OSError) else f"{given.file}: {error}") from error
    say(f"{capsule.stream}, {capsule.lumisection}, event {capsule.event}: the menu announced {capsule.label}")
    cause = f"; its sample fits with {capsule.hypothesis}" if capsule.hypothesis else ""
    say(f"hardware {list(capsule.hardware)}, emulation then {list(capsule.emulated)}{cause}")
    agrees = [_emulate(registry, card, capsule) for card in registry if card.n_inputs == len(capsule.inputs)]
    if not agrees:
        raise Unusable(f"no card in {given.models} takes {len(capsule.inputs)} inputs: name the folder that holds it")
    return GOOD if any(agrees) else NO


def _emulate(registry: emulator.Registry, card: emulator.Card, capsule: Capsule) -> bool:
    """Say what `card` makes of the event; return whether the hardware agrees and the card is the announced one."""
    with registry.load(card.digest) as model:
        try:
            score = tuple(model.score(np.array([capsule.inputs]))[0].tolist())
        except (emulator.Poison, ValueError) as error:  # it does not survive this event, or never saw such inputs
            say(f"{card.label:<24} {card.digest[:19]}  no answer: {error}")
            return False
        fits = score == capsule.hardware
        say(f"{card.label:<24} {card.digest[:19]}  {list(score)}  {'= hardware' if fits else 'differs'}")
        if capsule.trace and card.digest == capsule.digest:
            _say_divergence(model, capsule)
    return fits and card.digest == capsule.digest


def _say_divergence(model: emulator.Model, capsule: Capsule) -> None:
    shown = [(layer, np.array([values], dtype=np.int64)) for layer, values in capsule.trace]
    try:
        found = first_divergence(model.trace(np.array([capsule.inputs])), shown)
    except ValueError as error:
        raise Unusable(f"the capsule's trace is not of {capsule.label}: {error}") from error
    if found is None:
        say("no layer that the hardware shows differs")
    else:
        say(f"the first layer that differs is {found.layer}, in elements {list(found.elements)}")
