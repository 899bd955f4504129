"""`trigwatch model` as a user who may not read or write what is named: one line that says so, and exit 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.detector import MODELS

Refused = Callable[..., str]
# root may do everything, unless these are taken away.
BOUND = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

pytestmark = pytest.mark.skipif(bool(BOUND) and shutil.which("setpriv") is None, reason="needs setpriv, or not be root")


@pytest.fixture
def refused() -> Refused:
    """Runs a command that cannot be followed, and returns the one line that says why."""

    def call(*words: object) -> str:
        command = [*BOUND, sys.executable, "-m", "monitor.app", "model", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (2, "")
        return line

    return call


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that may be read and not written."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("below", ["", "models", "models/2026"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_looked_at(
    below: str, closed: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "net.fml").touch()
    line = refused("import", tmp_path / "net.fml", "--label", "net", "--out", closed / below)
    assert line == f"trigwatch: {closed} cannot be written by this user: name another folder, or change its permissions"


def test_a_folder_of_cards_that_is_a_file_is_refused_before_the_model_is_looked_at(
    tmp_path: Path, refused: Refused
) -> None:
    for name in ("net.fml", "file"):
        (tmp_path / name).touch()
    line = refused("import", tmp_path / "net.fml", "--label", "net", "--out", tmp_path / "file" / "models")
    assert line == f"trigwatch: {tmp_path / 'file'} is not a folder: name another one"


@pytest.mark.parametrize("name", ["net.json", "net.onnx", "net.keras", "net.fml"])
def test_a_model_that_cannot_be_read_is_refused(name: str, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / name).write_text("{}")
    (tmp_path / name).chmod(0)
    line = refused("import", tmp_path / name, "--label", "net", "--out", tmp_path / "cards")
    assert line == f"trigwatch: {tmp_path / name} cannot be read: Permission denied: check its permissions"


def test_weights_that_cannot_be_read_are_refused(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "net.json").write_text('{"class_name": "Model", "config": {}}')
    weights = tmp_path / "net_weights.h5"
    weights.touch(mode=0)
    line = refused("import", tmp_path / "net.json", "--label", "net", "--out", tmp_path / "cards")
    assert line == f"trigwatch: {weights} cannot be read: Permission denied: check its permissions"


def test_a_folder_of_models_that_cannot_be_searched_is_refused(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "away").mkdir(mode=0)
    line = refused("import", tmp_path / "away" / "net.onnx", "--label", "net", "--out", tmp_path / "cards")
    assert line == f"trigwatch: {tmp_path / 'away' / 'net.onnx'}: Permission denied"


@pytest.mark.parametrize("command", ["show", "verify", "diff", "export"])
def test_a_card_that_cannot_be_read_is_refused(command: str, tmp_path: Path, refused: Refused) -> None:
    card = tmp_path / "v1"
    shutil.copytree(Path(MODELS) / "l1anomaly_v1", card)
    card.chmod(0)
    more = {"diff": [card], "export": ["--out", tmp_path / "cards.tar.xz"]}.get(command, [])
    line = refused(command, card, *more)
    card.chmod(0o755)
    assert line == f"trigwatch: {card} cannot be read: Permission denied: check its permissions"
