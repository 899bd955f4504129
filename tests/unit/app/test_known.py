"""The file of known conditions: what it says, how changes are followed, and what is said of a mistake."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import emulator
from emulator.detector import MODELS, reference_fills
from monitor.app.cli import main
from monitor.app.known import BadKnown, KnownFile, read
from monitor.app.recording import TOPIC, from_detector
from monitor.app.references import learned
from monitor.app.shelf import CardShelf
from monitor.app.simulate import STREAM
from monitor.reference.learn import Unlearnable
from monitor.trigger.known import Known, KnownConditions
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS

TOML = """
[[condition]]
kind = "emittance scan"
first = [401000, 120]
last = [401000, 131]
stream = "l1anomaly"

[[condition]]
kind = "HEM15 off"
first = [401000, 1]
object = "jet"
eta = [-3.0, -1.3]
phi = [4.71, 5.41]
quantities = ["jet phi harmonic *"]
"""
LINE = '{"kind": "scan", "first": [7, 1], "last": [7, 9]}\n'


def test_both_forms_say_the_same(tmp_path: Path):
    (tmp_path / "known.toml").write_text(TOML)
    scan, dead = read(tmp_path / "known.toml").all
    assert scan == Known("emittance scan", Lumisection(401000, 120), Lumisection(401000, 131), "l1anomaly")
    assert dead.last is None
    assert (dead.object, dead.eta, dead.phi) == ("jet", (-3.0, -1.3), (4.71, 5.41))
    (tmp_path / "known.jsonl").write_text(LINE)
    assert read(tmp_path / "known.jsonl").all == (Known("scan", Lumisection(7, 1), Lumisection(7, 9)),)


def test_a_line_that_is_still_being_written_waits(tmp_path: Path):
    path = tmp_path / "known.jsonl"
    path.write_text(LINE + LINE[:20])
    assert len(read(path).all) == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('kind = "scan"', "condition 1 has first = None: write [run, lumisection]"),
        ('kind = "scan"\nfirst = [1, true]', "condition 1 has first = [1, True]"),
        ("first = [1, 2]", "has the kind None: say in words"),
        ('kind = "scan"\nfirst = [1, 5]\nlast = [1, 4]', "ends at 1:4, before it begins at 1:5"),
        ('kind = "scan"\nfirst = [1, 5]\neta = [2, 1]', "has eta = [2, 1]: write [from, to]"),
        ('kind = "scan"\nfirst = [1, 5]\nphi = "all"', "has phi = 'all'"),
        ('kind = "scan"\nfirst = [1, 5]\nphi = [270, 310]', "more than once around; write radians"),
        ('kind = "scan"\nfirst = [1, 5]\nphi = [-inf, inf]', "has phi = [-inf, inf]"),
        ('kind = "scan"\nfirst = [1, 5]\neta = [false, true]', "has eta = [False, True]"),
        ('kind = "scan"\nfirst = [1, 5]\nobject = 3', "has object = 3: write a name"),
        ('kind = "scan"\nfirst = [1, 5]\nquantities = "rate"', "has the quantities 'rate': write a list"),
        ('kind = "scan"\nfirst = [1, 5]\nwhere = "jet"', "has 'where': known are eta, first, kind"),
        ('kind = "scan"\nfirst = [1, 5]\nquantities = []', "has quantities = []: name some, or leave it out"),
        ('kind = "scan"\nfirst = [1, 5]\nstream = ""', "has stream = '': write a name, or leave it out to cover all"),
        ('kind = "scan"\nfirst = [1, 5]\nobject = ""', "has object = '': write a name, or leave it out to cover all"),
        ("kind = ", "Invalid value"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(entry: str, said: str, tmp_path: Path):
    path = tmp_path / "known.toml"
    path.write_text(f"[[condition]]\n{entry}\n")
    with pytest.raises(BadKnown) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", ["scan = 1\n", "condition = 3\n"])
def test_another_document_is_refused(content: str, tmp_path: Path):
    path = tmp_path / "known.toml"
    path.write_text(content)
    with pytest.raises(BadKnown, match=r"write one \[\[condition\]\]"):
        read(path)
    (tmp_path / "known.jsonl").write_text("3\n")
    with pytest.raises(BadKnown, match="condition 1 is 3"):
        read(tmp_path / "known.jsonl")


def test_a_later_line_says_how_a_condition_ended(tmp_path: Path):
    path = tmp_path / "known.jsonl"
    path.write_text('{"kind": "scan", "first": [7, 1]}\n' + LINE + '{"kind": "scan", "first": [7, 30]}\n')
    assert [each.last for each in read(path).all] == [Lumisection(7, 9), None]


@pytest.mark.parametrize("line", ["{", "[" * 100_000])
def test_the_line_that_is_no_json_is_named(line: str, tmp_path: Path):
    path = tmp_path / "known.jsonl"
    path.write_text(LINE + line + "\n")
    with pytest.raises(BadKnown, match=r"line 2 is not JSON|recursion"):
        read(path)


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path: Path):
    path = tmp_path / "known.jsonl"
    path.write_text(LINE)
    known = KnownFile(path)
    stat = path.stat()
    path.unlink()
    path.mkdir()  # reading it fails, for everyone
    assert not known.renewed()
    path.rmdir()
    path.write_text(LINE + LINE.replace("7", "8"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert known.renewed()


def test_nothing_is_learnt_while_something_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run, known = tmp_path / "run.parquet", tmp_path / "known.toml"
    assert main(["simulate", "quiet", "--lumisections", "15", "--out", str(run)]) == 0
    known.write_text('[[condition]]\nkind = "scan"\nfirst = [401000, 3]\nlast = [401000, 5]\n')
    learn = ["reference", "build", str(run), "--models", str(MODELS), "--out", str(tmp_path / "a.book")]
    assert main([*learn, "--known", str(known)]) == 0
    assert " 12 " in capsys.readouterr().out.splitlines()[-2]
    known.write_text('[[condition]]\nkind = "scan"\nfirst = [401000, 3]\n')
    assert main([*learn, "--known", str(known)]) == 1


def test_a_change_is_followed_and_a_mistake_is_not(tmp_path: Path):
    path = tmp_path / "known.jsonl"
    path.write_text(LINE)
    known = KnownFile(path)
    assert not known.renewed()
    path.write_text(LINE + LINE.replace("7", "8"))
    later(path)
    assert known.renewed()
    assert len(known.conditions.all) == 2
    path.write_text("nonsense\n")
    later(path)
    assert not known.renewed()
    assert "what was known before goes on" in known.problems[0]
    assert len(known.conditions.all) == 2
    path.unlink()
    assert not known.renewed()
    assert "No such file" in known.problems[0]
    path.write_text(LINE)
    later(path)
    assert known.renewed()
    assert known.problems == ()


def later(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


def configured(folder: Path, models: Path) -> Path:
    config = folder / "trigwatch.toml"
    stream = '[[streams]]\nname = "l1anomaly"\ntopic = "t"\n'
    config.write_text(f'[tape]\npath = "t"\n[models]\npath = "{models}"\n[known]\npath = "known.toml"\n{stream}')
    return config


def test_check_says_which_names_nothing_here_bears(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = configured(tmp_path, MODELS)
    (tmp_path / "known.toml").write_text(TOML)
    assert main(["check", str(config)]) == 0
    wrong = TOML.replace('"jet"', '"jets"').replace("harmonic *", "harmonics *").replace('"l1anomaly"', '"l1anomalie"')
    (tmp_path / "known.toml").write_text(wrong)
    assert main(["check", str(config)]) == 1
    said = capsys.readouterr().err
    assert "'emittance scan' from 401000:120 is about stream 'l1anomalie': configured are l1anomaly" in said
    assert "'HEM15 off' from 401000:1 is about object 'jets': the models have egamma, jet, met, muon" in said
    assert "covers the quantity 'jet phi harmonics *': no quantity of any model is called so" in said
    (tmp_path / "known.toml").write_text(TOML.replace("[-3.0, -1.3]", "[50.0, 60.0]"))
    assert main(["check", str(config)]) == 1
    assert "covers a place where nothing looks: eta (50.0, 60.0)" in capsys.readouterr().err


def test_check_reads_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "models").mkdir()
    (tmp_path / "known.toml").write_text(TOML)
    config = configured(tmp_path, tmp_path / "models")
    assert main(["check", str(config)]) == 0
    assert "2 known conditions" in capsys.readouterr().out
    (tmp_path / "known.toml").write_text("[[condition]]\n")
    assert main(["check", str(config)]) == 1
    assert "condition 1 has the kind None" in capsys.readouterr().err


def test_a_replay_follows_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run.parquet"
    assert main(["simulate", "quiet", "--lumisections", "3", "--out", str(run)]) == 0
    known = tmp_path / "known.toml"
    known.write_text('[[condition]]\nkind = "scan"\nfirst = [401000, 2]\nlast = [401000, 2]\n')
    capsys.readouterr()
    main(["replay", str(run), "--models", str(MODELS), "--known", str(known), "--json"])
    verdicts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["evidence"]["known"] for each in verdicts] == [[], ["scan"], []]
    assert verdicts[1]["evidence"]["unjudged"] == "scan is known"
    assert "learning" in verdicts[0]["evidence"]["unjudged"]
    main(["replay", str(run), "--models", str(MODELS), "--known", str(known)])
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert lines[1].endswith("  scan is known")
    assert "learning" in lines[0]


def test_a_book_is_not_learnt_from_nothing():
    fills = from_detector(reference_fills(seed=1, fills=1, lumisections=3, partitions=1))
    masked = KnownConditions((Known("HEM15 off", Lumisection(1, 1), object="jet"),))
    with CardShelf.open(emulator.Registry(MODELS)) as shelf, pytest.raises(Unlearnable, match="something is known in"):
        learned(fills, shelf=shelf, site=CMS, streams={STREAM: TOPIC}, known=masked)


def test_check_takes_names_of_windows_and_of_single_objects(tmp_path: Path):
    config = configured(tmp_path, MODELS)
    names = '["met region *", "jet[0] present"]'
    (tmp_path / "known.toml").write_text(f'[[condition]]\nkind = "off"\nfirst = [1, 1]\nquantities = {names}\n')
    assert main(["check", str(config)]) == 0
