"""Translations of einsums: of a tensor with weights (EinsumDense), and of two tensors (Einsum).

Both turn their inputs, multiply group by group, and turn the result. Here only the places that are read are turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from emulator.formats import Raw
from emulator.graph import Concatenate, Dense, Dot, Layer, Tensor
from emulator.importers.moves import permutation
from emulator.importers.site import Site, Weights
from emulator.importers.sums import Kernel, dense_of, product_of, stored_matrix


def einsum(site: Site) -> Layer:
    """nnet::einsum: every product is added at full width, and the sum cast; an ap_int casts what is added to it."""
    config = site.config
    if product_of(config) != "mult":
        raise site.refuse("an einsum of one-bit tensors")
    groups, rows, columns, n = (config.integer(f"n_{name}") for name in ("inplace", "free0", "free1", "contract"))
    first = turned(site, "tpose_inp0_config").reshape(groups, rows, 1, n)
    second = turned(site, "tpose_inp1_config").reshape(groups, 1, columns, n)
    order = turned(site, "tpose_out_conf")
    left, right = (np.broadcast_to(each, (groups, rows, columns, n)).reshape(-1, n)[order] for each in (first, second))
    whole = not site.types.is_integer(config.types["accum_t"])
    return Dot(site.name, site.reads, site.output, site.format("accum_t"), left, right, whole)


def einsum_dense(site: Site) -> tuple[Layer, ...]:
    """nnet::einsum_dense: a Dense for every group of weights, at all places that have the same bias."""
    config = site.config
    groups, places, n_in, n_out = (
        config.integer(f"n_{name}") for name in ("inplace", "free_data", "contract", "free_kernel")
    )
    reads = turned(site, "tpose_inp_conf").reshape(groups, places, n_in)
    writes = np.arange(groups * places * n_out, dtype=np.int64).reshape(groups, places, n_out)
    weights, bias = (site.weights[name] for name in site.call.arguments[2:4])
    kernels, biases = weights.raw.reshape(groups, n_in, n_out), bias.raw.reshape(groups, places, n_out)
    parts, written = list[Dense](), list[Raw]()
    for group in range(groups):
        kernel = Weights(kernels[group], weights.format)
        for row in np.unique(biases[group], axis=0):
            where = np.flatnonzero((biases[group] == row).all(axis=1))
            parts.append(_part(site, kernel, Weights(row, bias.format), reads[group, where]))
            written.append(writes[group, where].reshape(-1))
    return _joined(site, parts, written)


def _joined(site: Site, parts: Sequence[Dense], written: Sequence[Raw]) -> tuple[Layer, ...]:
    """Return the parts, each with the elements that it writes before they are turned, and what joins and turns them."""
    gather = np.argsort(np.concatenate(written))[turned(site, "tpose_out_conf")]
    if len(parts) == 1 and (gather == np.arange(len(gather))).all():
        return tuple(parts)
    outputs = [
        Tensor(f"{site.output.name}_part{number}", (len(elements),), site.output.format)
        for number, elements in enumerate(written)
    ]
    named = [replace(part, name=output.name, output=output) for part, output in zip(parts, outputs, strict=True)]
    return *named, Concatenate(site.name, tuple(output.name for output in outputs), site.output, gather)


def _part(site: Site, weights: Weights, bias: Weights, reads: Raw) -> Dense:
    struct = site.structs[site.config.types["dense_conf"]]
    matrix, order = stored_matrix(site, struct, weights, weights.raw.shape)
    return dense_of(site, struct, Kernel(matrix, bias, order, reads))


def turned(site: Site, name: str) -> Raw:
    """Return which element each element of a turned tensor is."""
    return permutation(site.structs[site.config.types[name]])
