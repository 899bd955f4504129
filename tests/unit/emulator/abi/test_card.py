import contextlib
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emulator
from emulator.abi.manifest import Manifest
from emulator.card_files import Golden, read, write
from emulator.layout import Axis, Layout, ObjectGroup
from tests.emulators.build import GOOD, MOODY, STRUCTURED, WEIGHTS, manifest

pytestmark = pytest.mark.csim


@pytest.fixture
def folder(libraries: Path, tmp_path: Path) -> Path:
    """The libraries, where manifests may be written and files changed."""
    shutil.copytree(libraries, tmp_path / "site")
    return tmp_path / "site"


def made(folder: Path, name: str, *, label: str | None = None, **fields: Any) -> emulator.Card:
    library = folder / f"{name}.so"
    return emulator.import_abi(library, manifest(library, **fields), label=label, out=folder / "cards")


def test_an_imported_library_is_a_card_and_its_engine_is_abi(folder: Path) -> None:
    card = made(folder, "good", **GOOD)
    assert card.path == folder / "cards" / "good"
    assert (card.n_inputs, card.n_outputs, card.threshold) == (6, 5, 900)
    with emulator.load(card.path) as model:
        assert (model.engine, model.card) == ("abi", card)
        # 7/32 is 1.75 in units of 1/8 and rounds to 2, which is 1/4; its square is one unit of 1/16.
        assert model.score(np.array([[0, 0, 0, 32, 0, 0]])).tolist() == [[1, 2, 0, 0, 0]]
    assert sorted(file.name for file in card.path.iterdir()) == ["card.json", "emulator.so", "golden", "manifest.json"]
    assert (card.path / "emulator.so").read_bytes() == (folder / "good.so").read_bytes()


def test_a_damaged_driver_in_the_cache_is_no_damage_of_the_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    card = made(folder, "good", **GOOD)
    (driver,) = (folder / "cache" / "trigwatch" / "abi").iterdir()
    driver.write_bytes(driver.read_bytes()[:9000])
    with emulator.load(card.path) as model:
        assert model.engine == "abi"


def test_a_registry_finds_it_by_digest(folder: Path) -> None:
    card = made(folder, "good", **GOOD)
    with emulator.Registry(folder / "cards").load(card.digest, "abi") as model:
        assert model.engine == "abi"


def test_the_certificate_says_that_the_library_is_its_own_reference(folder: Path) -> None:
    card = made(folder, "good", **GOOD)
    proof = card.certificate
    assert proof.reference == "none: the compiled library is its own reference"
    assert (proof.engine, proof.random, proof.directed, proof.mismatches) == ("abi", 0, 0, 0)
    assert card.falls_to == "the model is a compiled library, which has no integer program"
    with pytest.raises(emulator.NotCertified, match="'good' runs on abi itself"):
        emulator.verify(card.path)


def test_the_digest_is_over_library_manifest_and_preloads_and_not_over_the_label(folder: Path) -> None:
    digest = made(folder, "structured", **STRUCTURED).digest
    assert made(folder, "structured", label="again", **STRUCTURED).digest == digest
    assert made(folder, "structured", label="higher", **STRUCTURED, threshold=7).digest != digest
    with (folder / "libemulator_interface.so").open("ab") as file:
        file.write(b"\0")
    assert made(folder, "structured", label="other", **STRUCTURED).digest != digest


@pytest.mark.parametrize("name", ["structured", "linked"])
def test_a_card_carries_what_has_to_be_preloaded(folder: Path, name: str) -> None:
    card = made(folder, name, **STRUCTURED)
    (folder / "libemulator_interface.so").unlink()
    with emulator.load(card.path) as model:
        assert model.score(np.array([[1, -2, 3]])).tolist() == [[17, -1, 3000 << 10]]


def test_a_layout_of_another_width_is_refused(folder: Path) -> None:
    layout = Layout((ObjectGroup("jet", 0, 1, (Axis("pt", 0.5, "GeV", 0, 128),)),))
    library = folder / "good.so"
    with pytest.raises(ValueError, match="the layout has 1 inputs, the model 6"):
        emulator.import_abi(library, manifest(library, **GOOD), out=folder, layout=layout)


def test_another_build_than_the_manifests_is_refused_with_both_digests(folder: Path) -> None:
    file = manifest(folder / "first.so", **WEIGHTS)
    with pytest.raises(emulator.BadManifest, match=r"sha256 [0-9a-f]{64}, .*second\.so has [0-9a-f]{64}"):
        emulator.import_abi(folder / "second.so", file, out=folder / "cards")
    assert not (folder / "cards").exists()


def test_a_library_to_preload_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "libemulator_interface.so").unlink()
    with pytest.raises(emulator.BadManifest, match=r"libemulator_interface\.so, which is not there"):
        made(folder, "structured", **STRUCTURED)


