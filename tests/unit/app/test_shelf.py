"""The shelf of the daemon: what a label means in a run, where the folder of cards says so."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from emulator.detector import MODELS
from emulator.engines.compiler import installed
from monitor.app.shelf import CardShelf, Loaded
from monitor.watch.shelf import AMBIGUOUS_LABEL, UNKNOWN_MODEL, NotComparable

V1, V2 = (emulator.Registry(MODELS).by_label(f"l1anomaly_{version}")[0] for version in ("v1", "v2"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two cards that are both called axo; one ends with run 200, the other begins with run 201."""
    for card in (V1, V2):
        shutil.copytree(card.path, tmp_path / card.path.name)
        file = tmp_path / card.path.name / "card.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "label": "axo"}))
    entries = [
        f'[[card]]\nlabel = "axo"\ndigest = "{V1.digest}"\nfirst_run = 100\nlast_run = 200\n',
        f'[[card]]\nlabel = "axo"\ndigest = "{V2.digest}"\nfirst_run = 201\n',
    ]
    (tmp_path / "validity.toml").write_text("".join(entries))
    return tmp_path


@pytest.fixture
def shelf(site: Path) -> Iterator[CardShelf]:
    with CardShelf.open(emulator.Registry(site), engine="gemm") as opened:
        yield opened


def test_a_label_means_the_card_that_is_valid_in_the_events_runs(shelf: CardShelf) -> None:
    for runs, card in (((150, 150), V1), ((200, 200), V1), ((201, 250), V2)):
        found = shelf.find("axo", None, runs=runs, menu="m")
        assert isinstance(found, Loaded)
        assert found.digest == card.digest


@pytest.mark.parametrize("runs", [(99, 99), (200, 201)])
def test_events_of_no_interval_or_of_two_are_not_compared_and_the_runs_are_told(
    runs: tuple[int, int], shelf: CardShelf
) -> None:
    found = shelf.find("axo", None, runs=runs, menu="m")
    assert isinstance(found, NotComparable)
    assert found.reason == AMBIGUOUS_LABEL
    assert f"run{'s 200 to 201' if runs[0] != runs[1] else ' 99'}" in found.detail
    assert found.layout == V1.layout


def test_that_a_card_runs_on_the_slower_engine_is_said_once_however_often_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The demo, for one, loads every card to learn from clean fills and again to watch."""

    for compiler in ("none-of-this-name", "none-of-this-name", "nor-of-that"):
        monkeypatch.setenv("CXX", compiler)
        installed.cache_clear()
        with CardShelf.open(emulator.Registry(MODELS)) as shelf:
            assert {each.model.engine for each in shelf.all()} == {"gemm"}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    for line, (compiler, label) in zip(
        said, itertools.product(("none-of-this-name", "nor-of-that"), (V1.label, V2.label)), strict=True
    ):
        assert line.startswith(f"{label} runs on gemm, some ten times slower than native")
        assert f"{compiler!r} is not installed" in line


def test_a_digest_is_believed_whatever_the_run(shelf: CardShelf) -> None:
    found = shelf.find("axo", V2.digest, runs=(1, 1), menu="m")
    assert isinstance(found, Loaded)
    assert found.digest == V2.digest
    unknown = shelf.find("other", None, runs=(150, 150), menu="m")
    assert isinstance(unknown, NotComparable)
    assert unknown.reason == UNKNOWN_MODEL


def test_intervals_are_read_again_with_the_folder(site: Path, shelf: CardShelf) -> None:
    (site / "validity.toml").unlink()
    shelf.renew(emulator.Registry(site), engine="gemm")
    found = shelf.find("axo", None, runs=(150, 150), menu="m")
    assert isinstance(found, NotComparable)
    assert "2 cards are called 'axo'" in found.detail
