"""`trigwatch model` on compiled emulators."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.app.cli import main
from tests.emulators.build import GOOD, build, manifest

pytestmark = pytest.mark.csim
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    manifest(build("good", folder / "good.so", cache=folder / "cache"), **GOOD)
    manifest(build("remembers", folder / "remembers.so", cache=folder / "cache"), **REMEMBERS)
    return folder


REMEMBERING = "{site}/remembers.so --manifest {site}/remembers.json"
REMEMBERS = {"input": {"type": "short"}, "output": {"type": "int"}}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], site: Path) -> Run:
    def call(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(line.format(site=site).split())
        except SystemExit as end:
            status = int(end.code or 0)
        spoken = capsys.readouterr()
        return status, spoken.out, spoken.err

    return call


IMPORT = "model import {site}/good.so --manifest {site}/good.json --label axol1tl_v9 --out {site}/cards"


def test_a_library_with_its_manifest_becomes_a_card_that_says_what_it_is(run: Run) -> None:
    status, said, _ = run(IMPORT)
    assert status == 0
    assert "label        axol1tl_v9" in said
    assert "engine       abi" in said
    for call in ("model show {site}/cards/axol1tl_v9", IMPORT):
        status, said, _ = run(call)
        assert status == 0
        assert "none: the compiled library is its own reference" in said
        assert "mismatches" not in said


def test_it_is_listed_and_verified_as_every_other_card(run: Run) -> None:
    run(IMPORT)
    status, said, _ = run("model list {site}/cards --json")
    assert (status, json.loads(said)["engine"]) == (0, "abi")
    status, said, _ = run("model verify {site}/cards/axol1tl_v9")
    assert status == 0
    assert "golden vectors agree, engine abi" in said
    status, _, spoken = run("model verify {site}/cards/axol1tl_v9 --events 5")
    assert (status, "runs on abi itself" in spoken) == (2, True)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("model import {site}/good.so --label x --out {site}/x", "give what it takes and returns with --manifest"),
        (f"{IMPORT} --threshold 4", "the threshold of a compiled library is in its manifest"),
        (f"{IMPORT} --io-type io_stream", "--io-type io_stream: a compiled library is what it is"),
        (f"{IMPORT} --exact", "no integer program that could be proven"),
        ("model import {site}/none.so --manifest {site}/good.json --label x --out {site}/x", "No such file"),
        ("model import {site} --manifest {site}/good.json --label x --out {site}/x", "cannot be read: Is a directory"),
        ("model import {site}/good.so --manifest {site}/none.json --label x --out {site}/x", "cannot be read"),
        ("model import {site}/good.so --manifest {site}/remembers.json --label x --out {site}/x", "another build"),
    ],
)
def test_a_wrong_call_ends_with_two_and_one_clear_line(run: Run, call: str, said: str) -> None:
    status, out, spoken = run(call)
    assert (status, out, len(spoken.splitlines())) == (2, "", 1)
    assert said in spoken


def test_an_emulator_that_is_none_is_the_answer_no(run: Run) -> None:
    status, _, spoken = run(f"model import {REMEMBERING} --label x --out {{site}}/x")
    assert status == 1
    assert "its answers depend on the events before" in spoken


@pytest.mark.parametrize("content", ["nonsense", "[[[["])
def test_a_model_file_that_is_not_json_is_named(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.json").write_text(content)
    status = main(["model", "import", str(tmp_path / "net.json"), "--label", "net", "--out", str(tmp_path / "cards")])
    assert status == 2
    assert "net.json is not JSON" in capsys.readouterr().err
