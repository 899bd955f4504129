import dataclasses
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emulator
from emulator.card import Card, Certificate, digest_of
from emulator.card_files import Contents, Golden, write
from emulator.engines.gemm import GemmEngine
from emulator.formats import Format
from emulator.graph import Dense, Program, Tensor

BYTE = Format(True, 8, 8)


def network(weight: int) -> Program:
    x, y = Tensor("x", (2,), BYTE), Tensor("y", (1,), Format(True, 24, 24))
    dense = Dense("dense", ("x",), y, np.array([[weight], [1]]), BYTE, np.array([0]), BYTE, y.format, np.arange(2))
    return Program((x,), (dense,), ("y",))


def contents(path: Path, *, weight: int = 3, label: str = "v1") -> Contents:
    program = network(weight)
    card = Card(
        label=label,
        digest=digest_of(program, layout=None, threshold=100),
        layout=None,
        inputs=program.inputs,
        outputs=program.output_tensors,
        threshold=100,
        certificate=Certificate("hls4ml 0 csim", "Vivado", {}, "g++", "gemm", 1, 1, 0, 1),
        falls_to=None,
        provenance={},
        path=path,
    )
    inputs = np.arange(-128, 128).reshape(-1, 2)
    return Contents(card, program, Golden(inputs, GemmEngine(program).score(inputs)), {"bridge.cpp": b""})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    write(contents(tmp_path / "v1"))
    write(contents(tmp_path / "v1-rebuilt", weight=4))
    write(contents(tmp_path / "v2", weight=5, label="v2"))
    (tmp_path / "notes").mkdir()
    (tmp_path / "README").write_text("cards of this site")
    return tmp_path


def digest(weight: int) -> str:
    return digest_of(network(weight), layout=None, threshold=100)


def test_a_registry_lists_its_cards_and_names_what_is_broken(site: Path) -> None:
    registry = emulator.Registry(site)
    assert [card.label for card in registry] == ["v1", "v1", "v2"]
    assert len(registry) == 3
    assert list(registry.broken) == [site / "notes"]
    assert "card.json is missing" in registry.broken[site / "notes"]


def test_a_card_is_found_by_its_digest_or_an_unambiguous_beginning(site: Path) -> None:
    registry = emulator.Registry(site)
    assert registry.by_digest(digest(4)).path == site / "v1-rebuilt"
    assert registry.by_digest(digest(4)[:19]).digest == digest(4)
    assert registry.by_digest(digest(4).removeprefix("sha256:")[:12]).digest == digest(4)


def test_an_unknown_digest_lists_the_known_ones(site: Path) -> None:
    with pytest.raises(emulator.UnknownModel, match=r"no card in .* has digest 'sha256:ab'; known are v1 sha256:"):
        emulator.Registry(site).by_digest("sha256:ab")


def test_an_ambiguous_beginning_asks_for_more_digits(site: Path) -> None:
    with pytest.raises(emulator.UnknownModel, match=r"3 cards in .* begin with 'sha256:': give more digits"):
        emulator.Registry(site).by_digest("sha256:")


def test_two_copies_of_one_model_are_not_ambiguous(site: Path) -> None:
    write(contents(site / "copy"))
    assert emulator.Registry(site).by_digest(digest(3)).digest == digest(3)


def test_one_label_may_name_several_models_and_that_is_told(site: Path) -> None:
    registry = emulator.Registry(site)
    assert {card.digest for card in registry.by_label("v1")} == {digest(3), digest(4)}
    assert registry.by_label("v3") == ()
    assert registry.shared_labels() == {"v1": tuple(sorted((digest(3), digest(4))))}


def test_a_loaded_model_scores_and_traces(site: Path) -> None:
    with emulator.Registry(site).load(digest(4)) as model:
        assert model.engine in {"native", "gemm"}  # as there is a compiler here
        assert model.card.label == "v1"
        raw = np.array([[2, 1], [-128, 127]], np.int16)
        assert model.score(raw).tolist() == [[9], [-385]]
        ((name, values),) = model.trace(raw)
        assert (name, values.tolist()) == ("dense", [[9], [-385]])


def test_a_new_card_is_seen_by_a_reloaded_registry_only(site: Path) -> None:
    registry = emulator.Registry(site)
    write(contents(site / "v3", weight=6, label="v3"))
    assert len(registry) == 3
    assert len(registry.reload()) == 4


