"""Networks written as Keras files by the tests themselves, and hls4ml's compiled C++ to compare with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.directed import directed_inputs
from emulator.engines.compiler import NotCompiled
from emulator.engines.csim import CsimEngine, compiled
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Raw
from emulator.graph import Program

h5py = pytest.importorskip("h5py", reason="needs the models extra: h5py")
pytest.importorskip("hls4ml", reason="needs the models extra: hls4ml")


@dataclass
class Network:
    """A functional Keras model under construction; `add` returns the layer's name."""

    layers: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    precision: dict[str, dict[str, Any]] = field(default_factory=dict)
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def input(self, name: str, *shape: int, precision: str) -> str:
        self.precision[name] = {"Precision": {"result": precision}}
        return self._append(
            "InputLayer", name, [], batch_input_shape=[None, *shape], dtype="float32", sparse=False, ragged=False
        )

    def add(self, kind: str, name: str, *sources: str, hls: dict[str, Any] | None = None, **config: Any) -> str:
        if hls is not None:
            self.precision[name] = hls
        return self._append(kind, name, list(sources), **config)

    def dense(self, name: str, source: str, shape: tuple[int, int], *, scale: float = 0.5, **config: Any) -> str:
        self.weights[name] = {
            "kernel": self.generator.normal(0, scale, shape),
            "bias": self.generator.normal(0, scale, shape[1]),
        }
        keras = {"units": shape[1], "activation": "linear", "use_bias": True}
        return self.add("Dense", name, source, **keras | config)

    def convolution(self, name: str, source: str, kernel: tuple[int, ...], **config: Any) -> str:
        """`kernel` is (height, width, channels, filters), or without the height."""
        *window, _, filters = kernel
        self.weights[name] = {
            "kernel": self.generator.normal(0, 0.4, kernel),
            "bias": self.generator.normal(0, 0.4, filters),
        }
        keras = {
            "filters": filters,
            "kernel_size": window,
            "strides": [1] * len(window),
            "padding": "valid",
            "dilation_rate": [1] * len(window),
            "data_format": "channels_last",
            "activation": "linear",
            "use_bias": True,
        }
        return self.add(f"Conv{len(window)}D", name, source, **keras | config)

    def depthwise(self, name: str, source: str, kernel: tuple[int, ...], **config: Any) -> str:
        """`kernel` is (height, width, channels), or without the height."""
        *window, channels = kernel
        self.weights[name] = {
            "depthwise_kernel": self.generator.normal(0, 0.4, (*kernel, 1)),
            "bias": self.generator.normal(0, 0.4, channels),
        }
        return self.add(f"DepthwiseConv{len(window)}D", name, source, **self._window(window), **config)

    def separable(self, name: str, source: str, kernel: tuple[int, ...], **config: Any) -> str:
        """`kernel` is (height, width, channels, filters), or without the height."""
        *window, channels, filters = kernel
        self.weights[name] = {
            "depthwise_kernel": self.generator.normal(0, 0.4, (*window, channels, 1)),
            "pointwise_kernel": self.generator.normal(0, 0.4, (*(1 for _ in window), channels, filters)),
            "bias": self.generator.normal(0, 0.4, filters),
        }
        keras = self._window(window) | {"filters": filters}
        return self.add(f"SeparableConv{len(window)}D", name, source, **keras, **config)

    @staticmethod
    def _window(window: list[int]) -> dict[str, Any]:
        return {
            "kernel_size": window,
            "strides": [1] * len(window),
            "padding": "valid",
            "dilation_rate": [1] * len(window),
            "depth_multiplier": 1,
            "data_format": "channels_last",
            "activation": "linear",
            "use_bias": True,
        }

    def embedding(self, name: str, source: str, shape: tuple[int, int], **config: Any) -> str:
        """`shape` is (words, columns)."""
        self.weights[name] = {"embeddings": self.generator.normal(0, 2, shape)}
        return self.add("Embedding", name, source, input_dim=shape[0], output_dim=shape[1], **config)

    def layer_normalisation(self, name: str, source: str, size: int, *, epsilon: float, **config: Any) -> str:
        self.weights[name] = {
            "gamma": self.generator.uniform(0.5, 2, size),
            "beta": self.generator.normal(0, 1, size),
        }
        return self.add("LayerNormalization", name, source, axis=[2], epsilon=epsilon, **config)

    def batch_normalisation(self, name: str, source: str, size: int, **config: Any) -> str:
        self.weights[name] = {
            "gamma": self.generator.uniform(0.5, 2, size),
            "beta": self.generator.normal(0, 1, size),
            "moving_mean": self.generator.normal(0, 1, size),
            "moving_variance": self.generator.uniform(0.5, 2, size),
        }
        return self.add("BatchNormalization", name, source, scale=True, center=True, epsilon=1e-3, **config)

    def write(self, folder: Path, outputs: list[str]) -> tuple[Path, Path]:
        """Write `model.to_json()` and `save_weights` as Keras 2 does."""
        inputs = [layer["name"] for layer in self.layers if layer["class_name"] == "InputLayer"]
        config = {
            "name": "network",
            "layers": self.layers,
            "input_layers": [[name, 0, 0] for name in inputs],
            "output_layers": [[name, 0, 0] for name in outputs],
        }
        architecture, weights = folder / "network.json", folder / "network_weights.h5"
        architecture.write_text(json.dumps({"class_name": "Functional", "config": config, "keras_version": "2.4.0"}))
        with h5py.File(weights, "w") as file:
            for layer, values in self.weights.items():
                for name, value in values.items():
                    file[f"{layer}/{layer}/{name}:0"] = value.astype(np.float32)
        return architecture, weights

    def _append(self, kind: str, name: str, sources: list[str], **config: Any) -> str:
        inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
        self.layers.append(
            {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound}
        )
        return name


