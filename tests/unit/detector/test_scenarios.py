import pytest

from emulator.detector import SCENARIOS
from emulator.detector.scenarios import Scenario
from monitor.decide.verdict import Blame, Level
from monitor.trigger.header import NAME

NAMES = [
    "quiet",
    "dead-region",
    "hot-tower",
    "jet-scale",
    "ageing",
    "weight-upset",
    "stale-model",
    "truncated-input",
    "unit-slip",
    "noise-burst",
    "stream-loss",
]


def test_there_are_the_eleven_scenarios() -> None:
    assert list(SCENARIOS) == NAMES


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=NAMES)
def test_what_is_expected_is_said_in_the_words_of_a_verdict_and_in_time(scenario: Scenario) -> None:
    assert NAME.fullmatch(scenario.name)
    assert scenario.expected.level in list(Level)
    assert scenario.expected.blame in list(Blame)
    assert 1 < scenario.onset <= scenario.onset + scenario.expected.within <= scenario.lumisections


@pytest.mark.parametrize("name", ["weight-upset", "stale-model", "truncated-input", "unit-slip", "stream-loss"])
def test_what_is_not_the_detectors_fault_is_never_mended_by_retraining(name: str) -> None:
    assert SCENARIOS[name].expected.retrain is False
