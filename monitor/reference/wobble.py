"""How much things differ with nothing broken: between neighbouring lumisections (noise) and between fills (wobble).

Measured once on fifty-seven inputs: benign wobble leaves fill means up to 9.6 standard errors off, and a detector whose
null is a point then alarms twelve times as often as it promised. So the null is an interval, and its width is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.trigger.lumisection import Lumisection

Floats = NDArray[np.float64]

BLOCK = 25
FAINT_NOISE = 0.02
TAIL = 1.0
"""Sigmas by which the largest residual may exceed the typical largest of so many normal ones."""
UNSEEN_WOBBLE = 0.01
"""Wobble that is assumed where a single fill cannot show any: 1 % of a rate, or of an entry's standard deviation."""


def blocks_of(lumisections: Sequence[Lumisection]) -> NDArray[np.int64]:
    """Return (fill, block), each (t,), of sorted lumisections: fills are cut into blocks of about `BLOCK`."""
    fill = np.unique([mark.run for mark in lumisections], return_inverse=True)[1].astype(np.int64)
    block, first = np.zeros(len(fill), np.int64), 0
    for number in range(fill[-1] + 1):
        members = np.flatnonzero(fill == number)
        for piece in np.array_split(members, max(1, round(len(members) / BLOCK))):
            block[piece] = first
            first += 1
    return np.stack([fill, block])


def within_blocks(relative: Floats, weight: Floats, blocks: NDArray[np.int64]) -> Floats:
    """Return the variance of residuals (t, q) around their block's mean, over the textbook one (1 / weight); (q,).

    One standard error is added: noise taken too small makes false alarms, noise taken too large only delays. And no
    residual may lie further out than a normal one would: bets on the mean assume tails that are no heavier.
    """
    mean, _ = _block_means(relative, weight, blocks[1])
    squares = weight * (relative - mean[blocks[1]]) ** 2
    freedom = max(1, len(relative) - (int(blocks[1][-1]) + 1))
    noise = squares.sum(axis=0) / freedom
    furthest = squares.max(axis=0) / (np.sqrt(2 * np.log(len(relative))) + TAIL) ** 2
    scarce = weight.sum(axis=0) < 5 * len(relative)  # a few counts a lumisection: the ratio is itself all noise
    noise = np.where(scarce, np.maximum(noise, 1.0), np.maximum(noise, furthest))
    return np.asarray(np.maximum(noise * (1.0 + np.sqrt(2.0 / freedom)), FAINT_NOISE))


def between_fills(relative: Floats, weight: Floats, blocks: NDArray[np.int64], *, noise: Floats) -> Floats:
    """Return the standard deviation (q,) of what fills, and slow changes within them, add to the noise.

    The method of moments (DerSimonian and Laird 1986): squares of the means minus what noise explains. One standard
    error is added, for a wobble that was too small to be seen in the reference still moves the next fill. Blocks within
    fills are looked at too: they show slow changes, and where the curve over pile-up does not fit.
    """
    fills = int(blocks[0][-1]) + 1
    fill_excess, fill_noise = _excess(relative, weight, blocks[0], noise=noise)
    block_excess, _ = _excess(relative, weight, blocks[1], noise=noise)
    if fills == 1:
        return np.asarray(np.sqrt(np.maximum(block_excess, UNSEEN_WOBBLE**2)))
    unseen = np.sqrt(2.0 / fills) * fill_noise
    return np.asarray(np.sqrt(np.maximum(np.maximum(fill_excess, 0.0) + unseen, block_excess)))


def shared(wobble: Floats, alike: NDArray[np.int64]) -> Floats:
    """Return the wobble (q,) with the quadratic mean in place of each one's own, where several are `alike` (q,)."""
    return np.asarray(np.sqrt(np.bincount(alike, wobble**2) / np.bincount(alike)))[alike]


def within_fills(
    relative: Floats, weight: Floats, blocks: NDArray[np.int64], *, noise: Floats, family: NDArray[np.int64]
) -> Floats:
    """Return the standard deviation (q,) of what slow changes within fills add to the noise.

    Blocks against their own fill, by the method of moments again. A single quantity's estimate is mostly chance, so the
    members of a `family` (q,) share one, in units of what noise makes of a block; only who strays three standard errors
    further has its own.
    """
    mean, total = _block_means(relative, weight, blocks[1])
    fill_of = np.asarray([blocks[0][blocks[1] == block][0] for block in range(len(mean))])
    fill_mean, fill_total = _block_means(relative, weight, blocks[0])
    explained = noise * np.maximum(1.0 / np.maximum(total, 1e-12) - 1.0 / np.maximum(fill_total[fill_of], 1e-12), 0.0)
    typical = np.maximum(explained.mean(axis=0), 1e-300)
    ratio = ((mean - fill_mean[fill_of]) ** 2).mean(axis=0) / typical - 1.0
    error = np.sqrt(2.0 / max(1, len(mean) - int(fill_of[-1]) - 1))
    common = np.zeros(len(ratio))
    for each in np.unique(family):
        members = family == each
        common[members] = max(0.0, float(np.median(ratio[members]))) + error / np.sqrt(np.count_nonzero(members))
    own = np.where(ratio > common + 3 * error, ratio, common)
    return np.asarray(np.sqrt(own * typical))


def _excess(relative: Floats, weight: Floats, group: NDArray[np.int64], *, noise: Floats) -> tuple[Floats, Floats]:
    """Return (mean square of the groups' means beyond noise, mean square that noise explains), (q,) each."""
    mean, total = _block_means(relative, weight, group)
    explained = (noise / np.maximum(total, 1e-12)).mean(axis=0)
    return (mean**2).mean(axis=0) - explained, explained


def _block_means(relative: Floats, weight: Floats, block: NDArray[np.int64]) -> tuple[Floats, Floats]:
    shape = (int(block[-1]) + 1, relative.shape[1])
    total, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(total, block, weight)
    np.add.at(sums, block, weight * relative)
    return sums / np.maximum(total, 1e-12), total
