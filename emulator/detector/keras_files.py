"""The encoder as the two files that Keras 2 would have saved: the architecture as JSON, the weights as HDF5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from emulator.detector.autoencoder import Encoder

INPUT, SCORE = "raw_inputs", "score"


def layer_names(encoder: Encoder) -> tuple[str, ...]:
    """Return the names of the Dense layers, inputs first; the last one gives the means."""
    return (*(f"encode{number}" for number in range(1, len(encoder.layers))), "mean")


def write_keras(encoder: Encoder, directory: Path) -> tuple[Path, Path]:
    """Write `model.json` and `weights.h5` into `directory` and return their paths."""
    architecture, weights = directory / "model.json", directory / "weights.h5"
    architecture.write_text(json.dumps(_architecture(encoder), indent=1))
    with h5py.File(weights, "w") as file:
        for name, (kernel, bias) in zip(layer_names(encoder), encoder.layers, strict=True):
            file[f"{name}/{name}/kernel:0"] = kernel.astype(np.float32)
            file[f"{name}/{name}/bias:0"] = bias.astype(np.float32)
    return architecture, weights


def _architecture(encoder: Encoder) -> dict[str, Any]:
    names = layer_names(encoder)
    width = len(encoder.layers[0][0])
    layers = [_layer("InputLayer", INPUT, (), batch_input_shape=[None, width], dtype="float32")]
    for name, before, (_, bias) in zip(names, (INPUT, *names), encoder.layers, strict=False):
        activation = "linear" if name == names[-1] else "relu"
        layers.append(_layer("Dense", name, (before,), units=len(bias), activation=activation, use_bias=True))
    layers.append(_layer("Dot", SCORE, (names[-1], names[-1]), axes=1, normalize=False))
    config = {"name": "encoder", "layers": layers, "input_layers": [[INPUT, 0, 0]], "output_layers": [[SCORE, 0, 0]]}
    return {"class_name": "Model", "keras_version": "2.11.0", "backend": "tensorflow", "config": config}


def _layer(kind: str, name: str, sources: tuple[str, ...], **config: Any) -> dict[str, Any]:
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}
