"""Patterns, the first layer that differs, wrong feeding and the ranking of explanations."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.detector.layout import L1_LAYOUT
from emulator.explain import feedings, first_divergence, log_likelihood, pattern
from emulator.layout import Axis, Layout, ObjectGroup

PAIR = Axis("pt", 0.5, "GeV", 0, 256), Axis("eta", 0.1, "", -8, 8)
LAYOUT = Layout((ObjectGroup("jet", 0, 3, PAIR), ObjectGroup("muon", 6, 3, PAIR)))
EVENT = np.array([[201, 3, 201, 3, 0, 0, 7, -2, 90, 1, 0, 0]], dtype=np.int32)


def fed(words: str) -> list[int]:
    return dict(feedings(EVENT, LAYOUT))[words][0].tolist()


@pytest.mark.parametrize(
    ("words", "jets", "muons"),
    [
        ("jet 0 and 1 swapped", [201, 3, 201, 3, 0, 0], [7, -2, 90, 1, 0, 0]),
        ("muon 0 and 1 swapped", [201, 3, 201, 3, 0, 0], [90, 1, 7, -2, 0, 0]),
        ("the muon in reverse order", [201, 3, 201, 3, 0, 0], [0, 0, 90, 1, 7, -2]),
        ("the muon sorted by pt", [201, 3, 201, 3, 0, 0], [90, 1, 7, -2, 0, 0]),
        ("jet and muon swapped", [7, -2, 90, 1, 0, 0], [201, 3, 201, 3, 0, 0]),
        ("the last 2 muon lost", [201, 3, 201, 3, 0, 0], [7, -2, 0, 0, 0, 0]),
        ("empty slots of muon filled with the last object", [201, 3, 201, 3, 0, 0], [7, -2, 90, 1, 90, 1]),
        ("repeated jet zeroed", [201, 3, 0, 0, 0, 0], [7, -2, 90, 1, 0, 0]),
        ("the pt of jet halved", [100, 3, 100, 3, 0, 0], [7, -2, 90, 1, 0, 0]),
        ("the pt of jet cut to even numbers", [200, 3, 200, 3, 0, 0], [7, -2, 90, 1, 0, 0]),
        ("the lowest 4 bits of the pt of muon lost", [201, 3, 201, 3, 0, 0], [0, -2, 80, 1, 0, 0]),
        ("the highest bit of the pt of jet lost", [73, 3, 73, 3, 0, 0], [7, -2, 90, 1, 0, 0]),
    ],
)
def test_a_wrong_feeding_changes_exactly_what_it_says(words: str, jets: list[int], muons: list[int]) -> None:
    assert fed(words) == jets + muons


def test_no_two_hypotheses_share_their_words_and_none_changes_the_recorded_inputs() -> None:
    kept = EVENT.copy()
    words = [each for each, _ in feedings(EVENT, LAYOUT)]
    assert len(words) == len(set(words)) > 20
    assert (kept == EVENT).all()
    wide = np.zeros((2, L1_LAYOUT.width), np.int32)
    assert all(each.shape == wide.shape for _, each in feedings(wide, L1_LAYOUT))


def test_a_limit_a_power_of_two_and_a_stuck_output_are_told_apart() -> None:
    emulated = np.array([[10], [200], [300], [40]])
    assert pattern(np.minimum(emulated, 127), emulated).saturated == 1.0
    assert pattern(emulated ^ 64, emulated).powers_of_two == 1.0
    assert pattern(emulated ^ 64, emulated).saturated == 0.0
    assert pattern(emulated + 3, emulated).powers_of_two == 0.0
    assert pattern(emulated * 0 + 7, emulated).constant == (7,)
    with pytest.raises(ValueError, match="agree"):
        pattern(emulated, emulated)


def test_the_first_layer_that_differs_is_named_even_where_the_hardware_shows_only_some() -> None:
    ours = [("a", np.array([[1, 2]])), ("b", np.array([[3, 4]])), ("c", np.array([[5]]))]
    theirs = [("c", np.array([[9]])), ("b", np.array([[3, 5]]))]
    found = first_divergence(ours, theirs)
    assert found is not None
    assert (found.layer, found.elements, found.events) == ("b", (1,), 1)
    assert first_divergence(ours, ours) is None
    with pytest.raises(ValueError, match="'d'"):
        first_divergence(ours, [("d", np.array([[1]]))])
    with pytest.raises(ValueError, match="in the model"):
        first_divergence(ours, [("a", np.array([[1]]))])


def test_at_equal_fit_the_simpler_wins_and_enough_events_outweigh_simplicity() -> None:
    simple = log_likelihood(20, 24, alternatives=3, assumptions=1)
    bit = log_likelihood(20, 24, alternatives=36_000, assumptions=4)
    assert bit < simple < log_likelihood(24, 24, alternatives=36_000, assumptions=4)