@dataclass(frozen=True)
class Compared:
    """The exact engines and csim on the same inputs; `moving` are the traced layers with more than two values."""

    events: int
    mismatches: int
    wrong_layers: dict[str, int]
    traced: set[str]
    moving: set[str]
    distinct: int


def random_inputs(program: Program, events: int) -> Raw:
    """Half over the whole range of the formats, half small around zero, both in the same event too."""
    generator = np.random.default_rng(11)
    columns = []
    for tensor in program.inputs:
        low, high = tensor.format.low, tensor.format.high
        wide = generator.integers(low, high, (events, tensor.size), endpoint=True)
        small = np.rint(generator.normal(0, high / 64 + 1, wide.shape)).astype(np.int64).clip(low, high)
        columns.append(np.where(generator.random((events, 1)) < 0.5, wide, small))
    return np.concatenate(columns, axis=1)


@pytest.fixture
def network() -> Network:
    """An empty Keras model to add layers to."""
    return Network()


@pytest.fixture(scope="session")
def csim_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csim")


@pytest.fixture
def compared(csim_cache: Path) -> Callable[..., Compared]:
    """Import a graph, compile it with hls4ml's C++ and compare every score and every layer of both exact engines."""
    from emulator.engines.csim_sources import write_sources  # noqa: PLC0415 - needs hls4ml, which may be absent
    from emulator.importers.hls4ml import import_graph  # noqa: PLC0415 - as above

    def compare(graph: Any, *, events: int = 4000, inputs: Raw | None = None) -> Compared:
        program = import_graph(graph)
        engine = GemmEngine(program)
        raw = np.concatenate([random_inputs(program, events), _directed(program, engine)])
        if inputs is not None:
            raw = np.concatenate([raw, inputs])
        with _csim(write_sources(graph), csim_cache) as csim:
            theirs, reference = csim.score(raw), dict(csim.trace(raw))
        exact = (engine, NativeEngine(program, cache=csim_cache))
        mismatches = [int((each.score(raw) != theirs).any(axis=1).sum()) for each in exact]
        wrong = {
            f"{each.name}: {name}": int((values != reference[name]).sum())
            for each in exact
            for name, values in each.trace(raw)
            if name in reference
        }
        return Compared(
            events=len(raw),
            mismatches=sum(mismatches),
            wrong_layers={name: count for name, count in wrong.items() if count},
            traced={name for name, _ in engine.trace(raw[:1]) if name in reference},
            moving={name for name, values in reference.items() if len(np.unique(values)) > 2},
            distinct=len(np.unique(theirs)),
        )

    return compare


def _directed(program: Program, engine: GemmEngine) -> Raw:
    bounds = [(tensor.format.low, tensor.format.high, tensor.size) for tensor in program.inputs]
    low = np.concatenate([np.full(size, least) for least, _, size in bounds])
    high = np.concatenate([np.full(size, most) for _, most, size in bounds])
    return directed_inputs(program, engine, low=low, high=high, rng=np.random.default_rng(3))


@contextlib.contextmanager
def _csim(sources: dict[str, bytes], cache: Path) -> Iterator[CsimEngine]:
    try:
        compiled(sources, cache=cache)
    except NotCompiled as error:
        if "is not installed" in str(error):
            pytest.skip(str(error))
        raise
    with contextlib.closing(CsimEngine(sources, cache=cache)) as csim:
        yield csim
