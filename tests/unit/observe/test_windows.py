"""Grids and windows, against a slow count of the same objects."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from emulator.detector.layout import L1_LAYOUT
from monitor.observe.grid import grids_of
from monitor.observe.shape import Shape
from monitor.observe.summariser import Summariser
from monitor.observe.windows import windows
from tests.unit.observe.crossings import INPUTS, LAYOUT, THRESHOLD, crossings, key

EVENTS = crossings(3000, np.random.default_rng(3))
SUMMARY = Summariser(LAYOUT, INPUTS, 1, THRESHOLD).summarise(key(), EVENTS)
SHAPE = Shape(L1_LAYOUT, 57, 1, None)
PANES = windows(SHAPE)
TOWERS = np.random.default_rng(5).integers(0, 9, SHAPE.arrays()["towers"])
SUMS = PANES.sums([layer.of(TOWERS) for layer in PANES.layers])


def test_cells_are_as_large_as_a_trigger_tower():
    for grid in SHAPE.grids:
        assert grid.phi_edge(1) == pytest.approx(0.087, abs=0.001)
        assert grid.flat or grid.height * grid.eta.lsb == pytest.approx(0.087)


def test_grids_of_one_plane_have_their_rows_at_the_same_eta():
    met, egamma, muon, jet = SHAPE.grids
    assert egamma.plane == jet.plane
    assert len({met.plane, muon.plane, jet.plane}) == 3
    for row in range(egamma.rows):
        assert egamma.eta_edge(row) == pytest.approx(jet.eta_edge(row + egamma.above - jet.above))


def test_every_raw_value_lies_in_its_row_and_column():
    for grid in SHAPE.grids:
        raw = np.arange(grid.eta.low, grid.eta.high)
        rows = grid.row(raw)
        assert all(grid.eta_edge(r) <= raw[i] * grid.eta.lsb + 1e-9 for i, r in enumerate(rows))
        assert all(raw[i] * grid.eta.lsb < grid.eta_edge(r + 1) for i, r in enumerate(rows))
        assert set(rows.tolist()) == set(range(grid.rows))
        columns = grid.column(np.arange(grid.phi.high))
        assert (np.bincount(columns) == grid.phi.high // grid.columns).all()


def test_a_map_without_any_group_has_no_window():
    assert grids_of(()) == ()
    assert len(windows(Shape(None, 12, 1, None))) == 0


def test_every_window_is_the_sum_of_its_cells():
    rng = np.random.default_rng(1)
    for window in [0, len(PANES) - 1, *rng.integers(0, len(PANES), 300).tolist()]:
        pane = PANES.pane_of(window)
        layer = PANES.layers[pane.layer]
        row, column = divmod(window - pane.first, len(pane.columns))
        top, left = pane.rows[row], pane.columns[column]
        around = [(left + k) % layer.columns for k in range(pane.wide)]
        cells = layer.of(TOWERS)[top : top + pane.tall][:, around]
        assert cells.shape == (pane.tall, pane.wide)
        assert SUMS[window] == cells.sum()


def test_no_cell_is_left_out_of_any_size():
    for number, pane in enumerate(PANES.panes):
        layer = PANES.layers[pane.layer]
        covered = np.zeros((layer.rows, layer.columns), np.bool_)
        for row in pane.rows:
            for column in pane.columns:
                covered[row : row + pane.tall, (column + np.arange(pane.wide)) % layer.columns] = True
        assert covered.all(), number


def test_objects_of_one_plane_are_counted_together():
    together = next(layer for layer in PANES.layers if layer.name == "egamma+jet")
    egamma, jet = SHAPE.grids[1], SHAPE.grids[3]
    assert (together.of(TOWERS) == egamma.of(TOWERS) + jet.of(TOWERS)[29:87]).all()


def test_a_window_says_where_it_looks_in_physical_units():
    panes = windows(SUMMARY.shape)
    jets = next(n for n, layer in enumerate(panes.layers) if layer.name == "jet")
    raw_eta, raw_phi = EVENTS.inputs[:, 4::3], EVENTS.inputs[:, 5::3]
    there = EVENTS.inputs[:, 3::3] > 0
    sums = panes.sums([layer.of(SUMMARY.counts["towers"]) for layer in panes.layers])
    for pane in (pane for pane in panes.panes if pane.layer == jets):
        window = pane.first + len(pane) // 3
        region = panes.region(window)
        assert region.object == "jet"
        assert region.eta is not None
        assert region.phi is not None
        eta, phi = raw_eta * 0.0435 + 1e-6, raw_phi * 2 * pi / 144 + 1e-6
        inside = (eta >= region.eta[0]) & (eta < region.eta[1])
        inside &= (phi - region.phi[0]) % (2 * pi) < region.phi[1] - region.phi[0]
        assert sums[window] == (inside & there).sum() > 0


def test_windows_overlap_where_they_share_a_cell():
    rng = np.random.default_rng(2)
    some = rng.integers(0, len(PANES), 120).tolist()
    seen = {True: 0, False: 0}
    for one in some:
        for other in some:
            found = PANES.overlap(one, other)
            assert found == bool(cells(one) & cells(other))
            seen[found] += 1
    assert min(seen.values()) > 100


def cells(window: int) -> set[tuple[int, int, int]]:
    pane = PANES.pane_of(window)
    layer = PANES.layers[pane.layer]
    row, column = divmod(window - pane.first, len(pane.columns))
    top, left = int(pane.rows[row]) + layer.above, int(pane.columns[column])
    return {
        (layer.grids[0].plane, top + i, (left + k) % layer.columns) for i in range(pane.tall) for k in range(pane.wide)
    }
