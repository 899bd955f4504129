"""The command line: what each command answers, with which status, and one clear line where the call was wrong."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emulator
from emulator.card_files import GOLDEN
from emulator.detector import MODELS, SCENARIOS, play
from monitor.app.cli import main, parser
from monitor.app.simulate import produce
from monitor.observe.quantities import catalogue
from monitor.reference.book import Book
from monitor.reference.page import Page, identity
from monitor.stream.columns import Limits
from monitor.stream.files import read
from monitor.stream.tape import TapeSource
from monitor.trigger.site import DEFAULT
from tests.house import inprocess as house

V1, V2 = MODELS / "l1anomaly_v1", MODELS / "l1anomaly_v2"
Run = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the command line and returns its status, its lines and what it said beside them."""

    def call(*arguments: object) -> tuple[int, list[str], list[str]]:
        capsys.readouterr()
        try:
            status = main([str(each) for each in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        spoken = capsys.readouterr()
        return status, spoken.out.splitlines(), spoken.err.splitlines()

    return call


@pytest.fixture(scope="module")
def fills(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clean fills and one that ends in a weight upset, as `simulate` writes them."""
    folder = tmp_path_factory.mktemp("fills")
    names = {"one.parquet": ("quiet", 5, 20), "two.arrow": ("quiet", 6, 20), "upset.parquet": ("weight-upset", 7, 64)}
    for name, (scenario, seed, length) in names.items():
        numbers = ("--seed", seed, "--run", 401_000 + seed, "--lumisections", length, "--events", 120)
        options = (*numbers, "--out", folder / name)
        assert main(["simulate", scenario, *map(str, options)]) == 0
    return [folder / name for name in names]


@pytest.fixture(scope="module")
def books(fills: list[Path]) -> list[Path]:
    """The Books of one clean fill, and of both."""
    found = []
    for number in (1, 2):
        book = fills[0].with_name(f"{number}.book")
        sources = map(str, fills[:number])
        assert main(["reference", "build", *sources, "--models", str(MODELS), "--out", str(book)]) == 0
        found.append(book)
    return found


def settings(folder: Path, *, models: Path = MODELS, more: str = "") -> Path:
    path = folder / "trigwatch.toml"
    path.write_text(
        f'[tape]\npath = "day.tape"\n[models]\npath = "{models}"\n{more}\n'
        '[[streams]]\nname = "l1anomaly"\ntopic = "trigger-output"\n'
    )
    return path


# Help


def every_command() -> Iterator[list[str]]:
    """Every command and group of commands, as its words."""

    def below(known: argparse.ArgumentParser, words: list[str]) -> Iterator[list[str]]:
        yield words
        for action in known._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, each in action.choices.items():
                    yield from below(each, [*words, name])

    yield from below(parser(), [])


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_help_ends_with_an_example_that_can_be_read_in_one_line(words: list[str], run: Run):
    status, said, _ = run(*words, "--help")
    assert status == 0
    assert said[-1].startswith(f"example: trigwatch {' '.join(words)}".rstrip())


@pytest.mark.parametrize("words", [words for words in every_command() if words], ids=" ".join)
def test_the_example_is_a_call_that_the_command_line_understands(words: list[str], run: Run):
    _, said, _ = run(*words, "--help")
    arguments = said[-1].removeprefix("example: trigwatch ").split()
    assert parser().parse_args(arguments).command is not None


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "monitor.app", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"trigwatch {version('trigwatch')}\n"


# Wrong calls


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("", "required: COMMAND"),
        ("watch", "invalid choice: 'watch'"),
        ("simulate bad --out x.tape", "invalid choice: 'bad'"),
        ("simulate quiet", "required: --out"),
        ("simulate quiet --out {here}/x.unknown", "'.unknown' is not one of .parquet, .arrow, .tape"),
        ("simulate quiet --out {here}/x", "'' is not one of .parquet, .arrow, .tape"),
        ("simulate quiet --out {here}/no/x.tape", "{here}/no is not a folder: make it first"),
        ("simulate quiet --out {here}", "{here} is a folder: name a file"),
        ("simulate quiet --out kafka://", "write kafka://HOST:PORT/TOPIC"),
        ("simulate quiet --out kafka://127.0.0.1:1/t", "no broker takes connections at 127.0.0.1:1"),
        ("simulate quiet --out {here}/x.parquet --partitions 2", "--partitions 2: a file has one"),
        ("simulate quiet --out {here}/x.tape --events 0", "argument --events: '0' is not a whole number, at least 1"),
        ("simulate quiet --out {here}/x.tape --events 1", "1 events a lumisection on 2 partitions"),
        ("simulate quiet --out {here}/x.tape --lumisections -4", "argument --lumisections: '-4' is not"),
        ("simulate quiet --out {here}/x.tape --partitions 0", "argument --partitions: '0' is not"),
        ("simulate quiet --out {here}/x.tape --interval -1", "argument --interval: '-1' is not a number of seconds"),
        ("simulate quiet --out {here}/x.tape --interval nan", "argument --interval: 'nan' is not"),
        ("simulate quiet --out {here}/x.tape --seed -1", "argument --seed: '-1' is not a whole number, at least 0"),
        ("demo --scenario bad", "invalid choice: 'bad'"),
        ("demo --seed -1", "argument --seed: '-1' is not"),
        ("demo --lumisections 0", "argument --lumisections: '0' is not"),
        ("demo --port 65536", "'65536' is not a whole number from 0 to 65535"),
        ("run {here}/none.toml", "none.toml: cannot be read: No such file or directory"),
        ("run {here}/x.toml --role chief", "invalid choice: 'chief'"),
        ("check {here}/none.toml", "none.toml: there is no such file"),
        ("replay", "required: files"),
        ("replay {here}/none.parquet", "none.parquet"),
        ("replay {fill} --reference {here}/none.book", "none.book: No such file or directory; build one with"),
        ("replay {fill} --reference {fill}", "not a packed value"),
        ("replay {fill} --models {here}/none", "none is not a directory"),
        ("replay {fill} --site moon", "invalid choice: 'moon'"),
        ("replay {here}/text.parquet", "is neither Parquet nor Arrow IPC"),
        ("reference show {here}/none.book", "none.book: No such file or directory"),
        ("reference build {here}/none.parquet --models {models} --out {here}/x.book", "none.parquet"),
        ("reference build {fill} --models {models} --out {here}/no/x.book", "no is not a folder: make it first"),
        ("reference promote {fill} --as {here}/x.book", "not a packed value"),
        ("reference diff {fill} {fill}", "not a packed value"),
        ("model list {here}/none", "none is not a directory"),
        ("model show {here}", "{here} is not a card, it has no card.json: name a folder that `trigwatch model import`"),
        ("model diff {here} {here}", "{here} is not a card, it has no card.json"),
        ("model verify {here}/none", "{here}/none is not a card, nothing is called so: name a folder that `trigwatch"),
        ("model verify {here}/text.parquet", "{here}/text.parquet is not a card, it is a file: name a folder that"),
        ("model verify {models}", "{models} is a folder of cards: name one of them, {models}/l1anomaly_v1, "),
        ("model verify {here}", "{here} is not a card, it has no card.json: name a folder that `trigwatch model"),
        ("model export {here}/none --out {here}/x.tar.xz", "{here}/none is not a card, nothing is called so"),
        ("model unpack {here}/none --out {here}/cards", "{here}/none cannot be read: No such file or directory"),
        ("model menu {here}/none --models {models}", "{here}/none cannot be read: No such file or directory"),
        ("model verify {models}/l1anomaly_v1 --events -1", "argument --events: '-1' is not"),
        ("model import {here}/none.onnx --label x --out {here}/cards", "none.onnx is not a file"),
        ("capsule replay {here}/none.json --models {models}", "none.json: No such file or directory"),
        ("capsule replay {here}/text.parquet --models {models}", "text.parquet"),
        ("capsule replay {here}/deep.json --models {models}", "deep.json"),
    ],
)
def test_a_wrong_call_ends_with_two_and_one_clear_line(
    call: str, said: str, run: Run, fills: list[Path], tmp_path: Path
):
    (tmp_path / "text.parquet").write_text("no columns here")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    places = {"here": tmp_path, "fill": fills[0], "models": MODELS}
    status, out, spoken = run(*call.format(**places).split())
    assert status == 2
    assert out == []
    assert len(spoken) == 1
    assert spoken[0].startswith("trigwatch: ")
    assert said.format(**places) in spoken[0]


# check


def test_good_settings_are_good(run: Run, tmp_path: Path):
    status, said, _ = run("check", settings(tmp_path))
    assert status == 0
    assert said[0].endswith("good; 2 models, 0 reference pages")
    assert said[1] == "stream l1anomaly from topic trigger-output, mismatch floor 1e-06"


def test_bad_settings_are_the_answer_no_with_every_error(run: Run, tmp_path: Path):
    status, said, spoken = run("check", settings(tmp_path, more="[http]\nport = -1\nhots = 1"))
    assert (status, said) == (1, [])
    assert any("http.port" in line for line in spoken)
    assert any("did you mean 'host'?" in line for line in spoken)


def test_a_missing_models_folder_is_the_answer_no(run: Run, tmp_path: Path):
    status, _, spoken = run("check", settings(tmp_path, models=tmp_path / "none"))
    assert status == 1
    assert "models.path" in spoken[0]


def test_a_broken_card_is_the_answer_no_and_named(run: Run, tmp_path: Path):
    shutil.copytree(MODELS, tmp_path / "models")
    (tmp_path / "models" / "l1anomaly_v1" / "golden").write_bytes(b"no vectors")
    status, _, spoken = run("check", settings(tmp_path, models=tmp_path / "models"))
    assert status == 1
    assert spoken[0].startswith("trigwatch: card l1anomaly_v1 is left out: ")


# simulate


@pytest.mark.parametrize("name", ["run.parquet", "run.arrow"])
def test_a_simulated_file_holds_every_event(name: str, run: Run, tmp_path: Path):
    status, said, _ = run("simulate", "quiet", "--lumisections", 3, "--events", 50, "--out", tmp_path / name)
    assert (status, said) == (0, [f"{tmp_path / name}: 3 batches"])
    assert [len(batch) for batch in read(tmp_path / name, limits=Limits(crossings=DEFAULT.crossings))] == [50] * 3


def test_a_simulated_tape_holds_batches_and_ends_of_every_partition(run: Run, tmp_path: Path):
    tape = tmp_path / "run.tape"
    status, said, _ = run("simulate", "quiet", "--lumisections", 3, "--events", 50, "--out", tape)
    assert (status, said) == (0, [f"{tape}: 12 records"])
    source = TapeSource(tape)
    assert source.topics == {"trigger-output": 2}
    source.close()


def test_what_a_file_cannot_hold_leaves_no_half_of_it(run: Run, tmp_path: Path):
    """Lost batches are gaps in a producer's numbers, and a file has but one number."""
    out = tmp_path / "loss.parquet"
    status, _, spoken = run("simulate", "stream-loss", "--lumisections", 80, "--events", 40, "--out", out)
    assert status == 2
    assert "does not follow the first one" in spoken[0]
    assert "or on a .tape" in spoken[0]
    assert list(tmp_path.iterdir()) == []


# replay


def test_a_replay_gives_a_verdict_for_every_lumisection_as_json(run: Run, fills: list[Path]):
    """The simulated weight upset begins in lumisection 61."""
    status, said, _ = run("replay", fills[2], "--models", MODELS, "--json")
    verdicts = [json.loads(line) for line in said]
    assert status == 1
    assert [each["ls"] for each in verdicts] == list(range(1, 65))
    assert {each["level"] for each in verdicts[:40]} == {"unknown"}
    assert {each["level"] for each in verdicts[40:60]} == {"ok"}
    assert {(each["level"], each["blame"]) for each in verdicts[60:]} == {("act", "firmware")}


def test_a_replay_of_clean_fills_under_their_book_is_good(run: Run, fills: list[Path], books: list[Path]):
    status, said, _ = run("replay", *fills[:2], "--models", MODELS, "--reference", books[1])
    assert status == 0
    assert len(said) == 40
    assert all(line.split()[2:] == ["ok", "none"] for line in said)


def test_a_replay_says_once_an_alarm_since_when_where_and_what_to_do(run: Run, tmp_path: Path):
    fill = tmp_path / "dead.parquet"
    run("simulate", "dead-region", "--seed", 3, "--lumisections", 70, "--events", 400, "--out", fill)
    status, said, _ = run("replay", fill)
    assert status == 1
    first = next(number for number, line in enumerate(said) if line.split()[2:4] == ["act", "detector"])
    since, todo = said[first + 1 : first + 3]
    assert re.fullmatch(r"    since 401000:6[0-3], where: (jet, )?η .* to .*, φ .* to .* rad", since)
    assert todo.startswith("    do: Call the detector expert about ")
    assert sum(line.startswith("    do: Call") for line in said) <= 2  # a second time where the object has been found
    assert sum(not line.startswith(" ") for line in said) == 70


def test_a_replay_says_what_it_left_out(run: Run, fills: list[Path]):
    """The second reading of a fill is late as a whole: silence would pass for a good answer."""
    status, said, spoken = run("replay", fills[0], fills[0], "--models", MODELS)
    assert status == 0
    assert sum(not line.startswith(" ") for line in said) == 20
    assert len(spoken) == 1
    assert spoken[0].startswith("trigwatch: 20 batches are left out (duplicate): ")


def test_a_replay_with_a_broken_card_says_so_and_goes_on(run: Run, fills: list[Path], tmp_path: Path):
    shutil.copytree(MODELS, tmp_path / "models")
    (tmp_path / "models" / "l1anomaly_v1" / "card.json").write_text("{")
    status, said, spoken = run("replay", fills[0], "--models", tmp_path / "models")
    assert status == 0
    assert sum(not line.startswith(" ") for line in said) == 20
    assert spoken[0].startswith("trigwatch: card l1anomaly_v1 is left out: ")


# reference


def test_a_book_is_shown_with_where_it_comes_from(run: Run, books: list[Path]):
    status, said, _ = run("reference", "show", books[1])
    assert status == 0
    assert said[0].startswith("Book ")
    assert said[1].split() == ["STREAM", "MENU", "PRESCALE", "DIGEST", "PILE-UP", "FILLS", "LUMISECTIONS", "PAGE"]
    assert len(said) == 4
    assert "  2      40  " in said[2]
    assert said[3] == f"{said[2].split()[-1]} comes from 401005:1-20, 401006:1-20"


def test_too_little_data_is_no_book(run: Run, tmp_path: Path):
    fill, out = tmp_path / "short.parquet", tmp_path / "x.book"
    run("simulate", "quiet", "--lumisections", 5, "--events", 60, "--out", fill)
    status, _, spoken = run("reference", "build", fill, "--models", MODELS, "--out", out)
    assert status == 1
    assert "a reference needs 10" in spoken[0]
    assert not out.exists()


def test_a_fill_given_twice_is_learnt_once_and_said(run: Run, fills: list[Path], books: list[Path], tmp_path: Path):
    out = tmp_path / "twice.book"
    status, _, spoken = run("reference", "build", fills[0], fills[0], "--models", MODELS, "--out", out)
    assert status == 0
    assert out.read_bytes() == books[0].read_bytes()
    assert "20 batches are left out" in spoken[0]


def test_the_order_of_the_files_does_not_change_the_book(
    run: Run, fills: list[Path], books: list[Path], tmp_path: Path
):
    out = tmp_path / "turned.book"
    status, _, spoken = run("reference", "build", fills[1], fills[0], "--models", MODELS, "--out", out)
    assert (status, spoken) == (0, [])
    assert out.read_bytes() == books[1].read_bytes()


def test_equal_books_are_equal_and_others_differ(run: Run, books: list[Path]):
    assert run("reference", "diff", books[0], books[0])[:2] == (0, ["the Books are equal"])
    status, said, _ = run("reference", "diff", *books)
    assert status == 1
    ids = [Book.from_bytes(each.read_bytes()).id for each in books]
    assert said[:2] == [f"left:  Book {ids[0]}, version 1", f"right: Book {ids[1]}, version 1"]
    assert "QUANTITY" in said[3]


def bound(page: Page) -> bytes:
    """Return a Book of one page that was changed by hand."""
    return Book({page.key: replace(page, id=identity(page.to_bytes()))}).to_bytes()


def test_a_difference_in_what_was_hardly_seen_is_told_as_a_limit_and_none_in_what_nobody_judges(
    run: Run, books: list[Path], tmp_path: Path
):
    (page,) = Book.from_bytes(books[1].read_bytes())
    rare, gone, never = np.flatnonzero(page.live)[[0, 1, 2]]
    names, left, right = catalogue(page.shape).names, tmp_path / "left.book", tmp_path / "right.book"
    coefficients, live, scarce = page.curves.coefficients.copy(), page.live.copy(), page.scarce.copy()
    coefficients[0, [rare, gone, never]] -= 3.0
    live[[gone, never]], scarce[rare] = False, True
    changed = replace(page, curves=replace(page.curves, coefficients=coefficients), live=live, scarce=scarce)
    right.write_bytes(bound(changed))
    live = page.live.copy()
    live[never] = False
    left.write_bytes(bound(replace(page, live=live)))
    status, said, _ = run("reference", "diff", left, right)
    assert status == 1
    assert re.search(rf"  {re.escape(names[rare])} +[0-9.]+ +under 1 in [0-9,]+ events$", "\n".join(said), re.MULTILINE)
    assert re.search(rf"  {re.escape(names[gone])} +[0-9.]+ +not judged$", "\n".join(said), re.MULTILINE)
    assert not any(f"  {names[never]}  " in line for line in said)


def test_promoting_counts_the_versions_of_a_place_and_keeps_the_book_that_was_there(
    run: Run, books: list[Path], tmp_path: Path
):
    place = tmp_path / "normal.book"
    first, second = (Book.from_bytes(each.read_bytes()) for each in books)
    for book, number in ((books[0], 1), (books[1], 2), (books[1], 2), (books[0], 3)):
        assert run("reference", "promote", book, "--as", place)[0] == 0
        placed = Book.from_bytes(place.read_bytes())
        assert (placed.id, placed.version) == (Book.from_bytes(book.read_bytes()).id, number)
        assert run("reference", "show", place)[1][0] == f"Book {placed.id}, version {number}"
    kept = {each.name: Book.from_bytes(each.read_bytes()).version for each in tmp_path.iterdir() if each != place}
    assert kept == {f"normal.book.1.{first.id[:12]}": 1, f"normal.book.2.{second.id[:12]}": 2}


# model


def test_cards_are_listed(run: Run):
    status, said, _ = run("model", "list", MODELS, "--json")
    assert status == 0
    assert [json.loads(line)["label"] for line in said] == ["l1anomaly_v1", "l1anomaly_v2"]
    assert run("model", "list", MODELS)[1][1].split()[:3:2] == ["l1anomaly_v1", "57"]


def test_a_broken_card_is_listed_as_such_and_the_answer_is_no(run: Run, tmp_path: Path):
    shutil.copytree(MODELS, tmp_path / "models")
    (tmp_path / "models" / "l1anomaly_v1" / "card.json").write_text("{")
    status, said, spoken = run("model", "list", tmp_path / "models")
    assert status == 1
    assert len(said) == 2
    assert "l1anomaly_v1" in spoken[0]


def test_a_card_shows_its_certificate(run: Run):
    status, said, _ = run("model", "show", V1)
    assert status == 0
    assert any(line.startswith("certificate  0 mismatches in 20000 random") for line in said)


def test_a_card_is_verified_by_its_golden_vectors(run: Run, tmp_path: Path):
    status, said, _ = run("model", "verify", V1)
    assert status == 0
    assert re.search("golden vectors agree, engine (native|gemm)$", said[0])  # as there is a compiler here
    shutil.copytree(V1, tmp_path / "card")
    (tmp_path / "card" / "card.json").rename(tmp_path / "kept.json")
    status, _, spoken = run("model", "verify", tmp_path / "card")
    assert (status, "card.json is missing" in spoken[0]) == (1, True)
    (tmp_path / "kept.json").rename(tmp_path / "card" / "card.json")
    card = json.loads((tmp_path / "card" / "card.json").read_text())
    (tmp_path / "card" / "card.json").write_text(json.dumps({**card, "threshold": 7}))
    status, _, spoken = run("model", "verify", tmp_path / "card")
    assert status == 1
    assert "digest" in spoken[0]


def test_two_cards_differ_in_what_they_are_and_what_they_say(run: Run):
    assert run("model", "diff", V1, V1)[0] == 0
    status, said, _ = run("model", "diff", V1, V2)
    assert status == 1
    titles = [line.split(":")[0] for line in said if not line.startswith("converted with ")]
    assert titles[:4] == ["label", "digest", "threshold", "layer encode1, weights"]
    assert titles[-2:] == ["golden events", "random events"]
    found = re.search(r"scores differ on (\d+) of (\d+), decisions on (\d+)", said[-2])
    assert found is not None
    scores, golden, decisions = map(int, found.groups())
    assert 0 < decisions < scores < golden == 1024


# capsule


@pytest.fixture(scope="module")
def capsule(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The capsule that a daemon keeps of the first mismatch of a weight upset, as its server gives it."""
    folder = tmp_path_factory.mktemp("upset")
    run = play(replace(SCENARIOS["weight-upset"], onset=3), seed=3, lumisections=5, events_per_lumisection=300)
    house.write(folder, produce(run, site=DEFAULT))
    with house.daemon(folder) as daemon:
        verdicts = [each.verdict for each in house.read(daemon)]
        name = next(each.capsule for each in verdicts if each.capsule)
        found: dict[str, Any] = json.loads(house.get(daemon, f"/api/v1/capsules/{name}"))
        return found


def test_a_capsule_of_an_upset_is_replayed_and_the_hardware_is_still_wrong(
    run: Run, capsule: dict[str, Any], tmp_path: Path
):
    (tmp_path / "m.json").write_text(json.dumps(capsule))
    status, said, _ = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert status == 1
    assert said[0].endswith("the menu announced l1anomaly_v2")
    assert [line.split()[-1] for line in said[2:]] == ["differs", "differs"]
    announced = next(line for line in said[2:] if line.startswith("l1anomaly_v2"))
    assert str(capsule["emulated"]) in announced


def altered(capsule: dict[str, Any], **changes: Any) -> str:
    return json.dumps({key: value for key, value in (capsule | changes).items() if key != "id"})


def test_a_capsule_whose_hardware_is_right_again_is_good(run: Run, capsule: dict[str, Any], tmp_path: Path):
    (tmp_path / "m.json").write_text(altered(capsule, hardware=capsule["emulated"]))
    status, said, _ = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert status == 0
    assert "= hardware" in said[-1]


def test_a_capsule_that_another_card_explains_is_still_the_answer_no(run: Run, capsule: dict[str, Any], tmp_path: Path):
    with emulator.load(V1) as other:
        score = other.score(np.array([capsule["inputs"]]))[0].tolist()
    (tmp_path / "m.json").write_text(altered(capsule, hardware=score))
    status, said, _ = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert status == 1
    assert [line.split()[0] for line in said[2:] if line.endswith("= hardware")] == ["l1anomaly_v1"]


def test_a_capsule_that_no_card_can_take_is_a_wrong_call(run: Run, capsule: dict[str, Any], tmp_path: Path):
    (tmp_path / "m.json").write_text(altered(capsule, inputs=capsule["inputs"][:5]))
    status, _, spoken = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert status == 2
    assert "takes 5 inputs" in spoken[0]


def test_a_card_that_gives_no_answer_is_said_and_the_others_are_asked(
    run: Run, capsule: dict[str, Any], tmp_path: Path
):
    shutil.copytree(MODELS, tmp_path / "site")
    golden = tmp_path / "site" / "l1anomaly_v1" / GOLDEN
    golden.write_bytes(golden.read_bytes()[:-1])
    (tmp_path / "site" / "empty").mkdir()
    (tmp_path / "m.json").write_text(altered(capsule, hardware=capsule["emulated"]))
    status, said, spoken = run("capsule", "replay", tmp_path / "m.json", "--models", tmp_path / "site")
    assert status == 0
    assert [line.split()[0] for line in said[2:] if "no answer: " in line] == ["l1anomaly_v1"]
    assert any("empty" in line for line in spoken)


def test_a_damaged_copy_of_the_announced_card_takes_nothing_away(run: Run, capsule: dict[str, Any], tmp_path: Path):
    shutil.copytree(MODELS, tmp_path / "site")
    shutil.copytree(MODELS / "l1anomaly_v2", tmp_path / "site" / "z_copy")
    (tmp_path / "site" / "z_copy" / GOLDEN).write_bytes(b"")
    (tmp_path / "m.json").write_text(altered(capsule, hardware=capsule["emulated"]))
    status, said, _ = run("capsule", "replay", tmp_path / "m.json", "--models", tmp_path / "site")
    assert status == 0
    assert any("no answer: " in line for line in said)


def test_an_announced_model_that_is_not_here_is_said(run: Run, capsule: dict[str, Any], tmp_path: Path):
    shutil.copytree(V1, tmp_path / "site" / "l1anomaly_v1")
    (tmp_path / "m.json").write_text(json.dumps(capsule))
    status, _, spoken = run("capsule", "replay", tmp_path / "m.json", "--models", tmp_path / "site")
    assert status == 1
    assert "which the menu announced, gives no answer here" in spoken[0]


def test_an_exact_card_that_answers_otherwise_than_then_is_said(run: Run, capsule: dict[str, Any], tmp_path: Path):
    (tmp_path / "m.json").write_text(altered(capsule, emulated=[capsule["emulated"][0] + 1]))
    status, _, spoken = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert status == 1
    assert "which no exact card does" in spoken[0]


def test_a_capsule_with_a_hardware_trace_names_the_first_layer_that_differs(
    run: Run, capsule: dict[str, Any], tmp_path: Path
):
    with emulator.load(MODELS / "l1anomaly_v2") as model:
        trace = [[layer, values[0].tolist()] for layer, values in model.trace(np.array([capsule["inputs"]]))]
    trace[2][1][4] += 1
    changed = altered(capsule, schema="capsule/2", trace=trace, hypothesis="all inputs doubled")
    (tmp_path / "m.json").write_text(changed)
    _, said, _ = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert said[1].endswith("its sample fits with all inputs doubled")
    assert f"the first layer that differs is {trace[2][0]}, in elements [4]" in said


def test_a_trace_of_another_model_is_a_wrong_call(run: Run, capsule: dict[str, Any], tmp_path: Path):
    (tmp_path / "m.json").write_text(altered(capsule, schema="capsule/2", trace=[["attic", [1]]]))
    status, _, spoken = run("capsule", "replay", tmp_path / "m.json", "--models", MODELS)
    assert status == 2
    assert "attic" in spoken[0]
