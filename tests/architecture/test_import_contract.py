"""The house's walls stand, and they are seen to fall when somebody breaks them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BREACHES = {
    "a lower room imports a higher one": ("monitor/trigger/batch.py", "import monitor.drift.evidence"),
    "the emulator imports the monitor": ("emulator/layout.py", "import monitor.trigger.site"),
    "a pure room reads the clock": ("monitor/drift/evidence.py", "import time"),
    "kafka is imported outside its package": ("monitor/app/settings.py", "import kafka"),
    "prometheus is imported outside its room": ("monitor/app/settings.py", "import prometheus_client"),
    "siblings see each other": ("monitor/serve/__init__.py", "import monitor.stream.record"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_no_room_imports_what_its_messages_have_not_passed():
    outcome = lint(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "0 broken" in outcome.stdout


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_caught(breach: str, tmp_path: Path):
    for package in ("monitor", "emulator"):
        ignore = shutil.ignore_patterns("__pycache__", "models", "templates")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    place, line = BREACHES[breach]
    with (tmp_path / place).open("a") as module:
        module.write(f"\n{line}\n")
    outcome = lint(tmp_path)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert "BROKEN" in outcome.stdout
