import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emulator
from emulator.card_files import read
from emulator.certify import EVENTS, compare
from emulator.engines.gemm import GemmEngine
from emulator.formats import Format, Raw
from emulator.graph import Cast, Dense, Program, Tensor

BYTE, WIDE = Format(True, 8, 8), Format(True, 24, 24)


def dense(accumulator: Format) -> Program:
    x, y = Tensor("x", (3,), BYTE), Tensor("y", (2,), WIDE)
    weights = np.array([[127, -3], [127, 5], [127, 90]])
    layer = Dense("dense", ("x",), y, weights, BYTE, np.array([1, 2]), BYTE, accumulator, np.arange(3))
    return Program((x,), (layer, Cast("out", ("y",), Tensor("z", (2,), WIDE))), ("z",))


def test_equal_engines_have_no_mismatch_and_the_inputs_are_counted() -> None:
    found = compare(dense(WIDE), GemmEngine(dense(WIDE)), events=70_000)
    assert (found.random, found.mismatches, found.first) == (70_000, 0, None)
    assert found.directed > 10


def test_a_mismatch_at_the_extremes_is_found_and_its_first_input_is_told() -> None:
    # 3 * 127 * 127 needs 17 bits: one bit less wraps, but only where all inputs are near their extremes.
    found = compare(dense(WIDE), GemmEngine(dense(Format(True, 16, 16))), events=10)
    assert found.mismatches > 0
    assert found.first is not None
    assert found.first.startswith("first for inputs [")
    assert "gemm gives [" in found.first


class Asked(GemmEngine):
    """An engine that keeps how many events it was asked for."""

    events = 0

    def score(self, raw: Raw) -> Raw:
        self.events += len(raw)
        return super().score(raw)


def test_beyond_the_first_events_the_quick_build_stands_in_for_the_reference() -> None:
    reference, quick = Asked(dense(WIDE)), Asked(dense(WIDE))
    found = compare(dense(WIDE), reference, quick=quick, events=150_000)
    assert (found.random, found.mismatches) == (150_000, 0)
    assert reference.events == 2 * (EVENTS + found.directed)
    assert quick.events == 150_000 + found.directed


class Late(Asked):
    """An engine that is wrong beyond the first events."""

    def score(self, raw: Raw) -> Raw:
        return super().score(raw) + (self.events > EVENTS + 10_000)


def test_a_quick_build_that_differs_is_not_taken_for_csim_and_no_engine_is_blamed() -> None:
    wrong = GemmEngine(dense(Format(True, 16, 16)))
    for quick in (wrong, Late(dense(WIDE))):
        with pytest.raises(
            emulator.NotCertified, match=r"the quick build of csim is not csim: for inputs \[.*the unchanged C\+\+ \["
        ):
            compare(dense(WIDE), GemmEngine(dense(WIDE)), quick=quick, events=100_000)


class Rare(GemmEngine):
    """A reference that is another one where two inputs are large."""

    def score(self, raw: Raw) -> Raw:
        return super().score(raw) + (raw[:, :2] > 100).all(axis=1)[:, None]


def test_mismatches_are_counted_alike_with_a_quick_build_and_without() -> None:
    program = dense(WIDE)
    found = compare(program, Rare(program), quick=Rare(program), events=100_000)
    assert found == compare(program, Rare(program), events=100_000)
    assert found.mismatches > 100


def keras(directory: Path, *, activation: str = "relu") -> Path:
    h5py = pytest.importorskip("h5py", reason="needs the models extra")
    pytest.importorskip("hls4ml", reason="needs the models extra")
    rng = np.random.default_rng(6)
    layers = []
    with h5py.File(directory / "net_weights.h5", "w") as file:
        for name, n_in, n_out, act in (("one", 6, 5, activation), ("two", 5, 2, "linear")):
            config: dict[str, Any] = {"name": name, "units": n_out, "activation": act, "use_bias": True}
            if n_in == 6:
                config["batch_input_shape"] = [None, n_in]
            layers.append({"class_name": "Dense", "config": config})
            file[f"{name}/{name}/kernel:0"] = rng.normal(0, 1, (n_in, n_out))
            file[f"{name}/{name}/bias:0"] = rng.normal(0, 1, n_out)
    model = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    (directory / "net.json").write_text(json.dumps(model))
    return directory / "net.json"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


