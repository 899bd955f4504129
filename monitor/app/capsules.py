"""`trigwatch capsule`: replay one mismatch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import emulator
from emulator.explain import first_divergence
from monitor.app.console import GOOD, NO, Commands, Unusable, command, group, say, warn, warn_each, why
from monitor.decide.capsule import Capsule

# It is damaged, cannot be made to run here, does not survive this event, or never saw such inputs.
NO_ANSWER = (emulator.NotCompiled, emulator.WorkerDied, emulator.WorkerHung, emulator.Poison, OSError, ValueError)


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
    warn_each(registry.broken.values())
    cards = [card for card in registry if card.n_inputs == len(capsule.inputs)]
    if not cards:
        raise Unusable(f"no card in {given.models} takes {len(capsule.inputs)} inputs: name the folder that holds it")
    answers = [(card.digest, _emulate(card, capsule)) for card in cards]
    # One card may lie in two folders, and one of them be damaged.
    announced = next((score for digest, score in answers if digest == capsule.digest and score is not None), None)
    if announced is None:
        warn(f"{capsule.label} {capsule.digest[:19]}, which the menu announced, gives no answer here: import its card")
        return NO
    if announced != capsule.emulated:
        warn(
            f"{capsule.label} gave {list(capsule.emulated)} then and gives {list(announced)} now, which no exact card "
            "does: check it with `trigwatch model verify`"
        )
    return GOOD if announced == capsule.hardware else NO


def _emulate(card: emulator.Card, capsule: Capsule) -> tuple[int, ...] | None:
    """Say what `card` makes of the event, and return it; None where it gives no answer."""
    try:
        with emulator.load(card.path) as model:
            score = tuple(int(value) for value in model.score(np.array([capsule.inputs]))[0])
            fits = "= hardware" if score == capsule.hardware else "differs"
            say(f"{card.label:<24} {card.digest[:19]}  {list(score)}  {fits}")
            if capsule.trace and card.digest == capsule.digest:
                _say_divergence(model, capsule)
            return score
    except NO_ANSWER as error:
        say(f"{card.label:<24} {card.digest[:19]}  no answer: {error}")
        return None


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
