"""Which card a label meant when: intervals are followed, and a file that cannot be followed is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import emulator
from emulator.detector import MODELS

V1, V2 = (emulator.Registry(MODELS).by_label(f"l1anomaly_{version}")[0] for version in ("v1", "v2"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two cards that are both called axo."""
    for card in (V1, V2):
        shutil.copytree(card.path, tmp_path / card.path.name)
        file = tmp_path / card.path.name / "card.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "label": "axo"}))
    return tmp_path


def entry(digest: str, first: int, last: int | None = None, menus: str = "", label: str = "axo") -> str:
    lines = ["[[card]]", f'label = "{label}"', f'digest = "{digest}"', f"first_run = {first}"]
    lines += [f"last_run = {last}"] if last is not None else []
    return "\n".join(lines + ([f"menus = {menus}"] if menus else [])) + "\n"


def test_a_label_means_the_card_of_the_run_and_the_menu(site: Path) -> None:
    (site / "validity.toml").write_text(
        entry(V1.digest[7:25], 100, 200) + entry(V2.digest, 201) + entry(V1.digest, 50, 99, menus='["special"]')
    )
    registry = emulator.Registry(site)
    assert registry.valid("axo", run=100, menu="m").digest == V1.digest
    assert registry.valid("axo", run=200, menu="m").digest == V1.digest
    assert registry.valid("axo", run=201, menu="m").digest == V2.digest
    assert registry.valid("axo", run=60, menu="special").digest == V1.digest
    for run, menu in ((60, "m"), (49, "special")):
        with pytest.raises(emulator.UnknownModel, match=f"meant by 'axo' in run {run} under menu '{menu}'"):
            registry.valid("axo", run=run, menu=menu)
    assert [str(interval) for interval in registry.validity.of(V2.digest)] == ["runs 201 to now"]


def test_without_intervals_the_only_card_of_a_label_is_meant_and_two_are_ambiguous(site: Path) -> None:
    assert emulator.Registry(MODELS).valid("l1anomaly_v1", run=1, menu="m").digest == V1.digest
    with pytest.raises(emulator.UnknownModel, match=r"2 cards .* give each its runs in validity\.toml"):
        emulator.Registry(site).valid("axo", run=1, menu="m")


def test_menus_keep_two_cards_of_one_label_apart(site: Path) -> None:
    (site / "validity.toml").write_text(
        entry(V1.digest, 1, menus='["physics", "cosmics"]') + entry(V2.digest, 1, menus='["ions"]')
    )
    registry = emulator.Registry(site)
    assert registry.valid("axo", run=5, menu="ions").digest == V2.digest
    assert registry.valid("axo", run=5, menu="cosmics").digest == V1.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "cannot be read"),
        ("[cards]\na = 1\n", r"\['cards'\]"),
        ("card = 7\n", "no list"),
        ("card = [7]\n", r"card 1 is 7"),
        (entry("sha256:feedfeed", 1), "0 cards are called 'axo'"),
        (entry(V1.digest, 1, label="other"), "0 cards are called 'other'"),
        (entry("sha256:", 1), "digest is 'sha256:': write 8 or more of its digits"),
        (entry(V1.digest, 9, 8), "runs 9 to 8 are no interval"),
        (entry(V1.digest, -1), "runs -1 to None"),
        (entry(V1.digest, 1, menus="[3]"), "not names"),
        (entry(V1.digest, 1).replace("first_run", "frist_run"), r"missing \['first_run'\], unknown \['frist_run'\]"),
        (entry(V1.digest, 1).replace("= 1", '= "one"'), "first_run is 'one', not a int"),
        (entry(V1.digest, 1, 10) + entry(V2.digest, 10), "means two cards at a time"),
        (entry(V1.digest, 5) + entry(V2.digest, 1, menus='["a"]'), "means two cards at a time"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(text: str, said: str, site: Path) -> None:
    (site / "validity.toml").write_text(text)
    with pytest.raises(emulator.BadValidity, match=said) as refused:
        emulator.Registry(site)
    assert "validity.toml" in str(refused.value)
