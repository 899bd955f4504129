"""Which input element each kernel or pooling window reads, channels last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emulator.formats import Raw
from emulator.importers.cpp import Struct


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis: input size, window size, stride, padding before and after."""

    size: int
    window: int
    stride: int
    before: int
    after: int

    @property
    def count(self) -> int:
        """Number of output positions."""
        return (self.size + self.before + self.after - self.window) // self.stride + 1

    def places(self) -> Raw:
        """Return (count, window) input indices, -1 in the padding."""
        start = np.arange(self.count, dtype=np.int64)[:, None] * self.stride - self.before
        index = start + np.arange(self.window, dtype=np.int64)
        return np.where((index < 0) | (index >= self.size), -1, index)


def kernel(rows: Axis, columns: Axis, channels: int) -> Raw:
    """Return (positions, window elements) of a convolution, in C order of height, width, channel."""
    pixels = _pixels(rows, columns)
    elements = pixels[:, :, None] * channels + np.arange(channels, dtype=np.int64)
    return np.where(pixels[:, :, None] < 0, -1, elements).reshape(len(pixels), -1)


def pool(rows: Axis, columns: Axis, channels: int) -> Raw:
    """Return (positions·channels, window pixels) of a pooling layer."""
    pixels = _pixels(rows, columns)[:, None, :]
    elements = pixels * channels + np.arange(channels, dtype=np.int64)[None, :, None]
    return np.where(pixels < 0, -1, elements).reshape(-1, pixels.shape[2])


def _pixels(rows: Axis, columns: Axis) -> Raw:
    y, x = rows.places()[:, None, :, None], columns.places()[None, :, None, :]
    pixels = np.where((y < 0) | (x < 0), -1, y * columns.size + x)
    return pixels.reshape(rows.count * columns.count, rows.window * columns.window)


def axes(struct: Struct, window: str) -> tuple[Axis, Axis]:
    """Return height and width of a 2D struct, or one row and the width of a 1D one; `window` is filt or pool."""
    n = struct.integer
    width_name = "in_width" if "in_width" in struct.constants else "n_in"
    columns = Axis(n(width_name), n(f"{window}_width"), n("stride_width"), n("pad_left"), n("pad_right"))
    if f"{window}_height" not in struct.constants:
        return Axis(1, 1, 1, 0, 0), columns
    rows = Axis(n("in_height"), n(f"{window}_height"), n("stride_height"), n("pad_top"), n("pad_bottom"))
    return rows, columns
