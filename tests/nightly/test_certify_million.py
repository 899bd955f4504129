"""A million random inputs and the directed ones, gemm against hls4ml's C++, for every network at hand.

    pytest -s tests/nightly            # CERTIFY_EVENTS=20000 for a quick look

Every run prints one line a network: engine, numbers of inputs, mismatches, or why it has no exact program.
"""

import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emulator
import emulator.detector

h5py = pytest.importorskip("h5py", reason="needs the models extra")
pytest.importorskip("hls4ml", reason="needs the models extra")

pytestmark = [pytest.mark.csim, pytest.mark.timeout(7200)]

EVENTS = int(os.environ.get("CERTIFY_EVENTS", "1000000"))
SHARED = Path(__file__).parents[3] / "shared" / "data" / "models"
PUBLIC = (
    "keras/KERAS_1layer.json",
    "keras/KERAS_3layer.json",
    "keras/KERAS_3layer_batch_norm.json",
    "keras/KERAS_conv1d_small.json",
    "keras/jetTagger_Conv2D_Small.json",
    "onnx/qonnx_qkeras_jettagging.onnx",
    "onnx/three_layer_keras.onnx",
)
Written = tuple[Path, dict[str, Any]]


def model(directory: Path, *, sizes: tuple[int, ...], activation: str, tail: list[dict[str, Any]]) -> Path:
    """Write a chain of Dense layers d0, d1, … with ReLU between them; `activation` is that of the last."""
    rng = np.random.default_rng(11)
    layers = [layer("InputLayer", "x", batch_input_shape=[None, sizes[0]], dtype="float32")]
    with h5py.File(directory / "net_weights.h5", "w") as file:
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            act = activation if i == len(sizes) - 2 else "relu"
            source = f"d{i - 1}" if i else "x"
            layers.append(layer("Dense", f"d{i}", source, units=n_out, activation=act, use_bias=True))
            file[f"d{i}/d{i}/kernel:0"] = rng.normal(0, 1.5 / np.sqrt(n_in), (n_in, n_out))
            file[f"d{i}/d{i}/bias:0"] = rng.normal(0, 0.3, n_out)
    last = (layers + tail)[-1]["name"]
    config = {"name": "net", "layers": layers + tail, "input_layers": [["x", 0, 0]], "output_layers": [[last, 0, 0]]}
    (directory / "net.json").write_text(json.dumps({"class_name": "Model", "config": config}))
    return directory / "net.json"


def layer(kind: str, name: str, *sources: str, **config: Any) -> dict[str, Any]:
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def encoder(directory: Path) -> Written:
    """57-32-16-8 and the sum of the squares of the last layer, in the formats of a Level-1 anomaly trigger."""
    dot = layer("Dot", "score", "d2", "d2", axes=1, normalize=False)
    file = model(directory, sizes=(57, 32, 16, 8), activation="linear", tail=[dot])
    dense = {"weight": "fixed<10,2,RND,SAT>", "bias": "fixed<10,4,RND,SAT>", "accum": "fixed<32,18>"}
    names = {
        "x": {"Precision": {"result": "fixed<18,13>"}},
        **{f"d{i}": {"Precision": dense | {"result": "fixed<18,12,RND,SAT>"}} for i in range(3)},
        **{f"d{i}_relu": {"Precision": {"result": "ufixed<16,10,RND,SAT>"}} for i in range(2)},
        "score": {"Precision": {"result": "ufixed<18,14,RND_CONV,SAT>", "accum": "fixed<40,28>"}},
    }
    return file, {"LayerName": names}


def default_encoder(directory: Path) -> Written:
    """The same network in hls4ml's default format: every product truncated, every sum wrapped."""
    file, _ = encoder(directory)
    # `accum: auto` on Dot raises a bare AssertionError in hls4ml.
    return file, {"LayerName": {"score": {"Precision": {"result": "fixed<16,6>", "accum": "fixed<16,6>"}}}}


def tagger(directory: Path) -> Written:
    """16-64-32-32-5 with softmax."""
    return model(directory, sizes=(16, 64, 32, 32, 5), activation="softmax", tail=[]), {}


def resource_tagger(directory: Path) -> Written:
    """The same, with saturating accumulators, which make the order of additions matter, and the Resource strategy."""
    file, _ = tagger(directory)
    precision = {"accum": "fixed<14,6,TRN,SAT>", "result": "fixed<14,6,RND,SAT_SYM>"}
    names = {f"d{i}": {"Precision": precision, "Strategy": "Resource", "ReuseFactor": 4} for i in range(4)}
    return file, {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 4, "Strategy": "Resource"}, "LayerName": names}


def told(capsys: pytest.CaptureFixture[str], *columns: object) -> None:
    with capsys.disabled():
        print("\n| " + " | ".join(str(column) for column in columns) + " |", end="")  # noqa: T201 - the table is what a run is for


def certified(source: Path, conversion: dict[str, Any], out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    card = emulator.import_hls4ml(
        source, label="net", out=out, events=EVENTS, exact=True, conversion={"hls_config": conversion}
    )
    proof, took = card.certificate, f"{time.monotonic() - start:.0f} s"
    told(capsys, out.name, proof.engine, proof.random, proof.directed, proof.mismatches, took)
    assert (proof.engine, proof.random, proof.mismatches) == ("gemm, native", EVENTS, 0)
    assert proof.directed > 100


@pytest.mark.parametrize("write", [encoder, default_encoder, tagger, resource_tagger], ids=lambda write: write.__name__)
def test_a_network_of_the_trigger_is_exact(
    write: Callable[[Path], Written], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, conversion = write(tmp_path)
    certified(source, conversion, tmp_path / write.__name__, capsys)


@pytest.mark.shared
@pytest.mark.parametrize("strategy", ["Latency", "Resource"])
@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_model_is_exact(name: str, strategy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not SHARED.is_dir():
        pytest.skip(f"the public models are not at {SHARED}")
    conversion = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": strategy}}
    certified(SHARED / name, conversion, tmp_path / f"{Path(name).stem}-{strategy}", capsys)


@pytest.mark.parametrize(
    "path", sorted(Path(emulator.detector.MODELS).glob("*/card.json")), ids=lambda p: p.parent.name
)
def test_a_committed_card_is_exact(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    found = emulator.verify(path.parent, events=EVENTS)
    took = f"{time.monotonic() - start:.0f} s"
    told(capsys, path.parent.name, ", ".join(found.engines), found.random, found.directed, found.mismatches, took)
    assert (found.random, found.mismatches) == (EVENTS, 0)
