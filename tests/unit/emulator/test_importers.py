from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.graph import NotExact
from emulator.hls_config import BadConfiguration, checked
from emulator.importers import hls4ml
from emulator.importers.cpp import parse_call, parse_structs
from emulator.model_file import UnreadableModel

h5py = pytest.importorskip("h5py", reason="needs the models extra: h5py")
pytest.importorskip("hls4ml", reason="needs the models extra: hls4ml")

from emulator.graph_source import read_graph  # noqa: E402 - after the check that hls4ml is there
from emulator.importers.files import read_keras, read_onnx  # noqa: E402 - as above
from emulator.importers.hls4ml import import_graph  # noqa: E402 - as above
from emulator.importers.shapes import refuse_misfits  # noqa: E402 - as above
from tests.networks import CELL  # noqa: E402 - as above


def keras(folder: Path, layer: dict[str, Any], *, weights: dict[str, Any], shape: list[int]) -> tuple[Path, Path]:
    """Write a model of one layer and its weights as Keras 2 does."""
    config = {"name": "x", "batch_input_shape": [None, *shape], "dtype": "float32"}
    layers = [{"class_name": "InputLayer", "config": config}, layer]
    architecture, file, name = folder / "m.json", folder / "m.h5", layer["config"]["name"]
    architecture.write_text(json.dumps({"class_name": "Sequential", "config": {"layers": layers}}))
    with h5py.File(file, "w") as h5:
        for weight, value in weights.items():
            h5[f"{name}/{name}/{weight}:0"] = np.array(value, dtype=np.float32)
    return architecture, file


def one_dense(folder: Path, kernel: Any, bias: Any) -> tuple[Path, Path]:
    config = {"name": "d", "units": np.array(kernel).shape[1], "activation": "linear", "use_bias": True}
    layer = {"class_name": "Dense", "config": config}
    return keras(folder, layer, weights={"kernel": kernel, "bias": bias}, shape=[len(kernel)])


def test_weights_are_cast_from_what_the_cpp_prints(tmp_path: Path) -> None:
    """Truncation goes down, but -1e-6 is printed as -0.0000 first and stays 0."""
    files = one_dense(tmp_path, [[0.3, -0.3], [-1e-6, 7.99]], [0.5, -0.0625])
    types = {"d": {"Precision": {"weight": "fixed<8,4>", "bias": "fixed<6,2>", "accum": "fixed<20,10>"}}}
    (layer,) = import_graph(read_keras(*files, hls_config={"LayerName": types})).layers
    assert layer.weights.tolist() == [[4, -5], [0, 127]]  # type: ignore[union-attr]
    assert layer.bias.tolist() == [8, -1]  # type: ignore[union-attr]
    assert str(layer.accumulator) == "ap_fixed<20,10,AP_TRN,AP_WRAP>"  # type: ignore[union-attr]


def test_a_resource_layer_visits_its_inputs_as_the_reuse_factor_says(tmp_path: Path) -> None:
    files = one_dense(tmp_path, np.arange(8).reshape(4, 2).tolist(), [0, 0])
    config = {"Model": {"Precision": "fixed<16,8>", "ReuseFactor": 2, "Strategy": "Resource"}}
    (layer,) = import_graph(read_keras(*files, hls_config=config)).layers
    assert layer.order.tolist() == [0, 2, 1, 3]  # type: ignore[union-attr]
    assert (layer.weights >> 8).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]  # type: ignore[union-attr]


def test_a_layer_without_a_translation_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: each for name, each in hls4ml.COMPOSITES.items() if name != "layernormalize"}
    monkeypatch.setattr(hls4ml, "COMPOSITES", others)
    layer = {"class_name": "LayerNormalization", "config": {"name": "norm", "axis": [2], "epsilon": 1e-3}}
    weights = {"gamma": np.ones(4), "beta": np.zeros(4)}
    graph = read_keras(*keras(tmp_path, layer, weights=weights, shape=[3, 4]))
    with pytest.raises(NotExact, match=r"'norm' .*nnet::layernormalize has no translation"):
        import_graph(graph)


def test_a_float_type_is_refused_with_the_layers_name(tmp_path: Path) -> None:
    files = one_dense(tmp_path, [[1.0]], [0.0])
    config = {"LayerName": {"d": {"Precision": {"result": "float"}}}}
    with pytest.raises(NotExact, match=r"'d' .*float"):
        import_graph(read_keras(*files, hls_config=config))


