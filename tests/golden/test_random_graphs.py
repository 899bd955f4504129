"""Random networks: every score and every layer of both exact engines against hls4ml's compiled C++."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.graph import NotExact
from emulator.graph_source import UnreadableModel, read_graph
from emulator.importers.hls4ml import import_graph
from tests.golden.conftest import Network
from tests.graphs import draw

pytestmark = pytest.mark.csim

GROUPS = int(os.environ.get("RANDOM_GROUPS", "3"))
IN_A_GROUP = 8  # graphs that share one compilation: compiling csim is what costs


def graph_of(seeds: list[int], folder: Path) -> Any:
    """Return one hls4ml graph of all the networks of these seeds, side by side."""
    folder.mkdir(parents=True)
    network = Network()
    outputs = [draw(network, seed=seed, prefix=f"g{seed}") for seed in seeds]
    config = {"LayerName": network.precision, "Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    architecture, weights = network.write(folder, outputs)
    return read_graph(architecture, weights=weights, hls_config=config)


def exact(first: int, count: int, folder: Path) -> tuple[list[int], dict[int, str]]:
    """Return the first `count` seeds from `first` on whose networks have an exact program, and why others have none."""
    found: list[int] = []
    refused: dict[int, str] = {}
    seed = first
    while len(found) < count:
        try:
            import_graph(graph_of([seed], folder / str(seed)))
            found.append(seed)
        except (NotExact, UnreadableModel) as error:
            refused[seed] = str(error)
        seed += 1
    return found, refused


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_graphs_give_csims_scores_and_layers(group: int, compared: Callable[..., Any], tmp_path: Path) -> None:
    seeds, refused = exact(1000 * group, IN_A_GROUP, tmp_path / "alone")
    found = compared(graph_of(seeds, tmp_path / "together"), events=3000)
    assert found.wrong_layers == {}
    assert found.mismatches == 0
    assert len(found.traced) >= 2 * IN_A_GROUP
    assert len(found.moving & found.traced) > len(found.traced) / 2
    assert len(refused) < IN_A_GROUP, refused
