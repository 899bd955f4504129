"""The demonstration: a fault goes in at the wire, and the daemon says what it should have said."""

import json

import pytest

from monitor.app.cli import main

# The scenarios that one seed of the test run goes through; five seeds of them, and the others, are in tests/nightly.
SCENARIOS = (
    "quiet",
    "dead-region",
    "jet-scale",
    "weight-upset",
    "stale-model",
    "truncated-input",
    "unit-slip",
    "stream-loss",
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_daemon_says_what_it_should(scenario: str, capsys: pytest.CaptureFixture[str]):
    status = main(["demo", "--once", "--json", "--scenario", scenario, "--seed", "11"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1, "one JSON line and nothing else"
    said = json.loads(lines[0])
    assert said["complaints"] == []
    assert said["as_expected"] is True
    assert status == 0
    if scenario == "quiet":
        assert said["detected"] is None
    else:
        assert said["detected"]["level"] == said["expected"]["level"]
        assert said["detected"]["ls"] >= said["injected"]["ls"]


def test_a_daemon_that_misses_the_fault_fails_the_demonstration(capsys: pytest.CaptureFixture[str]):
    """The run ends before the fault: nothing is found, and that is the answer no."""
    assert main(["demo", "--once", "--json", "--scenario", "dead-region", "--lumisections", "20"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["as_expected"] is False
    assert said["complaints"] == ["no verdict reached act"]
