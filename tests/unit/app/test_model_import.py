"""`trigwatch model import`: which file is wrong, what is wrong with it, and what to do, before anything is compiled."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.app.cli import main

h5py = pytest.importorskip("h5py", reason="needs the models extra: h5py")
onnx = pytest.importorskip("onnx", reason="needs the models extra: onnx")
pytest.importorskip("hls4ml", reason="needs the models extra: hls4ml")

from tests import networks  # noqa: E402 - after the check that h5py is there

Import = Callable[..., tuple[int, str]]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Imports a file that cannot be imported, and returns the one line that says why."""

    def call(source: Path, *more: object) -> str:
        capsys.readouterr()
        out = tmp_path / "cards"
        status = main(["model", "import", str(source), "--label", "net", "--out", str(out), *map(str, more)])
        spoken = capsys.readouterr()
        assert (status, spoken.out, out.exists()) == (2, "", False)
        (line,) = spoken.err.splitlines()
        assert str(source.with_suffix("")) in line  # of a network in two files either may be the wrong one
        return line

    return call


def exchange(path: Path, *, weight: float = 0.5) -> Path:
    """Write an ONNX file of one dense layer; the first of its weights is `weight`."""
    kernel = np.full((4, 3), 0.25, np.float32)
    kernel[1, 2] = weight
    held = [
        onnx.numpy_helper.from_array(kernel, "kernel"),
        onnx.numpy_helper.from_array(np.zeros(3, np.float32), "bias"),
    ]
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "kernel"], ["product"], name="product"),
        onnx.helper.make_node("Add", ["product", "bias"], ["y"], name="sum"),
    ]
    ends = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, n])] for name, n in (("x", 4), ("y", 3))
    ]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "net", *ends, held), opset_imports=[onnx.helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def keras(folder: Path) -> Path:
    """Write `net.json` and `net_weights.h5` of two dense layers."""
    return networks.chain(folder, sizes=(4, 3, 1), activation="linear", tail=[])


# Files that are empty, cut off or something else


@pytest.mark.parametrize("name", ["net.onnx", "net.keras", "net.json", "net.fml"])
def test_an_empty_file_is_called_empty(name: str, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert f"{name} is empty: export the model again" in refused(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.onnx", "is not ONNX, or was cut off"),
        ("net.keras", "is not what Keras 3 saves, or was cut off"),
        ("net.json", "is not JSON, or was cut off"),
        ("net.fml", "is not what hls4ml's `graph.save` writes, or was cut off"),
    ],
)
def test_a_file_of_something_else_is_told_with_what_it_should_be(
    name: str, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text("an answer of some web server: not found")
    line = refused(tmp_path / name)
    assert said in line
    assert "again" in line


def test_an_onnx_file_that_was_cut_off_anywhere_is_said_to_be_so(refused: Callable[..., str], tmp_path: Path) -> None:
    """Some beginnings of a file are good protocol buffers: then layers are missing, or the operators' version is."""
    whole = exchange(tmp_path / "whole.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(1, len(whole), 7):
        cut.write_bytes(whole[:length])
        assert "cut off" in refused(cut), length


def test_a_keras_file_that_was_cut_off_or_lacks_a_part_is_said_to_be_so(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "it has no model.weights.h5" in refused(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert "was cut off" in refused(path)


def test_a_saved_graph_that_was_cut_off_or_lacks_a_part_is_said_to_be_so(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "net.fml"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("other.json"), io.BytesIO())
    assert "it has no config.json" in refused(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert "was cut off" in refused(path)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("../../evil", tarfile.REGTYPE, "'../../evil' leaves its folder"),
        ("weights/../../evil", tarfile.REGTYPE, "'weights/../../evil' leaves its folder"),
        ("/nowhere/evil", tarfile.REGTYPE, "'/nowhere/evil' leaves its folder"),
        ("link", tarfile.SYMTYPE, "'link' is neither a plain file nor a folder"),
        ("link", tarfile.LNKTYPE, "'link' is neither a plain file nor a folder"),
        ("device", tarfile.CHRTYPE, "'device' is neither a plain file nor a folder"),
        ("pipe", tarfile.FIFOTYPE, "'pipe' is neither a plain file nor a folder"),
    ],
)
def test_a_saved_graph_whose_members_leave_their_folder_is_refused(
    name: str, kind: bytes, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "net.fml"
    with tarfile.open(path, "w:gz") as archive:
        for each in ("config.json", name):
            entry = tarfile.TarInfo(each)
            entry.type, entry.linkname = (kind, "config.json") if each == name else (tarfile.REGTYPE, "")
            archive.addfile(entry, io.BytesIO())
    assert f"{path} is not what hls4ml's `graph.save` writes, its {said}" in refused(path)


def test_a_saved_graph_that_unpacks_beyond_measure_is_refused_before_it_fills_the_memory(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.model_file._LARGEST", 1 << 20)
    path = tmp_path / "net.fml"
    with gzip.open(path, "wb") as file:
        file.write(bytes(3 << 20))
    assert f"{path} unpacks to more than 1 MiB, which no network does" in refused(path)


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"class_name": "Model"}', '{"class_name": 1, "config": []}'])
def test_json_that_is_no_network_is_told_what_writes_one(
    content: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "net.json").write_text(content)
    line = refused(tmp_path / "net.json")
    assert "is neither a network of Keras 2 nor an ensemble of conifer" in line
    assert "`model.to_json()`" in line


def test_weights_that_are_missing_empty_or_cut_off_are_named(refused: Callable[..., str], tmp_path: Path) -> None:
    source, weights = keras(tmp_path), tmp_path / "net_weights.h5"
    whole = weights.read_bytes()
    weights.unlink()
    assert f"its weights are missing, {weights} is not a file: write them with `model.save_weights" in refused(source)
    for content, said in ((b"", "is empty"), (whole[:1000], "is not HDF5, or was cut off")):
        weights.write_bytes(content)
        assert f"{weights} {said}" in refused(source)


def test_weights_without_a_layer_are_told_with_their_file(refused: Callable[..., str], tmp_path: Path) -> None:
    source = keras(tmp_path)
    with h5py.File(tmp_path / "net_weights.h5", "a") as file:
        del file["d1"]
    line = refused(source)
    assert "'d1'" in line
    assert "export the model again" in line


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "hls4ml_config.yml is empty"),
        ("a: [", "hls4ml_config.yml is not YAML, or was cut off"),
        ("- a", "hls4ml_config.yml is no configuration of hls4ml"),
        ("Backend: Vivado\nKerasJson: none.json\nKerasH5: none.h5\nHLSConfig: {}", "none.json is not a file"),
    ],
)
def test_a_broken_project_is_told_with_the_file_that_breaks_it(
    settings: str, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "hls4ml_config.yml").write_text(settings)
    assert said in refused(tmp_path / "project")


# Weights that are no numbers


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_no_format_can_hold_is_named_with_its_tensor_and_its_file(
    weight: float, refused: Callable[..., str], tmp_path: Path
) -> None:
    line = refused(exchange(tmp_path / "net.onnx", weight=weight))
    assert f"tensor 'kernel' has {weight} at [1, 2]" in line
    source = keras(tmp_path)
    with h5py.File(tmp_path / "net_weights.h5", "a") as file:
        file["d0/d0/kernel:0"][3, 1] = weight
    line = refused(source)
    assert f"{tmp_path / 'net_weights.h5'}: tensor 'd0/d0/kernel:0' has {weight} at [3, 1]" in line


def test_the_state_of_an_optimizer_is_no_weight(refused: Callable[..., str], tmp_path: Path) -> None:
    source = keras(tmp_path)
    with h5py.File(tmp_path / "net_weights.h5", "a") as file:
        file["optimizer_weights/momentum"] = np.full(3, np.nan)
        del file["d1"]
    line = refused(source)
    assert "'d1'" in line
    assert "momentum" not in line


def test_a_weight_of_a_saved_graph_is_named_by_its_layer(refused: Callable[..., str], tmp_path: Path) -> None:
    from emulator.graph_source import read_graph  # noqa: PLC0415 - needs the models extra

    graph = read_graph(keras(tmp_path))
    graph.graph["d1"].weights["bias"].data[0] = np.nan
    graph.save(tmp_path / "net.fml")
    assert "tensor 'bias' of layer 'd1' has nan at [0]" in refused(tmp_path / "net.fml")


def trees() -> dict[str, Any]:
    """An ensemble of one tree with one split, as conifer saves it."""
    tree = {
        "feature": [1, -2, -2],
        "threshold": [0.5, -2.0, -2.0],
        "children_left": [1, -1, -1],
        "children_right": [2, -1, -1],
        "value": [0.0, -0.25, 0.25],
        "weight": [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]],
    }
    return {
        "n_classes": 2,
        "n_features": 2,
        "init_predict": [0.0],
        "norm": 1,
        "splitting_convention": "<",
        "trees": [[tree]],
        "config": {f"{name}_precision": "ap_fixed<18,8>" for name in ("input", "threshold", "weight", "score")},
    }


@pytest.mark.parametrize(("part", "node"), [("threshold", 0), ("value", 2)])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_of_a_tree_that_no_format_can_hold_is_named(
    part: str, node: int, number: float, refused: Callable[..., str], tmp_path: Path
) -> None:
    document = trees()
    document["trees"][0][0][part][node] = number
    (tmp_path / "trees.json").write_text(json.dumps(document))
    assert f"trees[0][0]: {part}[{node}] is {number}, which no fixed" in refused(tmp_path / "trees.json")


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("feature", [99, -2, -2], "feature[0] is 99, and the model has the features 0 to 1"),
        ("feature", [-2, -2, -2], "feature[0] is -2, and the model has the features 0 to 1"),
        ("feature", [1.5, -2, -2], "feature and children of node 0 are (1.5, 1, 2), not whole numbers"),
        ("feature", [1, -2], "its lists have different numbers of nodes"),
        ("children_left", [-7, -1, -1], "children_left[0] is -7, and must be a node behind it, of 3 in all"),
        ("children_right", [3, -1, -1], "children_right[0] is 3, and must be a node behind it, of 3 in all"),
        ("children_right", [0, -1, -1], "children_right[0] is 0, and must be a node behind it, of 3 in all"),
        ("children_right", [1, -1, -1], "its nodes are not the children of one node each"),
        ("value", [0.0, "a", 0.25], "value[1] is 'a', not a number"),
        ("threshold", [True, -2.0, -2.0], "threshold[0] is True, not a number"),
        ("weight", [[0.0], [0.0, 0.0], [0.0, 0.0]], "weight[0] has 1 numbers for 2 features"),
    ],
)
def test_a_tree_that_would_be_computed_from_memory_that_nothing_set_is_refused(
    part: str, value: Any, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    document = trees()
    document["trees"][0][0][part] = value
    (tmp_path / "trees.json").write_text(json.dumps(document))
    line = refused(tmp_path / "trees.json")
    assert f"trees[0][0]: {said}" in line
    assert "convert and save the trees again" in line


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("trees", [[]], "trees[0] has 0 trees for 1 scores"),
        ("trees", [], "n_trees is None and trees has 0"),
        ("n_trees", 2, "n_trees is 2 and trees has 1"),
        ("n_features", 0, "n_features is 0, not a whole number over 0"),
        ("n_classes", "two", "n_classes is 'two', not a whole number over 0"),
        ("init_predict", [], "init_predict has 0 numbers for 1 scores"),
        ("init_predict", [float("nan")], "init_predict[0] is nan, which no fixed-point format can hold"),
        ("norm", None, "norm[0] is None, not a number"),
        ("max_depth", '3; int x = system("true")', "max_depth holds the text '3; int x = system"),
        ("init_predict", [0, 0, "0}}; int x;"], "init_predict[2] holds the text '0}}; int x;', where numbers belong"),
        ("splitting_convention", ">", "splitting_convention is '>', not one of <, <="),
        ("config", {"input_precision": "float"}, "input precision 'float' is not ap_[u]fixed"),
    ],
)
def test_an_ensemble_with_a_part_missing_or_out_of_range_is_refused(
    part: str, value: Any, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "trees.json").write_text(json.dumps({**trees(), part: value}))
    assert said in refused(tmp_path / "trees.json")


