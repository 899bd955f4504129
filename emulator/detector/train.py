"""Train the committed models again: `python -m emulator.detector.train --seed 7 --out models/`.

Each is fitted to clean fills of the simulated detector, written as firmware through hls4ml, and certified against it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

import emulator
from emulator.detector.autoencoder import Encoder, Floats, Recipe, fit
from emulator.detector.firmware import Formats, to_hls4ml
from emulator.detector.layout import L1_LAYOUT
from emulator.detector.run import Block, reference_fills

ACCEPTS = 0.015
_MIDDLE_PILEUP = (45.0, 50.0)


@dataclass(frozen=True, slots=True)
class Version:
    """What makes one version of the model: how it is trained, and its formats."""

    generation: int
    recipe: Recipe = field(default_factory=Recipe)
    formats: Formats = field(default_factory=Formats)
    fills: int = 12


VERSIONS: Mapping[str, Version] = MappingProxyType(
    {
        "l1anomaly_v1": Version(1, Recipe(epochs=8), Formats(weight="fixed<11,2>", hidden="ufixed<13,7,RND,SAT>")),
        "l1anomaly_v2": Version(2),
    }
)


def clean_inputs(*, seed: int, fills: int, pileup: tuple[float, float] = (0.0, np.inf)) -> NDArray[np.int16]:
    """Return raw inputs (n, 57) of clean fills, from bunches within a range of reported pile-up."""
    blocks = reference_fills(seed=seed, fills=fills, lumisections=25, events_per_lumisection=1000, scored=False)
    chosen = [
        block.inputs[(block.pileup >= pileup[0]) & (block.pileup < pileup[1])]
        for block in blocks
        if isinstance(block, Block)
    ]
    return np.concatenate(chosen)


def input_weights() -> Floats:
    """Return how much each input (57,) counts in training.

    Pt carries what is anomalous, a direction alone does not. Muons are so rare that at full weight they would be all
    that the model learns.
    """
    of_pt = {"met": 2.0, "egamma": 1.0, "muon": 0.3, "jet": 1.0}
    names = ((group.name, axis.name) for group in L1_LAYOUT for _ in range(group.count) for axis in group.axes)
    return np.array([of_pt[group] if axis == "pt" else 0.05 for group, axis in names], dtype=np.float32)


def train(version: Version, *, seed: int) -> Encoder:
    """Return the trained encoder of a version: equal arguments give equal weights."""
    raw = clean_inputs(seed=seed + version.generation, fills=version.fills)
    return fit(raw, weight=input_weights(), seed=seed + version.generation, recipe=version.recipe)


def build(label: str, *, seed: int, out: Path) -> emulator.Card:
    """Train, import and certify one version under `out`, with a threshold that accepts `ACCEPTS` at mid pile-up."""
    version = VERSIONS[label]
    encoder = train(version, seed=seed)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        graph = to_hls4ml(encoder, version.formats, directory)
        draft = emulator.import_hls4ml(graph, label=label, out=directory / "draft", layout=L1_LAYOUT, events=1000)
        threshold = _threshold(draft, seed=seed)
        return emulator.import_hls4ml(graph, label=label, out=out, layout=L1_LAYOUT, threshold=threshold, exact=True)


def _threshold(card: emulator.Card, *, seed: int) -> int:
    with emulator.load(card.path) as model:
        scores = model.score(clean_inputs(seed=seed + 1000, fills=20, pileup=_MIDDLE_PILEUP))[:, 0]
    return int(np.quantile(scores, 1 - ACCEPTS, method="higher"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m emulator.detector.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True, help="directory that receives one card per version")
    parser.add_argument("--label", choices=sorted(VERSIONS), action="append", help="default: every version")
    chosen = parser.parse_args(arguments)
    for label in chosen.label or sorted(VERSIONS):
        card = build(label, seed=chosen.seed, out=chosen.out)
        print(f"{card.label} {card.digest} threshold {card.threshold} in {card.path}")  # noqa: T201 — a command's answer


if __name__ == "__main__":
    main()