def test_a_registry_needs_a_directory(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="name the directory that holds the cards"):
        emulator.Registry(tmp_path / "none")


def test_a_golden_vector_that_comes_out_differently_stops_the_load(tmp_path: Path) -> None:
    right = contents(tmp_path / "v1")
    scores = right.golden.scores.copy()
    scores[17, 0] += 1
    write(dataclasses.replace(right, golden=Golden(right.golden.inputs, scores)))
    with pytest.raises(emulator.BrokenCard, match=r"1 of 128 golden vectors come out differently.*vector 17, output 0"):
        emulator.load(tmp_path / "v1")


def test_golden_vectors_that_do_not_fit_the_inputs_stop_the_load(tmp_path: Path) -> None:
    right = contents(tmp_path / "v1")
    write(dataclasses.replace(right, golden=Golden(right.golden.inputs * 1000, right.golden.scores)))
    with pytest.raises(emulator.BrokenCard, match="golden cannot be run"):
        emulator.load(tmp_path / "v1")


def test_a_program_whose_arrays_do_not_fit_together_is_a_broken_card(tmp_path: Path) -> None:
    right = contents(tmp_path / "v1")
    assert right.program is not None
    (dense,) = right.program.layers
    assert isinstance(dense, Dense)
    torn = Program(right.program.inputs, (dataclasses.replace(dense, weights=np.zeros((7, 1), np.int64)),), ("y",))
    card = dataclasses.replace(right.card, digest=digest_of(torn, layout=None, threshold=100))
    write(dataclasses.replace(right, card=card, program=torn))
    with pytest.raises(emulator.BrokenCard, match="cannot be run"):
        emulator.load(tmp_path / "v1")


def test_a_card_without_a_compiled_library_has_no_abi_engine(site: Path) -> None:
    with pytest.raises(emulator.EngineUnavailable, match="'v1' has no compiled library: use 'native', 'gemm', 'csim'"):
        emulator.load(site / "v1", "abi")


def test_an_unknown_engine_is_refused(site: Path) -> None:
    with pytest.raises(
        emulator.EngineUnavailable, match="no engine 'gpu': use 'native', 'gemm', 'csim', 'abi' or 'auto'"
    ):
        emulator.load(site / "v1", "gpu")  # type: ignore[arg-type]


def falls_to_csim(path: Path) -> Contents:
    """A card without an integer program, whose C++ is written by hand."""
    bridge = b"""
#include <cstdint>
extern "C" {
const char *trigwatch_describe() { return "input x 2 ap_int<8>\\noutput y 1 ap_int<24>\\nlayer dense 1 ap_int<24>\\n"; }
void trigwatch_score(int64_t n, const int64_t *in, int64_t *out) {
    for (int64_t i = 0; i < n; i++) out[i] = 3 * in[2 * i] + in[2 * i + 1];
}
void trigwatch_trace(int64_t n, const int64_t *in, int64_t *out) { trigwatch_score(n, in, out); }
}
"""
    sources = {"bridge.cpp": bridge}
    like = contents(path)
    card = dataclasses.replace(
        like.card,
        digest=digest_of(sources, layout=None, threshold=100),
        falls_to="layer 'lstm' has no exact integer program",
        certificate=dataclasses.replace(like.card.certificate, engine="csim"),
    )
    return Contents(card, None, like.golden, sources)


@pytest.mark.csim
def test_a_card_without_an_integer_program_falls_to_csim_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(falls_to_csim(tmp_path / "v1"))
    with caplog.at_level(logging.WARNING), emulator.load(tmp_path / "v1") as model:
        assert model.engine == "csim"
        assert model.card.falls_to == "layer 'lstm' has no exact integer program"
        assert model.score(np.array([[2, 1]], np.int16)).tolist() == [[7]]
        assert model.trace(np.array([[2, 1]], np.int16))[0][0] == "dense"
    assert "v1 falls to csim: layer 'lstm'" in caplog.text
    assert list((tmp_path / "cache" / "trigwatch" / "csim").glob("*.so"))
    with pytest.raises(emulator.EngineUnavailable, match=r"no exact integer program .*lstm.*: use 'csim'"):
        emulator.load(tmp_path / "v1", "gemm")


def test_importing_the_emulator_does_not_import_what_only_import_time_needs() -> None:

    code = (
        "import emulator, sys; print([m for m in ('hls4ml', 'onnx', 'scipy', 'h5py', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