def test_a_library_that_cannot_be_loaded_is_unfit_and_says_why(folder: Path) -> None:
    with pytest.raises(emulator.UnfitEmulator, match=r"cannot be loaded.*interface_factor"):
        made(folder, "structured", **{**STRUCTURED, "preload": []})


def test_an_emulator_that_remembers_is_refused(folder: Path) -> None:
    with pytest.raises(emulator.UnfitEmulator, match="its answers depend on the events before"):
        made(folder, "remembers", input={"type": "short"}, output={"type": "int"})


def test_an_emulator_that_fails_often_is_refused(folder: Path) -> None:
    with pytest.raises(emulator.UnfitEmulator, match="fails this often cannot be a reference"):
        made(folder, "moody", **MOODY)


def test_an_emulator_that_fails_on_a_few_inputs_is_a_card_that_says_so(folder: Path) -> None:
    card = made(folder, "rarely_moody", **MOODY)
    assert card.certificate.configuration["failed_inputs"] == 2
    with emulator.load(card.path) as model:
        with pytest.raises(emulator.Poison, match="failed on 1 of 3 events: event 1"):
            model.score(np.array([[1, 1], [253, 1], [2, 2]]))
        assert model.score(np.array([[1, 1], [2, 2]])).tolist() == [[3], [6]]


def test_a_golden_vector_that_comes_out_differently_stops_the_load(folder: Path) -> None:
    contents = read(made(folder, "good", **GOOD).path)
    scores = contents.golden.scores.copy()
    scores[17, 0] += 1
    write(dataclasses.replace(contents, golden=Golden(contents.golden.inputs, scores)))
    with pytest.raises(emulator.BrokenCard, match=r"1 of \d+ golden vectors come out differently with engine abi"):
        emulator.load(contents.card.path)


def test_golden_vectors_that_kill_the_emulator_stop_the_load(folder: Path) -> None:
    contents = read(made(folder, "rarely_moody", **MOODY).path)
    inputs = contents.golden.inputs.copy()
    inputs[5, 0] = 253
    write(dataclasses.replace(contents, golden=Golden(inputs, contents.golden.scores)))
    with pytest.raises(emulator.BrokenCard, match=r"golden cannot be run: .*event 5: .*signal 11"):
        emulator.load(contents.card.path)


@pytest.mark.parametrize("file", ["emulator.so", "manifest.json"])
def test_a_changed_file_is_a_broken_card(folder: Path, file: str) -> None:
    path = made(folder, "good", **GOOD).path
    content = bytearray((path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (path / file).write_bytes(content)
    with pytest.raises(emulator.BrokenCard, match=f"{file} has .* other content than card.json recorded"):
        emulator.load(path)


def test_another_threshold_in_the_manifest_alone_is_a_broken_card(folder: Path) -> None:
    contents = read(made(folder, "good", **GOOD).path)
    assert contents.compiled is not None
    edited = Manifest.from_json({**contents.compiled.manifest.document, "threshold": 1})
    write(dataclasses.replace(contents, compiled=dataclasses.replace(contents.compiled, manifest=edited)))
    with pytest.raises(emulator.BrokenCard, match="says digest"):
        emulator.load(contents.card.path)


def test_other_tensors_than_the_manifests_are_a_broken_card(folder: Path) -> None:
    path = made(folder, "good", **GOOD).path
    document = json.loads((path / "card.json").read_text())
    document["inputs"][0]["format"] = "ap_fixed<18,12>"
    (path / "card.json").write_text(json.dumps(document))
    with pytest.raises(emulator.BrokenCard, match="describes other input or output tensors"):
        emulator.load(path)


@pytest.mark.parametrize("engine", ["gemm", "csim"])
def test_no_other_engine_answers_for_a_compiled_library(folder: Path, engine: emulator.model.EngineName) -> None:
    path = made(folder, "good", **GOOD).path
    with pytest.raises(emulator.EngineUnavailable, match=r"'good' has no exact integer program \(.*\): use 'abi'"):
        emulator.load(path, engine)


def test_two_cards_with_weights_of_the_same_name_are_both_right_in_turns(folder: Path) -> None:
    paths = [made(folder, name, **WEIGHTS).path for name in ("first", "second")]
    raw = np.arange(20).reshape(10, 2)
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(emulator.load(path)) for path in paths)
        for _ in range(2):
            assert (first.score(raw)[:, 0] == 3 * raw[:, 0] + raw[:, 1]).all()
            assert (second.score(raw)[:, 0] == 5 * raw[:, 0] + raw[:, 1]).all()


def test_a_threshold_in_the_manifest_that_the_score_can_never_be_at_is_refused(folder: Path) -> None:
    with pytest.raises(emulator.BadManifest, match=r"json: threshold 1099511627776 is outside of the first output's"):
        made(folder, "structured", label="never", **STRUCTURED, threshold=1 << 40)