def test_streaming_graphs_and_other_backends_are_refused(tmp_path: Path) -> None:
    graph = read_keras(*one_dense(tmp_path, [[1.0]], [0.0]))
    graph.config.config["IOType"] = "io_bus"
    with pytest.raises(NotExact, match="io_bus is not one of io_parallel, io_stream"):
        import_graph(graph)
    with pytest.raises(NotExact, match="backend Quartus"):
        import_graph(read_keras(*one_dense(tmp_path, [[1.0]], [0.0]), backend="Quartus"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModel, match=r"nothing\.onnx is not a file"):
        read_onnx(tmp_path / "nothing.onnx")
    with pytest.raises(UnreadableModel, match=r"nothing\.json is not a file"):
        read_keras(tmp_path / "nothing.json", tmp_path / "nothing.h5")


def test_only_a_single_call_of_nnet_utils_is_a_call() -> None:
    call = parse_call("nnet::relu<layer2_t, layer3_t, relu_config3>(layer2_out, layer3_out);")
    assert call is not None
    assert (call.function, call.types[-1], call.arguments) == ("relu", "relu_config3", ("layer2_out", "layer3_out"))
    assert parse_call("for (int i = 0; i < 3; i++) a[i] = b[i];") is None


def test_structs_give_constants_types_aliases_and_arrays() -> None:
    structs = parse_structs(
        "struct config4_mult : nnet::dense_config {\n    static const unsigned n_in = 3;\n"
        "    typedef ap_ufixed<15, 5> inp_norm_t;\n    static const slope4_t slope;\n"
        "    using kernel = nnet::DenseLatency<data_T, res_T, CONFIG_T>;\n};\n"
        "const slope4_t config4_mult::slope = 0.2;\nunsigned config4_mult_perm[2] = {1,0};\n"
    )
    struct = structs["config4_mult"]
    assert struct.integer("n_in") == 3
    assert dict(struct.types) == {"inp_norm_t": "ap_ufixed<15, 5>", "slope": "slope4_t"}
    assert struct.constants["slope"] == "0.2"
    assert struct.constants["perm"] == "1,0"
    assert struct.aliases["kernel"].startswith("nnet::DenseLatency")


def test_the_emulator_imports_without_hls4ml() -> None:
    heavy = ("hls4ml", "onnx", "qonnx", "h5py", "scipy")
    code = f"import sys, emulator, emulator.engines.gemm; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


ROW = {
    "kernel_size": [2],
    "strides": [1],
    "padding": "valid",
    "data_format": "channels_last",
    "dilation_rate": [1],
    "activation": "linear",
    "use_bias": True,
}
SQUARE = ROW | {"kernel_size": [2, 2], "strides": [1, 1], "dilation_rate": [1, 1]}
SHAPES: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]], list[int]]] = {
    "LSTM": (CELL | {"units": 3}, {"kernel": (3, 12), "recurrent_kernel": (3, 12), "bias": (12,)}, [4, 3]),
    "GRU": (
        CELL | {"units": 3, "reset_after": True},
        {"kernel": (3, 9), "recurrent_kernel": (3, 9), "bias": (2, 9)},
        [4, 3],
    ),
    "Conv1D": (ROW | {"filters": 5}, {"kernel": (2, 3, 5), "bias": (5,)}, [6, 3]),
    "Conv2D": (SQUARE | {"filters": 5}, {"kernel": (2, 2, 3, 5), "bias": (5,)}, [6, 6, 3]),
    "DepthwiseConv1D": (ROW | {"depth_multiplier": 2}, {"depthwise_kernel": (2, 3, 2), "bias": (6,)}, [6, 3]),
    "DepthwiseConv2D": (SQUARE | {"depth_multiplier": 1}, {"depthwise_kernel": (2, 2, 3, 1), "bias": (3,)}, [6, 6, 3]),
    "SeparableConv1D": (
        ROW | {"depth_multiplier": 1, "filters": 5},
        {"depthwise_kernel": (2, 3, 1), "pointwise_kernel": (1, 3, 5), "bias": (5,)},
        [6, 3],
    ),
    "Embedding": ({"input_dim": 8, "output_dim": 3, "input_length": 4}, {"embeddings": (8, 3)}, [4]),
    "PReLU": ({"shared_axes": None}, {"alpha": (3,)}, [3]),
    "Dense": ({"units": 2, "activation": "linear", "use_bias": True}, {"kernel": (3, 2), "bias": (2,)}, [3]),
    "LayerNormalization": ({"axis": [2], "epsilon": 1e-3}, {"gamma": (3,), "beta": (3,)}, [4, 3]),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_weights_of_another_size_are_refused_in_the_graph_of_every_kind_of_layer(kind: str, tmp_path: Path) -> None:
    """Where there are no files of Keras to compare them in, as in ONNX and `.fml`."""
    config, weights, shape = SHAPES[kind]
    layer = {"class_name": kind, "config": {"name": "n", **config}}
    files = keras(tmp_path, layer, weights={name: np.ones(size) for name, size in weights.items()}, shape=shape)
    graph = read_keras(*files)
    refuse_misfits(graph, tmp_path)
    tensors = [tensor for node in graph.get_layers() for tensor in node.weights.values()]
    assert len(tensors) >= len(weights)
    for tensor in tensors:
        right, tensor.data = tensor.data, tensor.data.ravel()[:-1]
        with pytest.raises(UnreadableModel, match=r"of layer 'n\w*' has the shape .* and the layer needs"):
            refuse_misfits(graph, tmp_path)
        tensor.data = right


@pytest.mark.parametrize(
    "name", ['d",0); system("true', "d 0", "d\n#define", "d;", "d{}", "d\\", "d\x1b", "", "d'"], ids=ascii
)
def test_a_name_that_would_be_more_than_a_word_of_cpp_is_refused(name: str, tmp_path: Path) -> None:
    graph = read_keras(*one_dense(tmp_path, [[1.0]], [0.0]))
    next(node for node in graph.get_layers() if node.name == "d").name = name
    with pytest.raises(
        UnreadableModel, match=r"would be written into C\+\+ as it is: change it to letters, digits and"
    ):
        read_graph(graph)


@pytest.mark.parametrize("text", ["relu>(a, b); abort(", "relu<int>", "relu\n", "relu/*", 'relu"'], ids=ascii)
def test_a_setting_that_would_be_more_than_a_word_of_cpp_is_refused_with_its_layer(text: str, tmp_path: Path) -> None:
    config = {"name": "d", "units": 1, "activation": "linear", "use_bias": True, "data_format": text}
    layer = {"class_name": "Dense", "config": config}
    architecture, weights = keras(tmp_path, layer, weights={"kernel": [[1.0]], "bias": [0.0]}, shape=[1])
    with pytest.raises(UnreadableModel, match=r"'data_format' of layer 'd', .* would be written into C\+\+"):
        read_graph(architecture, weights=weights)


@pytest.mark.parametrize("setting", ["pipeline_ii", "pipeline_style"])
def test_a_setting_of_the_project_is_a_word_too(setting: str, tmp_path: Path) -> None:
    graph = read_keras(*one_dense(tmp_path, [[1.0]], [0.0]))
    setattr(graph.config, setting, '1\nsystem("true");')
    with pytest.raises(UnreadableModel, match=r"Pipeline\w+ '1.*would be written into C\+\+ as it is"):
        read_graph(graph)


def test_a_type_that_csim_saturates_to_what_it_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    files = one_dense(tmp_path, [[1.0]], [0.0])
    config = {"LayerName": {"d": {"Precision": {"result": "fixed<1,1,TRN,SAT_SYM>"}}}}
    with pytest.raises(NotExact, match="holds 0 only, and csim saturates it to -1"):
        import_graph(read_keras(*files, hls_config=config))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('fixed<16,6>;system("true")', "has the precision 'fixed<16,6>;system"),
        ("fixed<16>", "has the precision 'fixed<16>': write"),
        ("fixed<16,6", "has the precision 'fixed<16,6': write"),
        ("fixed<-3,2>", "has the precision 'fixed<-3,2>': write"),
        ("fixed<16,6,FOO>", "whose rounding 'FOO' is none of TRN, TRN_ZERO"),
        ("ufixed<16,6,RND,WRAPPED>", "whose overflow 'WRAPPED' is none of WRAP, SAT"),
    ],
)
def test_a_precision_that_is_none_is_refused_with_its_place(text: str, said: str) -> None:
    for config in ({"Model": {"Precision": text}}, {"LayerName": {"d": {"Precision": {"result": text}}}}):
        with pytest.raises(BadConfiguration, match=re.escape(said)):
            checked(config)


@pytest.mark.parametrize(
    "text", ["auto", "fixed<16,6>", "ap_ufixed<8, -2, AP_RND, AP_SAT, 0>", "uint<4>", "float", "fixed<9,4,TRN,WRAP_SM>"]
)
def test_a_precision_that_hls4ml_reads_is_taken(text: str) -> None:
    config = {"Model": {"Precision": {"default": text}}}
    assert checked(config) == config
