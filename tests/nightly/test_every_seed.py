"""Every scenario over twenty seeds, and a thousand quiet lumisections each."""

import json
import os
import subprocess
import sys

import pytest

from emulator.detector import SCENARIOS

SEEDS = range(1, 21)


def play(*arguments: str) -> tuple[int, dict[str, object]]:
    """Run the demonstration in a process of its own, as a user would."""
    command = [sys.executable, "-m", "monitor.app", "demo", "--once", "--json", *arguments]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=False, timeout=1800)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", sorted(set(SCENARIOS) - {"quiet"}))
def test_the_daemon_says_what_it_should(scenario: str, seed: int):
    status, said = play("--scenario", scenario, "--seed", str(seed))
    assert status == 0, said


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thousand_quiet_lumisections_call_nobody(seed: int):
    status, said = play("--scenario", "quiet", "--seed", str(seed), "--lumisections", "1000")
    assert status == 0, said