# Shapes that do not fit


@pytest.mark.parametrize(
    ("tensor", "shape", "said"),
    [
        ("kernel", (6, 3), "tensor 'weight' of layer 'd0' has the shape [6, 3], and the layer needs [4, 3]"),
        ("bias", (5,), "tensor 'bias' of layer 'd0' has the shape [5], and the layer needs [3]"),
    ],
)
def test_weights_of_another_shape_are_told_with_their_layer(
    tensor: str, shape: tuple[int, ...], said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    source = keras(tmp_path)
    with h5py.File(tmp_path / "net_weights.h5", "a") as file:
        del file[f"d0/d0/{tensor}:0"]
        file[f"d0/d0/{tensor}:0"] = np.ones(shape)
    assert said in refused(source)


def test_an_input_of_nothing_is_told_with_its_layer(refused: Callable[..., str], tmp_path: Path) -> None:
    source = keras(tmp_path)
    source.write_text(source.read_text().replace('"batch_input_shape": [null, 4]', '"batch_input_shape": [null, 0]'))
    assert "the output of layer 'x' has the shape [0], which holds nothing" in refused(source)


def test_an_activation_that_hls4ml_has_not_got_is_told_with_its_layer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    source = keras(tmp_path)
    source.write_text(source.read_text().replace('"linear"', '"gelu"'))
    assert main(["model", "import", str(source), "--label", "net", "--out", str(tmp_path / "cards")]) == 2
    assert "_gelu' is a 'gelu', which hls4ml's C++ has not got" in capsys.readouterr().err


# Layouts


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON: "),
        ("[{", "is not JSON: "),
        ("[" * 100_000, "is not JSON: "),
        ("{}", "it holds {}: write a list of object groups"),
        ('[{"name": "jet", "count": 1, "axis": []}]', "object group 1 has no 'axes': it takes name, count, axes"),
    ],
)
def test_a_broken_layout_is_named_with_the_place_and_the_remedy(
    content: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    layout = tmp_path / "layout.json"
    layout.write_text(content)
    call = ["model", "import", str(keras(tmp_path)), "--label", "net", "--out", str(tmp_path), "--layout", str(layout)]
    assert main(call) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{layout}" in line
    assert said in line


def test_a_layout_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call = ["model", "import", str(keras(tmp_path)), "--label", "net", "--out", str(tmp_path), "--layout"]
    assert main([*call, str(tmp_path / "none.json")]) == 2
    assert f"{tmp_path / 'none.json'} cannot be read: No such file" in capsys.readouterr().err


# What is asked first


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.onnx", "none.onnx is not a file"),
        ("none", "none is not a file"),
        ("net.txt", "net.txt is not an .fml, .onnx, .keras or .json file"),
        ("net.json", "importing needs hls4ml: pip install 'trigwatch[models]'"),
    ],
)
def test_path_and_ending_are_looked_at_before_what_would_have_to_be_installed(
    name: str, said: str, tmp_path: Path
) -> None:
    shutil.copy(keras(tmp_path), tmp_path / "net.txt")
    without = "import sys; sys.modules['hls4ml'] = None; from monitor.app.cli import main; sys.exit(main(sys.argv[1:]))"
    call = ["model", "import", str(tmp_path / name), "--label", "net", "--out", str(tmp_path / "cards")]
    command = [sys.executable, "-c", without, *call]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


