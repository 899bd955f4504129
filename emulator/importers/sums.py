"""Translations of the calls that multiply, add or move: dense, convolutions, normalisation, pooling, merges."""

from __future__ import annotations

import numpy as np

from emulator.formats import Format, Raw
from emulator.graph import Concatenate, Dense, Dot, Layer, Merge, Pool, Scale, Select
from emulator.importers import windows
from emulator.importers.cpp import Struct
from emulator.importers.site import Site, Weights

_SIGN = Format(signed=True, width=2, integer=2)


def dense(site: Site) -> Layer:
    """nnet::dense."""
    return _dense(site, site.config, gather=None)


def convolution(site: Site) -> Layer:
    """nnet::conv_1d_cl, conv_2d_cl and their pointwise kin: a dense kernel at every position."""
    config = site.config
    if config.constants.get("dilation", "1") != "1":
        raise site.refuse("a dilated convolution")
    partitions = config.integer("n_partitions")
    rows, columns = windows.axes(config, "filt")
    pointwise = "pointwise" in site.call.function or "Batched" in config.aliases.get("conv_kernel", "")
    if pointwise and partitions != 1 and (rows.stride, columns.stride) != (1, 1):
        raise site.refuse("a pointwise convolution in partitions with a stride")
    gather = windows.kernel(rows, columns, config.integer("n_chan"))
    if len(gather) * config.integer("n_filt") != site.output.size:
        raise site.refuse(f"{len(gather)} positions do not make an output of shape {site.output.shape}")
    return _dense(site, site.structs[config.types["mult_config"]], gather=gather)


def _dense(site: Site, struct: Struct, *, gather: Raw | None) -> Dense:
    n_in, n_out = _shape(site, struct, gather)
    weights, bias = (site.weights[name] for name in site.call.arguments[2:4])
    natural = np.arange(n_in, dtype=np.int64)
    kernel = struct.aliases["kernel"].split("<")[0]
    if kernel == "nnet::DenseLatency":
        matrix, order = weights.raw.reshape(n_in, n_out), natural
    elif kernel.startswith("nnet::DenseResource_rf"):
        matrix = np.ascontiguousarray(weights.raw.reshape(n_out, n_in).T)
        order = _resource_order(site, n_in, n_out, struct.integer("reuse_factor"))
    else:
        raise site.refuse(f"kernel {kernel}")
    multiplied = _multiplied(site, struct, Weights(matrix, weights.format))
    return Dense(
        name=site.name,
        sources=site.reads,
        output=site.output,
        weights=multiplied.raw,
        weight_format=multiplied.format,
        bias=bias.raw.reshape(-1),
        bias_format=bias.format,
        accumulator=site.format_of(struct, "accum_t"),
        order=order,
        gather=gather,
    )


def _shape(site: Site, struct: Struct, gather: Raw | None) -> tuple[int, int]:
    if gather is None:
        return struct.integer("n_in"), struct.integer("n_out")
    return gather.shape[1], site.config.integer("n_filt")


def _multiplied(site: Site, struct: Struct, weights: Weights) -> Weights:
    """Return the weights that nnet::product really multiplies by: one- and two-bit ones stand for -1, 0, 1."""
    product = struct.aliases["product"].split("<")[0].removeprefix("nnet::product::")
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
    if site.config.aliases["product"].split("<")[0] != "nnet::product::mult":
        raise site.refuse("a dot product of one-bit tensors")
    return Dot(site.name, site.reads, site.output, site.format("accum_t"))


def concatenate(site: Site) -> Layer:
    """nnet::concatenate1d, 2d, 3d."""
    first, second = site.sources
    rank = len(first.shape)
    axis = site.config.integer("axis")
    axis = axis + rank if axis < 0 else axis - 1
    if rank == 1:
        axis = 0
    places = np.arange(first.size + second.size, dtype=np.int64)
    parts = places[: first.size].reshape(first.shape), places[first.size :].reshape(second.shape)
    return Concatenate(site.name, site.reads, site.output, np.concatenate(parts, axis=axis).reshape(-1))


def transpose(site: Site) -> Layer:
    """nnet::transpose: its own strides, from its own tables."""
    to_shape, strides = (
        [int(number) for number in site.config.constants[name].split(",")] for name in ("to_shape", "perm_strides")
    )
    grid = np.indices(to_shape, dtype=np.int64).reshape(len(to_shape), -1)
    return Select(site.name, site.reads, site.output, (np.array(strides, dtype=np.int64) @ grid).reshape(-1))
