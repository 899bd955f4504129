"""Translations of convolutions: a dense kernel at every position, on the elements that its window reads."""

from __future__ import annotations

import numpy as np

from emulator.formats import Raw
from emulator.graph import Layer
from emulator.importers import bits, windows
from emulator.importers.cpp import Struct
from emulator.importers.site import Site, Weights
from emulator.importers.sums import Kernel, dense_of, stored_matrix


def convolution(site: Site) -> tuple[Layer, ...]:
    """nnet::conv_1d_cl, conv_2d_cl and their pointwise kin."""
    config = site.config
    pointwise = "pointwise" in site.call.function or "Batched" in config.aliases.get("conv_kernel", "")
    if pointwise and config.integer("n_partitions") != 1 and _stride(config) != (1, 1):
        raise site.refuse("a pointwise convolution in partitions with a stride")
    gather, struct = windows_of(site), site.structs[config.types["mult_config"]]
    weights, bias = (site.weights[name] for name in site.call.arguments[2:4])
    matrix, order = stored_matrix(site, struct, weights, (gather.shape[1], config.integer("n_filt")))
    return bits.summed(site, struct, Kernel(matrix, bias, order, gather))


def depthwise(site: Site) -> Layer:
    """nnet::depthwise_conv_1d_cl, depthwise_conv_2d_cl: every channel has a kernel of its own.

    The weights of the other channels are 0 here: a product that is 0 adds nothing to any accumulator.
    """
    config, gather = site.config, windows_of(site)
    weights, bias = (site.weights[name] for name in site.call.arguments[2:4])
    channels = config.integer("n_chan")
    if config.constants.get("strategy", "") != "nnet::latency":
        raise site.refuse("csim has depthwise convolutions by the Latency strategy only")
    if config.integer("n_filt") != channels:
        raise site.refuse("csim has depthwise convolutions with a depth multiplier of 1 only")
    matrix, inputs = np.zeros((gather.shape[1], channels), np.int64), np.arange(gather.shape[1])
    matrix[inputs, inputs % channels] = weights.raw.reshape(-1)
    kernel = Kernel(Weights(matrix, weights.format), bias, inputs, gather)
    return dense_of(site, site.structs[config.types["mult_config"]], kernel)


def windows_of(site: Site) -> Raw:
    """Return (positions, inputs): the elements that the kernel reads at every position, -1 in the padding."""
    config, output = site.config, site.output
    if config.constants.get("dilation", "1") != "1":
        raise site.refuse("a dilated convolution")
    gather = windows.kernel(*windows.axes(config, "filt"), config.integer("n_chan"))
    if len(gather) * config.integer("n_filt") != output.size:
        raise site.refuse(f"{len(gather)} positions do not make an output of shape {output.shape}")
    return gather


def _stride(config: Struct) -> tuple[int, int]:
    rows, columns = windows.axes(config, "filt")
    return rows.stride, columns.stride