# What is said about the card that was made


@pytest.fixture
def made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Imports a network, and returns the status and what was said beside the answer."""

    def call(*more: object) -> tuple[int, list[str]]:
        if not (tmp_path / "net.json").exists():
            keras(tmp_path)
        capsys.readouterr()
        known = ("--label", "net", "--out", tmp_path / "cards", "--events", 50)
        status = main(["model", "import", *map(str, (tmp_path / "net.json", *known, *more))])
        return status, capsys.readouterr().err.splitlines()

    return call


def card(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return found


@pytest.mark.csim
def test_a_card_without_a_threshold_says_that_nothing_will_count_as_accepted(
    made: Callable[..., tuple[int, list[str]]],
) -> None:
    status, (line,) = made()
    assert status == 0
    assert "net has no threshold: nothing counts as accepted unless the stream carries the decision (`accept`)" in line
    assert "--threshold" in line


@pytest.mark.csim
def test_the_same_model_under_the_same_label_is_replaced_and_said(
    made: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    assert made("--threshold", 5) == (0, [])
    status, (line,) = made("--threshold", 5, "--events", 60)
    assert status == 0
    assert f"{tmp_path / 'cards' / 'net'} held this model already: its card is replaced" in line
    assert card(tmp_path / "cards" / "net")["certificate"]["random"] == 60
    assert "weaker" not in line
    _, (line,) = made("--threshold", 5, "--events", 20)
    assert "whose certificate is weaker: 20 random inputs where there were 60" in line
    assert "--events 60" in line


@pytest.mark.csim
def test_another_model_under_the_same_label_is_refused_early_and_the_older_card_stays(
    made: Callable[..., tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made("--threshold", 5)
    before = card(tmp_path / "cards" / "net")
    monkeypatch.setattr(
        "emulator.importing.compare_with_csim", None
    )  # refused before the proof, which may take an hour
    status, (line,) = made("--threshold", 6)
    assert status == 2
    assert f"{tmp_path / 'cards' / 'net'} holds another model" in line
    assert "and stays as it is: choose another label or directory" in line
    assert card(tmp_path / "cards" / "net") == before


@pytest.mark.csim
def test_an_older_card_of_the_label_in_another_folder_is_kept_and_said(
    made: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    made("--threshold", 5)
    old = (tmp_path / "cards" / "net").rename(tmp_path / "cards" / "net-2025")
    shutil.copytree(old, tmp_path / "cards" / "copy")
    digest = card(old)["digest"]
    status, lines = made("--threshold", 6)
    assert status == 0
    assert lines == [
        f"trigwatch: label 'net' also names {digest[:19]}… in {each}, which is kept: say in "
        f"{tmp_path / 'cards' / 'validity.toml'} in which runs each was meant"
        for each in (tmp_path / "cards" / "copy", old)
    ]
    shutil.rmtree(tmp_path / "cards" / "net")
    assert made("--threshold", 5) == (0, [])  # copies of one model are no two meanings of its label


@pytest.mark.csim
def test_a_folder_whose_intervals_cannot_be_followed_is_said(
    made: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "validity.toml").write_text("[[card]]\n")
    status, (line,) = made("--threshold", 5)
    assert status == 0
    assert "validity.toml, card 1: missing" in line


@pytest.mark.parametrize(("threshold", "said"), [(32768, "no event"), (-32769, "every event")])
def test_a_threshold_that_the_score_can_never_be_at_is_refused(
    threshold: int, said: str, made: Callable[..., tuple[int, list[str]]]
) -> None:
    status, (line,) = made("--threshold", threshold)
    assert status == 2
    assert f"threshold {threshold} is outside of the first output's format ap_fixed<16,6" in line
    assert f"raw -32768 to 32767, so that {said} would be accepted" in line


@pytest.mark.csim
def test_a_card_that_csim_answers_for_says_that_nothing_was_compared(
    made: Callable[..., tuple[int, list[str]]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wide = {"LayerName": {"d0": {"Precision": {"accum": "fixed<80,40>"}}}}
    assert made("--threshold", 5, "--hls-config", configured(tmp_path / "hls.json", wide))[0] == 0
    path = str(tmp_path / "cards" / "net")
    assert main(["model", "show", path]) == 0
    assert "certificate  none: csim itself answers, hls4ml" in capsys.readouterr().out
    assert main(["model", "verify", path, "--events", "1000"]) == 0
    said = capsys.readouterr().out
    assert "1000 random and " in said
    assert (
        "directed inputs of csim's quick build, which answers for the card, against the unchanged one: 0 mism" in said
    )


# In which way layers hand values on


@pytest.mark.csim
@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel", None])
def test_a_network_is_converted_in_the_io_type_that_was_asked_for(
    io_type: str | None, made: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    asked = () if io_type is None else ("--io-type", io_type)
    assert made("--threshold", 5, "--exact", *asked) == (0, [])
    written = card(tmp_path / "cards" / "net")
    assert written["provenance"]["IOType"] == written["certificate"]["configuration"]["IOType"]
    assert written["provenance"]["IOType"] == (io_type or "io_parallel")


@pytest.mark.csim
def test_an_onnx_file_is_converted_in_the_io_type_that_was_asked_for(tmp_path: Path) -> None:
    source, out = exchange(tmp_path / "net.onnx"), tmp_path / "cards"
    known = ("--label", "net", "--out", str(out), "--events", "50")
    assert main(["model", "import", str(source), *known, "--io-type", "io_stream"]) == 0
    assert card(out / "net")["provenance"]["IOType"] == "io_stream"


@pytest.mark.parametrize("name", ["net.fml", "project", "trees.json"])
def test_what_brings_its_own_io_type_or_has_none_refuses_another(
    name: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "net.fml").touch()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "hls4ml_config.yml").touch()
    (tmp_path / "trees.json").write_text(json.dumps(trees()))
    line = refused(tmp_path / name, "--io-type", "io_stream")
    assert "--io-type io_stream: " in line
    assert "leave the option out" in line


# With which configuration


def configured(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


SETTINGS = {
    "Model": {"Precision": "fixed<18,8>", "ReuseFactor": 2, "Strategy": "Resource"},
    "LayerName": {"d0": {"Precision": {"accum": "fixed<28,14>"}}},
}
IN_YAML = """
Model: {Precision: "fixed<18,8>", ReuseFactor: 2, Strategy: Resource}
LayerName: {d0: {Precision: {accum: "fixed<28,14>"}}}
"""


@pytest.mark.csim
def test_a_network_is_converted_with_the_configuration_and_backend_that_were_given_and_both_are_shown(
    made: Callable[..., tuple[int, list[str]]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = configured(tmp_path / "hls.json", SETTINGS), configured(tmp_path / "hls.yml", IN_YAML)
    for file in files:  # the second is the first again
        assert made("--threshold", 5, "--exact", "--backend", "Vitis", "--hls-config", file)[0] == 0
    out = tmp_path / "cards"
    assert card(out / "net")["outputs"][0]["format"] == "ap_fixed<18,8,AP_TRN,AP_WRAP>"
    assert main(["model", "show", str(out / "net")]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for line in (
        "converted backend: Vitis",
        "io type: io_parallel",
        "precision: fixed<18,8>",
        "reuse factor: 2",
        "strategy: Resource",
        "layer d0: precision accum: fixed<28,14>",
    ):
        assert line in shown


@pytest.mark.csim
def test_two_conversions_of_one_network_differ_by_name(
    made: Callable[..., tuple[int, list[str]]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made("--threshold", 5)
    old = (tmp_path / "cards" / "net").rename(tmp_path / "cards" / "old")
    made("--threshold", 5, "--hls-config", configured(tmp_path / "hls.json", SETTINGS))
    assert main(["model", "diff", str(old), str(tmp_path / "cards" / "net")]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "converted with precision: fixed<16,6> | fixed<18,8>" in said
    assert "converted with strategy: not said | Resource" in said
    assert "converted with layer d0: precision accum: not said | fixed<28,14>" in said
    assert not any("converted with backend" in line for line in said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON, or was cut off"),
        ({}, "holds {}, which sets nothing"),
        ([1], "holds [1], which sets nothing"),
        ({"Layername": {}}, "'Layername' is no part of it, and hls4ml would pass over it"),
        ({"HLSConfig": SETTINGS}, "is the configuration of a whole project: import the project's folder"),
        ({"LayerName": {"d0": "fixed<8,4>"}}, "LayerName d0 is 'fixed<8,4>', not settings by name"),
        ({"Model": 3}, "Model is 3, not settings by name"),
        ({"LayerName": {"d9": {"ReuseFactor": 4}}}, "settings for 'd9', a layer that "),
    ],
)
def test_a_configuration_that_would_not_be_followed_is_refused(
    content: Any, said: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    file = configured(tmp_path / "net.hls.json", content)
    assert said in refused(keras(tmp_path), "--hls-config", file)


def test_a_configuration_in_yaml_that_is_none_or_is_not_there_is_named(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "net.yml is not YAML, or was cut off" in refused(
        keras(tmp_path), "--hls-config", configured(tmp_path / "net.yml", "Model: [")
    )
    assert "net-none.yml cannot be read: No such file" in refused(
        keras(tmp_path), "--hls-config", tmp_path / "net-none.yml"
    )


@pytest.mark.parametrize("name", ["net.fml", "trees.json"])
def test_what_brings_its_own_configuration_refuses_another(
    name: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "net.fml").touch()
    (tmp_path / "trees.json").write_text(json.dumps(trees()))
    for option, value in (("--hls-config", "any.json"), ("--backend", "Vitis")):
        line = refused(tmp_path / name, option, value)
        assert f"{option} {value}: " in line
        assert "leave the option out" in line


def test_a_configuration_of_every_layer_that_hls4ml_itself_writes_is_taken(tmp_path: Path) -> None:
    from hls4ml.utils import config_from_onnx_model  # noqa: PLC0415 - needs the models extra
    from qonnx.core.modelwrapper import ModelWrapper  # noqa: PLC0415 - as above
    from qonnx.util.cleanup import cleanup_model  # noqa: PLC0415 - as above

    from emulator.graph_source import read_graph  # noqa: PLC0415 - needs the models extra

    path = exchange(tmp_path / "net.onnx")
    model = cleanup_model(ModelWrapper(str(path)))
    written = config_from_onnx_model(model, granularity="name", backend="Vitis", default_precision="fixed<20,8>")
    assert len(written["LayerName"]) > 1
    assert read_graph(path, hls_config=written, backend="Vitis").config.config["Backend"] == "Vitis"
