"""Translations of layers whose inputs are one bit, which stands for -1 and 1, and of thresholds that make such bits."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from emulator.formats import Format, Raw, Rounding
from emulator.graph import Cast, Concatenate, Layer, Merge, Scale, Select, Sign, Tensor
from emulator.importers.cpp import Struct
from emulator.importers.site import Site, Weights
from emulator.importers.sums import Kernel, dense_of, normalise, product_of

_BIT = Format(signed=False, width=1, integer=1)
_PAIR = Format(signed=True, width=2, integer=2)
_ONE = np.ones(1, dtype=np.int64)


def summed(site: Site, struct: Struct, kernel: Kernel) -> tuple[Layer, ...]:
    """Return the layers of Σ x·w + b, be the inputs bits or not."""
    bits = site.types.is_bit(site.call.types[0]) and site.types.is_bit(struct.types["weight_t"])
    if not bits:
        return _products(site, struct, kernel)
    total = Tensor(f"{site.output.name}_total", site.output.shape, site.format_of(struct, "accum_t"))
    layers = _products(replace(site, name=total.name, output=total), struct, kernel)
    return *layers, *_doubled(site, total, struct.integer("n_in"))


def normalisation(site: Site) -> tuple[Layer, ...]:
    """nnet::normalize."""
    if product_of(site.config) != "data_binary":
        return (normalise(site),)
    signs = _signs(site)
    structs = {**site.structs, site.call.types[-1]: _plain(site.config)}
    return signs, normalise(replace(site, sources=(signs.output,), structs=structs))


def binary_threshold(site: Site) -> tuple[Layer, ...]:
    """nnet::normalize_binary_tanh: 1 from the threshold on, else 0."""
    threshold = site.weights[site.call.arguments[2]]
    return _reached(site, site.name, site.output, threshold)


def ternary_threshold(site: Site) -> tuple[Layer, ...]:
    """nnet::normalize_ternary_tanh: 1 above the upper threshold, else -1 up to the lower one, else 0."""
    upper, lower = (site.weights[name] for name in site.call.arguments[2:4])
    # What is above the upper one is 1 even if the lower one is higher still.
    return _ternary(site, upper.format, above=upper.raw + 1, inside=np.minimum(upper.raw, lower.raw) + 1)


def ternary_in_streams(site: Site) -> tuple[Layer, ...]:
    """nnet::ternary_tanh of streams: 1 above 1, -1 up to -1, else 0; csim cuts at half of that where there are none."""
    fmt = site.sources[0].format
    unit = Fraction(2) ** fmt.fraction
    # Beyond what the format can hold, one step is as good as many.
    above, inside = min(math.floor(unit), fmt.high) + 1, max(math.floor(-unit) + 1, fmt.low)
    return _ternary(site, fmt, above=above * _ONE, inside=inside * _ONE)


def _ternary(site: Site, fmt: Format, *, above: Raw, inside: Raw) -> tuple[Layer, ...]:
    """Return the layers of 1 from `above` on, 0 from `inside` on, else -1."""
    layers, names = list[Layer](), list[str]()
    for role, raw in {"above": above, "inside": inside}.items():
        bit = Tensor(f"{site.output.name}_{role}", site.output.shape, _BIT)
        layers += _reached(site, bit.name, bit, Weights(raw, fmt))
        names.append(bit.name)
    both = Tensor(f"{site.output.name}_both", site.output.shape, Format(signed=False, width=2, integer=2))
    layers.append(Merge(both.name, tuple(names), both, "add"))
    layers.append(Scale(site.name, (both.name,), site.output, _ONE, _PAIR, -_ONE, _PAIR))
    return tuple(layers)


def _products(site: Site, struct: Struct, kernel: Kernel) -> tuple[Layer, ...]:
    product = product_of(struct)
    if product not in ("data_binary", "both_binary"):
        return (dense_of(site, struct, kernel),)
    if kernel.gather is not None and (kernel.gather < 0).any():
        return _padded(site, struct, kernel, kernel.gather)
    if product == "both_binary":
        return _agreements(site, struct, kernel)
    signs = _signs(site)
    return signs, dense_of(replace(site, sources=(signs.output,)), _plain(struct), kernel)


def _padded(site: Site, struct: Struct, kernel: Kernel, gather: Raw) -> tuple[Layer, ...]:
    """Return the layers of windows that reach into the padding, where a bit is 0 and stands for -1 as anywhere."""
    output = Tensor(f"{site.output.name}_windows", (gather.size,), site.sources[0].format)
    windows = Select(output.name, site.reads, output, gather.reshape(-1))
    inside = replace(kernel, gather=np.arange(gather.size, dtype=np.int64).reshape(gather.shape))
    return windows, *_products(replace(site, sources=(output,)), struct, inside)


def _agreements(site: Site, struct: Struct, kernel: Kernel) -> tuple[Layer, ...]:
    """Return the layers that count the inputs that are equal to their weights: x where a weight is 1, else 1 - x."""
    source = site.sources[0]
    others = _scaled(site, "others", -1, 1, _BIT)
    both = Tensor(f"{site.output.name}_both", (2 * source.size,), _BIT)
    beside = Concatenate(both.name, (source.name, others.output.name), both, np.arange(both.size, dtype=np.int64))
    reads = np.arange(source.size, dtype=np.int64)[None] if kernel.gather is None else kernel.gather
    ones = kernel.weights.raw == 1
    halves = Kernel(
        weights=Weights(np.concatenate([ones, ~ones]).astype(np.int64), _BIT),
        bias=kernel.bias,
        order=np.stack([kernel.order, kernel.order + len(ones)], axis=1).reshape(-1),
        gather=np.concatenate([reads, reads + source.size], axis=1),
    )
    return others, beside, dense_of(replace(site, sources=(both,)), _plain(struct), halves)


def _doubled(site: Site, total: Tensor, inputs: int) -> tuple[Layer, ...]:
    """Return the layers from a count of equal bits to Σ ±1·±1 (nnet::cast)."""
    width = max(1, (inputs - 1).bit_length()) + 2
    whole = Format(signed=True, width=width, integer=width, rounding=Rounding.TRN_ZERO)
    output = Tensor(f"{site.output.name}_doubled", site.output.shape, whole)
    doubled = Scale(output.name, (total.name,), output, 2 * _ONE, _PAIR, -inputs * _ONE, whole)
    return doubled, Cast(site.name, (output.name,), site.output)


def _reached(site: Site, name: str, output: Tensor, threshold: Weights) -> tuple[Layer, ...]:
    """Return the layers of a bit that says whether an element is at least the threshold."""
    fmt = site.sources[0].format
    if threshold.format.fraction != fmt.fraction:
        raise site.refuse(f"a threshold of {threshold.format} for {fmt}")
    exact = Format(signed=True, width=fmt.width + 2, integer=fmt.integer + 2)
    above = Tensor(f"{output.name}_distance", output.shape, exact)
    bias = -threshold.raw.reshape(-1)
    distance = Scale(above.name, site.reads, above, np.ones_like(bias), _PAIR, bias, exact)
    return distance, Sign(name, (above.name,), output, 2)


def _signs(site: Site) -> Scale:
    return _scaled(site, "signs", 2, -1, _PAIR)


def _scaled(site: Site, name: str, factor: int, offset: int, fmt: Format) -> Scale:
    """Return factor·x + offset of the source."""
    source = site.sources[0]
    output = Tensor(f"{site.output.name}_{name}", source.shape, fmt)
    return Scale(output.name, (source.name,), output, factor * _ONE, _PAIR, offset * _ONE, _PAIR)


def _plain(struct: Struct) -> Struct:
    """Return the configuration with ordinary products."""
    return replace(struct, aliases={**struct.aliases, "product": "nnet::product::mult<x_T, y_T>"})
