"""The encoder as an hls4ml model: the fixed-point format of every number in it.

The input format is a plain integer, so that a raw input is the hardware's own. Accumulators keep every fraction bit of
their products and never overflow: integer arithmetic gives the hardware's result in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np

from emulator.detector.autoencoder import Encoder, Layer
from emulator.detector.keras_files import INPUT, SCORE, layer_names, write_keras
from emulator.formats import Format

_HIDDEN_RESULT = "fixed<22,12,TRN,SAT>"
_PART = "xcvu9p-flga2577-2-e"


@dataclass(frozen=True, slots=True)
class Formats:
    """Spellings of hls4ml; the weights' formats must hold the trained weights without saturation.

    Attributes
    ----------
    first_weight
        Weights on raw inputs are small, because the normalisation is folded into them.
    weight, bias
        Of the other layers; and the biases of all.
    hidden
        What leaves a ReLU.
    mean, score
        The latent means, and the sum of their squares.
    """

    first_weight: str = "fixed<15,0>"
    weight: str = "fixed<12,2>"
    bias: str = "fixed<14,6>"
    hidden: str = "ufixed<14,7,RND,SAT>"
    mean: str = "fixed<14,6,RND,SAT>"
    score: str = "ufixed<18,12,RND,SAT>"


def to_hls4ml(encoder: Encoder, formats: Formats, directory: Path) -> Any:
    """Return the hls4ml `ModelGraph` of the encoder; its source files are written into `directory`.

    Raises ValueError where a weight does not fit its format.
    """
    names = layer_names(encoder)
    sources = ("fixed<16,16>", *(formats.hidden for _ in names[1:]))
    layers: dict[str, Any] = {INPUT: {"Precision": {"result": sources[0]}}}
    for name, layer, source in zip(names, encoder.layers, sources, strict=True):
        last, first = name == names[-1], name == names[0]
        weight = formats.first_weight if first else formats.weight
        _check_fits(name, layer, weight=weight, bias=formats.bias)
        layers[name] = {
            "Precision": {
                "weight": weight,
                "bias": formats.bias,
                "accum": _accumulator(source, weight, terms=len(layer[0])),
                "result": formats.mean if last else _HIDDEN_RESULT,
            }
        }
        layers[f"{name}_{'linear' if last else 'relu'}"] = {
            "Precision": {"result": formats.mean if last else formats.hidden}
        }
    products = _accumulator(formats.mean, formats.mean, terms=encoder.layers[-1][1].size)
    layers[SCORE] = {"Precision": {"result": formats.score, "accum": products}}
    return _graph(encoder, layers, directory)


def _graph(encoder: Encoder, layers: dict[str, Any], directory: Path) -> Any:
    architecture, weights = write_keras(encoder, directory)
    model = {"Precision": {"default": "fixed<18,8>"}, "ReuseFactor": 1, "Strategy": "Latency"}
    return hls4ml.converters.keras_v2_to_hls(
        {
            "OutputDir": str(directory / "project"),
            "ProjectName": "l1anomaly",
            "Backend": "Vitis",
            "Part": _PART,
            "ClockPeriod": 5,
            "IOType": "io_parallel",
            "KerasJson": str(architecture),
            "KerasH5": str(weights),
            "HLSConfig": {"Model": model, "LayerName": layers},
        }
    )


def _accumulator(one: str, other: str, *, terms: int) -> str:
    """Return a format that holds the sum of `terms` products (and a bias) of two formats exactly."""
    a, b = Format.parse(one), Format.parse(other)
    fraction = a.fraction + b.fraction
    integer = a.integer + b.integer + int(np.ceil(np.log2(terms))) + 2
    return f"fixed<{integer + fraction},{integer}>"


def _check_fits(name: str, layer: Layer, *, weight: str, bias: str) -> None:
    for values, spelling in zip(layer, (weight, bias), strict=True):
        held, largest = Format.parse(spelling), float(np.abs(values).max())
        if largest >= 2.0 ** (held.integer - 1):
            raise ValueError(f"layer {name} has a weight of {largest:.3g}, too large for {spelling}: widen the format")
