"""Ten million random inputs and the directed ones, both exact engines against hls4ml's C++, for every network at hand.

    pytest -s tests/nightly            # CERTIFY_EVENTS=20000 for a quick look

Every run prints one line a network: engine, numbers of inputs, mismatches, or why it has no exact program.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import emulator
import emulator.detector

pytest.importorskip("h5py", reason="needs the models extra")
pytest.importorskip("hls4ml", reason="needs the models extra")

from tests.networks import (
    Written,
    default_encoder,
    encoder,
    encoder_of_8_bits,
    encoder_of_16_bits,
    images,
    resource_tagger,
    tagger,
)

NETWORKS = [encoder, encoder_of_16_bits, encoder_of_8_bits, default_encoder, tagger, resource_tagger, images]
pytestmark = [pytest.mark.csim, pytest.mark.timeout(7200)]

EVENTS = int(os.environ.get("CERTIFY_EVENTS", "10000000"))
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


@pytest.mark.parametrize("write", NETWORKS, ids=lambda write: write.__name__)
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
