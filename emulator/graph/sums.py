"""Layers that multiply by weights or add neighbours: Dense and convolutions, scales, pools, and plain moves."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.formats import Format, Raw
from emulator.graph.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Σ x·w + b: every product is cast to `accumulator`, then added step by step in `accumulator`.

    Attributes
    ----------
    weights, bias
        Raw integers, (n_in, n_out) and (n_out,).
    order
        (n_in,): in which order the inputs are added; matters only to an accumulator that saturates.
    gather
        None, or (positions, n_in): element of the source that input i reads at each output position, -1 reads 0.
        So a convolution is a Dense at every position; the output is (positions, n_out) in C order.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    weights: Raw
    weight_format: Format
    bias: Raw
    bias_format: Format
    accumulator: Format
    order: Raw
    gather: Raw | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """x·factor + bias at full width, then one cast: batch normalisation; element i uses factor[i % len(factor)]."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    factor: Raw
    factor_format: Format
    bias: Raw
    bias_format: Format


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Largest element (`operation` "max") or average ("average") of each window.

    Attributes
    ----------
    gather
        (outputs, window): elements of the source in each window, -1 is padding (0 for an average, skipped for max).
    count
        (outputs,): what the sum of an average is divided by, truncated towards zero.
    accumulator
        Format of the sum of an average.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    operation: str
    gather: Raw
    count: Raw
    accumulator: Format


@dataclass(frozen=True, slots=True, eq=False)
class Select:
    """Output element i is element gather[i] of the source, -1 is 0: transpose, padding, cropping, up-sampling."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    gather: Raw