AXES = (emulator.Axis("pt", 0.5, "GeV", 0, 128), emulator.Axis("eta", 0.1, "", -8, 8))
LAYOUT = emulator.Layout((emulator.ObjectGroup("jet", 0, 3, AXES),))


@pytest.mark.csim
def test_a_network_becomes_a_certified_card_that_runs_without_hls4ml(tmp_path: Path) -> None:
    file = keras(tmp_path)
    card = emulator.import_hls4ml(file, label="net_v1", out=tmp_path, threshold=3, layout=LAYOUT, events=2000)
    proof = card.certificate
    assert (proof.engine, proof.random, proof.mismatches) == ("gemm, native", 2000, 0)
    assert proof.directed > 100
    assert proof.reference.startswith("hls4ml 1.")
    assert "g++" in proof.compiler
    assert (card.layout, card.threshold, card.falls_to) == (LAYOUT, 3, None)
    with emulator.load(tmp_path / "net_v1") as exact, emulator.load(tmp_path / "net_v1", "csim") as reference:
        assert (exact.engine, reference.engine) == ("native", "csim")
        assert exact.card == card
        raw = read(tmp_path / "net_v1").golden.inputs
        assert len(raw) >= 256
        assert (exact.score(raw) == reference.score(raw)).all()
        for (name, ours), (same, theirs) in zip(exact.trace(raw), reference.trace(raw), strict=True):
            assert name == same
            assert (ours == theirs).all()


@pytest.mark.csim
def test_importing_twice_gives_the_same_card_and_verify_proves_it_again(tmp_path: Path) -> None:
    file = keras(tmp_path)
    first = emulator.import_hls4ml(file, label="net", out=tmp_path, events=500)
    before = {path.name: path.read_bytes() for path in first.path.iterdir()}
    assert emulator.import_hls4ml(file, label="net", out=tmp_path, events=500) == first
    assert {path.name: path.read_bytes() for path in first.path.iterdir()} == before
    assert emulator.import_hls4ml(file, label="other_name", out=tmp_path, events=10).digest == first.digest
    found = emulator.verify(tmp_path / "net", events=3000, seed=9)
    assert (found.random, found.mismatches) == (3000, 0)


@pytest.mark.csim
def test_a_model_without_an_integer_program_falls_to_csim_aloud_or_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = keras(tmp_path)
    # An accumulator of 80 bits is beyond what the integer program holds.
    conversion = {"hls_config": {"LayerName": {"two": {"Precision": {"accum": "fixed<80,40>"}}}}}
    with pytest.raises(emulator.NotCertified, match="'net' has no exact integer program: layer 'two'"):
        emulator.import_hls4ml(file, label="net", out=tmp_path, exact=True, conversion=conversion)
    assert not (tmp_path / "net").exists()
    with caplog.at_level(logging.WARNING):
        card = emulator.import_hls4ml(file, label="net", out=tmp_path, conversion=conversion)
    assert "net falls to csim: layer 'two'" in caplog.text
    assert card.certificate.engine == "csim"
    assert card.certificate.random == card.certificate.directed == 0
    with emulator.load(tmp_path / "net") as model:
        assert model.engine == "csim"
    found = emulator.verify(tmp_path / "net", events=500)
    assert (found.engines, found.random, found.mismatches) == (("csim, quick build",), 500, 0)


@pytest.mark.csim
def test_a_wrong_integer_program_is_caught_and_falls_to_csim_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    importer = pytest.importorskip("emulator.importers.hls4ml", reason="needs the models extra")
    right = importer.import_graph

    def wrong(graph: Any) -> Program:
        """The real importer with one fault: a bias is one bit off."""
        program = right(graph)
        first, *others = program.layers
        return Program(program.inputs, (dataclasses.replace(first, bias=first.bias + 1), *others), program.outputs)

    monkeypatch.setattr(importer, "import_graph", wrong)
    file = keras(tmp_path)
    with pytest.raises(
        emulator.NotCertified,
        match=r"a bug to be reported with the model: gemm or native differs from csim on .* inputs; first for inputs",
    ):
        emulator.import_hls4ml(file, label="net", out=tmp_path, events=1000, exact=True)
    with caplog.at_level(logging.WARNING):
        card = emulator.import_hls4ml(file, label="net", out=tmp_path, events=1000)
    assert card.certificate.engine == "csim"
    assert "net falls to csim: a bug to be reported with the model: gemm or native differs from csim" in caplog.text


