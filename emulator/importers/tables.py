"""The tables that csim fills when it starts, as raw integers: float arithmetic step by step as the C++ writes it.

`expf` is the C library's own, because numpy's differs from it in the last bit. The functions are those of
nnet_activation.h.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
from collections.abc import Callable, Iterable

import numpy as np

from emulator.formats import Format, Raw, quantise

_F = np.float32


def _library() -> Callable[[float], float]:
    name = ctypes.util.find_library("m")
    if name is None:
        raise RuntimeError("the C mathematics library was not found: tables of exponentials need its expf")
    function = ctypes.CDLL(name).expf
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return lambda value: float(function(value))


def _exp(values: Iterable[float]) -> list[float]:
    expf = _library()
    return [expf(value) for value in values]


def curve(function: str, entries: int, fmt: Format) -> Raw:
    """Return the table of sigmoid, softplus, softsign (over -8..8), tanh (-4..4), elu or selu (0..-8)."""
    span = {"tanh": 8.0, "elu": -8.0, "selu": -8.0}.get(function, 16.0)
    start = 0.0 if function in ("elu", "selu") else entries / 2.0
    places = [float(_F(span * (i - start) / entries)) for i in range(entries)]
    return quantise(np.array([_F(value) for value in _FUNCTIONS[function](places)], dtype=np.float64), fmt)


def _sigmoid(places: list[float]) -> list[float]:
    return [1.0 / float(_F(1) + _F(e)) for e in _exp(-x for x in places)]


def _softplus(places: list[float]) -> list[float]:
    return [math.log(e + 1.0) for e in _exp(places)]


def _softsign(places: list[float]) -> list[float]:
    return [x / (abs(x) + 1.0) for x in places]


def _tanh(places: list[float]) -> list[float]:
    return [math.tanh(x) for x in places]


def _elu(places: list[float]) -> list[float]:
    return [e - 1.0 for e in _exp(places)]


def _selu(places: list[float]) -> list[float]:
    return [1.0507009873554804934193349852946 * (1.6732632423543772848170429916717 * (e - 1.0)) for e in _exp(places)]


_FUNCTIONS: dict[str, Callable[[list[float]], list[float]]] = {
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "softsign": _softsign,
    "tanh": _tanh,
    "elu": _elu,
    "selu": _selu,
}


def exponential(entries: int, index: Format, fmt: Format, *, scale: float, negative: bool) -> Raw:
    """Return exp(±x·scale) for every x whose top bits are the index (softmax latency and stable)."""
    places = _places(entries, index) * _F(scale)
    return quantise(np.array(_exp((-places if negative else places).tolist())), fmt)


def inverse(entries: int, index: Format, fmt: Format) -> Raw:
    """Return 1/x for every x whose top bits are the index; 1/0 counts as infinity (softmax latency and stable)."""
    with np.errstate(divide="ignore"):
        return quantise((_F(1) / _places(entries, index)).astype(np.float64), fmt)


def legacy_exponential(entries: int, fmt: Format) -> Raw:
    """Return exp(x) over -8..8 (softmax legacy)."""
    return quantise(np.array(_exp(float(_F(16.0 * (i - entries / 2.0) / entries)) for i in range(entries))), fmt)


def legacy_inverse(entries: int, fmt: Format) -> Raw:
    """Return 1/x over 0..64, 0 for 0 (softmax legacy)."""
    places = [float(_F(64.0 * i / entries)) for i in range(entries)]
    return quantise(np.array([1.0 / place if place > 0 else 0.0 for place in places]), fmt)


def inverse_root(entries: int, epsilon: int, power: int, fmt: Format) -> Raw:
    """Return 1/sqrt(x) from x = 10^-epsilon on, over 2^-power (nnet_layernorm.h): the root in float, 1/x in double."""
    start, step = _F(10.0**-epsilon), _F(2.0**-power) / _F(entries)
    return quantise(1.0 / np.sqrt(start + step * np.arange(entries, dtype=_F)).astype(np.float64), fmt)


def _places(entries: int, index: Format) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    bits = entries.bit_length() - 1
    raw = np.arange(entries, dtype=np.int64) << (index.width - bits)
    if index.signed:
        raw = np.where(raw >> (index.width - 1), raw - (1 << index.width), raw)
    return (raw * index.lsb).astype(np.float32)
