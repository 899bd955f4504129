"""A retraining request in sentences: what is known is said, what is not known is not."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.serve.dossier import sentences
from monitor.serve.words import percent
from tests.unit.serve import houses
from tests.unit.serve.test_page import show

LOWER = "a lower estimate of what a retraining would restore."


def dossier(**changed: Any) -> dict[str, Any]:
    retrain = houses.detector().retrain
    assert retrain is not None
    return {**retrain.dossier, **changed}


def test_the_page_says_effect_threshold_and_gain_in_sentences() -> None:
    words = show(houses.named("detector")).words
    assert sentences(dossier()) == (
        "Since the change 3,252 events were accepted, 3,696 ± 71 were expected.",
        f"Of what the reference would have accepted, at most {percent(0.88)} (± {percent(0.019)}) still is.",
        "A threshold of 151 (148 to 155) instead of 160 would restore the rate, not the same events.",
        f"The moved inputs account for {percent(0.51)} of the change of the rate: {LOWER}",
    )
    for sentence in sentences(dossier()):
        assert sentence in words


def test_an_open_end_and_a_rate_that_has_not_moved_are_said() -> None:
    threshold = {"present": 160, "restoring": 151, "low": 148, "high": None}
    said = sentences(
        dossier(effect=None, threshold=threshold, gain={"visible": False, "retraining": {"restores": None}})
    )
    assert said == (
        "A threshold of 151 (148 to open) instead of 160 would restore the rate, not the same events.",
        "The accept rate has not visibly moved: there is no loss of rate to restore.",
    )


@pytest.mark.parametrize("odd", [None, {}, [], "x", 7, {"restoring": "x", "accepted": True, "overlap": 3}])
def test_a_dossier_of_another_form_is_no_error(odd: Any) -> None:
    assert sentences({"effect": odd, "threshold": odd, "gain": odd}) == ()
    assert sentences({}) == ()