@pytest.mark.csim
@pytest.mark.parametrize("accumulator", ["fixed<80,40>", "fixed<16,6>"])
def test_csim_that_does_not_repeat_itself_is_no_card(
    accumulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where there is no integer program (80 bits), nor where there is one, and csim differs from it."""
    importing = pytest.importorskip("emulator.importing")
    needed = importing.needed_sources

    def unsteady(sources: dict[str, bytes]) -> dict[str, bytes]:
        """The C++ with one fault: a score is what the process is called."""
        bridge = sources["bridge.cpp"].replace(b"one_event(in, out);", b"{ one_event(in, out); out[-1] = getpid(); }")
        found: dict[str, bytes] = needed({**sources, "bridge.cpp": b"#include <unistd.h>\n" + bridge})
        return found

    monkeypatch.setattr(importing, "needed_sources", unsteady)
    conversion = {"hls_config": {"LayerName": {"two": {"Precision": {"accum": accumulator}}}}}
    with pytest.raises(
        emulator.NotCertified, match=r"'net' cannot be a card: its C\+\+ does not repeat itself, (\d+) of \1 "
    ):
        emulator.import_hls4ml(keras(tmp_path), label="net", out=tmp_path, events=50, conversion=conversion)
    assert not (tmp_path / "net").exists()


@pytest.mark.csim
def test_one_changed_weight_is_another_model_and_does_not_overwrite(tmp_path: Path) -> None:
    file = keras(tmp_path)
    card = emulator.import_hls4ml(file, label="net", out=tmp_path, events=10)
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "net_weights.h5", "a") as weights:
        weights["one/one/kernel:0"][0, 0] += 0.25
    with pytest.raises(FileExistsError, match="holds another model"):
        emulator.import_hls4ml(file, label="net", out=tmp_path, events=10)
    assert emulator.Registry(tmp_path).by_label("net")[0].digest == card.digest


@pytest.mark.csim
def test_a_file_a_saved_graph_a_project_and_a_graph_in_memory_are_the_same_model(tmp_path: Path) -> None:
    file = keras(tmp_path)
    reader = pytest.importorskip("emulator.graph_source", reason="needs the models extra", exc_type=ImportError)
    graph = reader.read_graph(file)
    graph.save(tmp_path / "net.fml")
    graph.config.config["OutputDir"] = str(tmp_path / "project")
    graph.write()
    digests = {
        emulator.import_hls4ml(source, label=f"net_{i}", out=tmp_path, events=10).digest
        for i, source in enumerate((file, graph, tmp_path / "net.fml", tmp_path / "project"))
    }
    assert len(digests) == 1


@pytest.mark.csim
def test_a_layout_of_another_width_is_refused(tmp_path: Path) -> None:
    layout = emulator.Layout((emulator.ObjectGroup("jet", 0, 2, AXES),))
    with pytest.raises(ValueError, match="the layout has 4 inputs, the model 6"):
        emulator.import_hls4ml(keras(tmp_path), label="net", out=tmp_path, layout=layout)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.txt", "not an .fml, .onnx, .keras or .json file"),
        (".", "not an hls4ml project"),
        ("missing.json", "is not a file"),
        ("broken.onnx", "is not ONNX, or was cut off"),
        ("broken.fml", "is not what hls4ml's `graph.save` writes, or was cut off"),
    ],
)
def test_what_is_not_a_model_is_refused_by_name(tmp_path: Path, name: str, said: str) -> None:
    reader = pytest.importorskip("emulator.graph_source", reason="needs the models extra", exc_type=ImportError)
    for broken in ("broken.onnx", "broken.fml", "model.txt"):
        (tmp_path / broken).write_bytes(b"nothing of the kind")
    with pytest.raises(reader.UnreadableModel, match=said):
        emulator.import_hls4ml(tmp_path / name, label="net", out=tmp_path / "cards")
    assert not (tmp_path / "cards").exists()


def test_a_bad_label_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        emulator.import_hls4ml("nowhere", label="../escape", out=tmp_path)
