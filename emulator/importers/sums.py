"""Translations of the calls that multiply or add: dense, normalisation, pooling, merges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emulator.formats import Format, Raw
from emulator.graph import Dense, Dot, Layer, Merge, Pool, Scale
from emulator.importers import windows
from emulator.importers.cpp import Struct
from emulator.importers.site import Site, Weights

_SIGN = Format(signed=True, width=2, integer=2)


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """Weights (inputs, outputs), bias, in which order inputs are added, and which elements they read, as in `Dense`."""

    weights: Weights
    bias: Weights
    order: Raw
    gather: Raw | None = None


def stored_matrix(site: Site, struct: Struct, weights: Weights, shape: tuple[int, int]) -> tuple[Weights, Raw]:
    """Return the weights as (inputs, outputs), and the order in which the kernel of `struct` adds the inputs."""
    n_in, n_out = shape
    kernel = struct.aliases["kernel"].split("<")[0]
    if kernel == "nnet::DenseLatency":
        return Weights(weights.raw.reshape(n_in, n_out), weights.format), np.arange(n_in, dtype=np.int64)
    # The unrolled code leaves out products with weights that are 0, which add nothing.
    if kernel.startswith("nnet::DenseResource_rf") or "::dense_resource_unrolled_" in kernel:
        matrix = np.ascontiguousarray(weights.raw.reshape(n_out, n_in).T)
        order = _resource_order(site, n_in, n_out, struct.integer("reuse_factor"))
        return Weights(matrix, weights.format), order
    raise site.refuse(f"kernel {kernel}")


def dense_of(site: Site, struct: Struct, kernel: Kernel) -> Dense:
    """Return the layer of a kernel that `struct` configures."""
    multiplied = _multiplied(site, struct, kernel.weights)
    return Dense(
        name=site.name,
        sources=site.reads,
        output=site.output,
        weights=multiplied.raw,
        weight_format=multiplied.format,
        bias=kernel.bias.raw.reshape(-1),
        bias_format=kernel.bias.format,
        accumulator=site.format_of(struct, "accum_t"),
        order=kernel.order,
        gather=kernel.gather,
    )


def product_of(struct: Struct) -> str:
    """Return which product of nnet::product a kernel multiplies by."""
    return struct.aliases["product"].split("<")[0].removeprefix("nnet::product::")


def _multiplied(site: Site, struct: Struct, weights: Weights) -> Weights:
    """Return the weights that nnet::product really multiplies by: one- and two-bit ones stand for -1, 0, 1."""
    product = product_of(struct)
    if product == "mult":
        return weights
    if product == "weight_binary":
        return Weights(np.where(weights.raw == 0, -1, 1), _SIGN)
    if product == "weight_ternary":
        return Weights(np.where(weights.raw == 0, 0, np.where(weights.raw == -1, -1, 1)), _SIGN)
    raise site.refuse(f"product {product}")


def _resource_order(site: Site, n_in: int, n_out: int, reuse: int) -> Raw:
    """Return the order in which the Resource strategy adds the inputs (nnet_dense_resource.h)."""
    if reuse > n_in:
        if reuse % n_in:
            raise site.refuse(f"reuse factor {reuse} with {n_in} inputs")
        return np.arange(n_in, dtype=np.int64)
    if n_in % reuse or n_in * n_out % reuse:
        raise site.refuse(f"reuse factor {reuse} does not divide {n_in} inputs")
    return np.arange(n_in, dtype=np.int64).reshape(-1, reuse).T.reshape(-1)


def normalise(site: Site) -> Layer:
    """nnet::normalize: batch normalisation and QKeras' alpha."""
    scale, bias = (site.weights[name] for name in site.call.arguments[2:4])
    factor = _multiplied(site, site.config, Weights(scale.raw.reshape(-1), scale.format))
    return Scale(
        name=site.name,
        sources=site.reads,
        output=site.output,
        factor=factor.raw,
        factor_format=factor.format,
        bias=bias.raw.reshape(-1),
        bias_format=bias.format,
    )


def pooling(site: Site) -> Layer:
    """nnet::pooling1d_cl, pooling2d_cl and the global ones."""
    config = site.config
    if site.call.function.startswith("global"):
        gather = _whole(config)
    else:
        gather = windows.pool(*windows.axes(config, "pool"), config.integer("n_filt"))
    if len(gather) != site.output.size:
        raise site.refuse(f"{len(gather)} windows do not make an output of shape {site.output.shape}")
    full = "count_pad" not in config.constants or config.flag("count_pad")
    count = np.full(len(gather), gather.shape[1]) if full else (gather >= 0).sum(axis=1)
    operation = config.constants["pool_op"].removeprefix("nnet::").lower()
    return Pool(
        name=site.name,
        sources=site.reads,
        output=site.output,
        operation=operation,
        gather=gather,
        count=count.astype(np.int64),
        accumulator=site.format("accum_t"),
    )


def _whole(config: Struct) -> Raw:
    channels = config.integer("n_filt")
    if "in_height" in config.constants:
        pixels = config.integer("in_height") * config.integer("in_width")
    else:
        pixels = config.integer("n_in")
    return np.arange(pixels * channels, dtype=np.int64).reshape(pixels, channels).T.copy()


def merge(site: Site) -> Layer:
    """nnet::add, subtract, multiply, average, maximum, minimum."""
    return Merge(site.name, site.reads, site.output, site.call.function)


def dot(site: Site) -> Layer:
    """nnet::dot1d."""
    if product_of(site.config) != "mult":
        raise site.refuse("a dot product of one-bit tensors")
    return Dot(site.name, site.reads, site.output, site.format("accum_t"))
