"""Translations of the calls that only move elements: concatenation, transposition, padding, cropping, enlarging."""

from __future__ import annotations

import numpy as np

from emulator.formats import Raw
from emulator.graph import Concatenate, Layer, Select
from emulator.importers.cpp import Struct
from emulator.importers.site import Site


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
    """nnet::transpose."""
    return _select(site, permutation(site.config))


def permutation(config: Struct) -> Raw:
    """Return which element of the source each element of a transposition is, from its own tables of strides."""
    to_shape, strides = (
        [int(number) for number in config.constants[name].split(",")] for name in ("to_shape", "perm_strides")
    )
    grid = np.indices(to_shape, dtype=np.int64).reshape(len(to_shape), -1)
    turned: Raw = (np.array(strides, dtype=np.int64) @ grid).reshape(-1)
    return turned


def zero_padding(site: Site) -> Layer:
    """nnet::zeropad1d_cl, zeropad2d_cl."""
    pixels = _pixels(site.config, "in")
    before_after = [_pair(site.config, "pad_top", "pad_bottom"), _pair(site.config, "pad_left", "pad_right"), (0, 0)]
    return _select(site, np.pad(pixels, before_after, constant_values=-1).reshape(-1))


def cropping(site: Site) -> Layer:
    """nnet::cropping1d_cl, cropping2d_cl: as many as the output has, from the cut on."""
    config, pixels = site.config, _pixels(site.config, "in")
    (top, _), (left, _) = _pair(config, "crop_top", "crop_bottom"), _pair(config, "crop_left", "crop_right")
    kept = _pixels(config, "out").shape
    return _select(site, pixels[top : top + kept[0], left : left + kept[1]].reshape(-1))


def resize_nearest(site: Site) -> Layer:
    """nnet::resize_nearest: the ratio in 16 fraction bits, and one unit more."""
    config = site.config
    pixels = _pixels(config, "")
    rows, columns = (
        np.arange(config.integer(f"new_{side}")) * ((config.integer(side) << 16) // config.integer(f"new_{side}") + 1)
        >> 16
        for side in ("height", "width")
    )
    return _select(site, pixels[rows[:, None], columns[None, :]].reshape(-1))


def _select(site: Site, gather: Raw) -> Select:
    if len(gather) != site.output.size:
        raise site.refuse(f"{len(gather)} elements do not make an output of shape {site.output.shape}")
    return Select(site.name, site.reads, site.output, gather)


def _pixels(config: Struct, prefix: str) -> Raw:
    """Return (height, width, channels): the number of every element, channels last; a line has one row."""
    height, width = (f"{prefix}_{side}".strip("_") for side in ("height", "width"))
    shape = (
        config.integer(height) if height in config.constants else 1,
        config.integer(width),
        config.integer("n_chan"),
    )
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape)


def _pair(config: Struct, before: str, after: str) -> tuple[int, int]:
    """Return two constants, 0 where a line has none."""
    first, second = (config.integer(name) if name in config.constants else 0 for name in (before, after))
    return first, second
