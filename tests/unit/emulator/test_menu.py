"""Menu files: every way in which the registry may not be what a menu says is told, and mistakes are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import emulator
from emulator.card_files import PROGRAM
from emulator.detector import MODELS
from monitor.app.cli import main

V1, V2 = (emulator.Registry(MODELS).by_label(f"l1anomaly_{version}")[0] for version in ("v1", "v2"))
HEAD = 'name = "menu_1"\n'


def condition(name: str, label: str, digest: str, *more: str) -> str:
    return "\n".join(["[[condition]]", f'name = "{name}"', f'label = "{label}"', f'digest = "{digest}"', *more]) + "\n"


def found(tmp_path: Path, content: str, models: Path = Path(MODELS)) -> list[emulator.menu.Finding]:
    file = tmp_path / "menu.toml"
    file.write_text(HEAD + content)
    registry = emulator.Registry(models)
    return list(emulator.Menu.read(file).compared(registry, registry.validity))


def test_what_is_registered_as_the_menu_says_is_good(tmp_path: Path) -> None:
    good = condition("A", "l1anomaly_v1", V1.digest) + condition(
        "B", "l1anomaly_v2", V2.digest[7:19], f"threshold = {V2.threshold}"
    )
    assert [(each.card.digest if each.card else None, each.wrong) for each in found(tmp_path, good)] == [
        (V1.digest, ""),
        (V2.digest, ""),
    ]
    file = tmp_path / "menu.toml"
    assert main(["model", "menu", str(file), "--models", str(MODELS)]) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (condition("A", "l1anomaly_v1", "00000000"), f"not registered; l1anomaly_v1 is here as {V1.digest[7:19]}"),
        (condition("A", "axo", "00000000"), "not registered; axo is here as nothing"),
        (condition("A", "l1anomaly_v2", V1.digest), "this content is called l1anomaly_v1 here"),
        (condition("A", "l1anomaly_v1", V1.digest, "threshold = 1"), f"the card's threshold is {V1.threshold}"),
    ],
)
def test_what_differs_is_said(content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in found(tmp_path, content)[0].wrong
    assert main(["model", "menu", str(tmp_path / "menu.toml"), "--models", str(MODELS)]) == 1
    assert said in capsys.readouterr().out


def test_a_card_is_good_only_under_the_menus_it_is_valid_for(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    shutil.copytree(V1.path, site / V1.path.name)
    valid = f'[[card]]\nlabel = "l1anomaly_v1"\ndigest = "{V1.digest}"\nfirst_run = 1\nmenus = ["{{}}"]\n'
    for menu, wrong in (("menu_1", ""), ("menu_2", "not valid under menu_1: runs 1 to now, menus menu_2")):
        (site / "validity.toml").write_text(valid.format(menu))
        assert found(tmp_path, condition("A", "l1anomaly_v1", V1.digest), site)[0].wrong == wrong


def test_a_card_in_two_folders_is_one_model(tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path / "site")
    shutil.copytree(V1.path, tmp_path / "site" / "copy")
    assert found(tmp_path, condition("A", "l1anomaly_v1", V1.digest), tmp_path / "site")[0].wrong == ""


def test_content_that_is_not_what_the_card_says_is_not_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site"
    shutil.copytree(MODELS, site)
    shutil.copy(V2.path / PROGRAM, site / V1.path.name / PROGRAM)
    assert PROGRAM in found(tmp_path, condition("A", "l1anomaly_v1", V1.digest), site)[0].wrong
    assert main(["model", "list", str(site)]) == 1
    assert PROGRAM in capsys.readouterr().err


def test_a_menu_is_told_of_cards_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site"
    shutil.copytree(MODELS, site)
    (site / V1.path.name / "card.json").write_text("{")
    assert "not registered" in found(tmp_path, condition("A", "l1anomaly_v1", V1.digest), site)[0].wrong
    assert main(["model", "menu", str(tmp_path / "menu.toml"), "--models", str(site)]) == 1
    assert f"{V1.path.name}/card.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x", "cannot be read"),
        ('name = ""\n', "has the name ''"),
        ('name = "m"\n', r"one \[\[condition\]\]"),
        ('name = "m"\nseed = 1\n[[condition]]\n', r"holds \['condition', 'name', 'seed'\]"),
        (HEAD + "condition = [3]\n", "condition 1 is 3"),
        (HEAD + '[[condition]]\nname = "A"\n', r"missing \['label', 'digest'\]"),
        (HEAD + condition("A", "l", "0" * 12, 'threshold = "9"'), "threshold is '9', not a int"),
        (HEAD + condition("A", "", "0" * 12), "label is ''"),
        (HEAD + condition("A", "l", "0" * 12) * 2, "names 'A' more than once"),
        (HEAD + condition("A", "l", "sha256:0123"), "digest is 'sha256:0123': write 8 or more of its digits"),
        (HEAD + condition("A", "l", "axol1tl_v5"), "digest is 'axol1tl_v5'"),
    ],
)
def test_a_file_that_cannot_be_followed_is_refused_by_name(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "menu.toml"
    file.write_text(content)
    with pytest.raises(emulator.BadMenu, match=said):
        emulator.Menu.read(file)
    assert main(["model", "menu", str(file), "--models", str(MODELS)]) == 2
