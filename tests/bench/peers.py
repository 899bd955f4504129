"""Other people's programs on the same network; one that is not installed, or cannot say it, is left out with a word."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emulator.formats import Raw
from emulator.graph import Cast, Dense, Dot, Program, Rectifier

os.environ.setdefault("KERAS_BACKEND", "jax")
EVENTS = 4_096
Run = Callable[[], object]


def of(file: Path, program: Program, raw: Raw) -> Iterator[tuple[str, Run]]:
    """Yield the peers that can compute a chain of dense layers: name, and what runs EVENTS events."""
    chain = _chain(file)
    if not chain:
        print("  (the peers below take chains of dense layers only)")
        return
    (source,) = program.inputs
    physical = np.ascontiguousarray(raw[:EVENTS] * source.format.lsb, np.float32)
    builders = {
        "da4ml interpreter, exact": lambda: _da4ml(program, physical),
        "HGQ2, Keras predict (JAX)": lambda: _hgq2(chain, physical),
        "onnxruntime, float32": lambda: _onnxruntime(chain, physical),
    }
    for name, build in builders.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                run = build()
                run()
        except (ModuleNotFoundError, NotImplementedError) as error:
            print(f"  ({name}: {error})")
            continue
        yield name, run


def _chain(file: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    layers = json.loads(file.read_text())["config"]["layers"]
    if not {layer["class_name"] for layer in layers} <= {"InputLayer", "Dense", "Dot"}:
        return []
    with h5py.File(file.with_name("net_weights.h5")) as weights:
        names = [layer["name"] for layer in layers if layer["class_name"] == "Dense"]
        return [(weights[f"{n}/{n}/kernel:0"][:], weights[f"{n}/{n}/bias:0"][:]) for n in names]


def _da4ml(program: Program, physical: np.ndarray) -> Run:
    """The integer program traced into adders, run by da4ml's compiled interpreter."""
    trace: Any = importlib.import_module("da4ml.trace")
    (source,) = program.inputs
    entered = trace.FixedVariableArrayInput((source.size,))
    values = {source.name: _quantised(entered, source.format, overflow="WRAP")}
    for layer in program.layers:
        x, fmt = values[layer.sources[0]], layer.output.format
        match layer:
            case Dense():
                if layer.accumulator.fraction < layer.weight_format.fraction:
                    raise NotImplementedError("a truncated product is not an adder tree")
                x = x @ (layer.weights * layer.weight_format.lsb) + layer.bias * layer.bias_format.lsb
            case Rectifier():
                x = x.relu()
            case Dot():
                x = (x * values[layer.sources[1]]).reshape((1, -1)) @ np.ones((x.size, 1))
                x = x.reshape((1,))
            case Cast():
                pass
            case _:
                raise NotImplementedError(f"{type(layer).__name__} is not written for it here")
        values[layer.output.name] = _quantised(x, fmt, overflow=fmt.overflow.value)
    logic = trace.comb_trace(entered, values[program.outputs[0]])
    return lambda: logic.predict(physical, n_threads=1)


def _quantised(x: Any, fmt: Any, *, overflow: str) -> Any:
    rounding = {"TRN": "TRN", "RND": "RND"}.get(fmt.rounding.value, "RND")
    return x.quantize(int(fmt.signed), fmt.integer - fmt.signed, fmt.fraction, overflow, rounding)


def _hgq2(chain: list[tuple[np.ndarray, np.ndarray]], physical: np.ndarray) -> Run:
    """A network of the same shape in HGQ2's own quantised layers."""
    keras: Any = importlib.import_module("keras")
    layers: Any = importlib.import_module("hgq.layers")
    last = len(chain) - 1
    stack = [layers.QDense(k.shape[1], activation="relu" if i < last else None) for i, (k, _) in enumerate(chain)]
    model = keras.Sequential([keras.layers.Input((chain[0][0].shape[0],)), *stack])
    return lambda: model.predict(physical, batch_size=EVENTS, verbose=0)


def _onnxruntime(chain: list[tuple[np.ndarray, np.ndarray]], physical: np.ndarray) -> Run:
    """The dense layers in single precision."""
    runtime: Any = importlib.import_module("onnxruntime")
    onnx: Any = importlib.import_module("onnx")
    make, array = onnx.helper, onnx.numpy_helper.from_array
    nodes, constants = [], []
    for i, (kernel, bias) in enumerate(chain):
        constants += [array(kernel.astype(np.float32), f"w{i}"), array(bias.astype(np.float32), f"b{i}")]
        nodes.append(make.make_node("Gemm", [f"x{i}", f"w{i}", f"b{i}"], [f"y{i}"]))
        nodes.append(make.make_node("Relu", [f"y{i}"], [f"x{i + 1}"]))
    sizes = {"x0": physical.shape[1], f"x{len(chain)}": chain[-1][0].shape[1]}
    ends = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, size]) for name, size in sizes.items()]
    graph = make.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options)
    return lambda: session.run(None, {"x0": physical})
