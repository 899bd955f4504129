"""How the model of a card was converted, as far as the card says: what two cards of one network may differ in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emulator.card import Card

_WORDS = {"IOType": "io type", "ReuseFactor": "reuse factor", "Precision": "precision", "Strategy": "strategy"}
_BY_LAYER = {"LayerName": "layer", "LayerType": "layers of type"}


def conversion_of(card: Card) -> dict[str, str]:
    """Return the settings of a card's conversion by name: the whole model's first, then those of single layers.

    A compiled library was converted elsewhere: nothing is known of it.
    """
    proof = card.certificate
    if proof.engine == "abi":
        return {}
    found = {"backend": proof.backend}
    by_layer: dict[str, str] = {}
    for name, value in proof.configuration.items():
        if name == "Model":
            found |= dict(_flat("", value))
        elif name in _BY_LAYER and isinstance(value, Mapping):
            for layer, settings in value.items():
                by_layer |= dict(_flat(f"{_BY_LAYER[name]} {layer}:", settings))
        else:
            found |= dict(_flat(_WORDS.get(name, name), value))
    return found | by_layer


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name} {_WORDS.get(key, key)}".strip(), each)
    else:
        yield name, str(value)
