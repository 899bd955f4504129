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
UNSEEN_WOBBLE = 0.02
"""Wobble that is assumed where a single fill cannot show any: 2 % of a rate, or of an entry's standard deviation."""


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


def between_fills(
    relative: Floats,
    weight: Floats,
    blocks: NDArray[np.int64],
    *,
    noise: Floats,
    family: NDArray[np.int64],
    live: NDArray[np.bool_],
) -> Floats:
    """Return the standard deviation of block means (q,) beyond noise: what fills, and slow changes in them, add.

    A method-of-moments estimate per quantity (DerSimonian and Laird 1986), drawn towards its family's: the more, the
    less the quantity's own data can tell.
    """
    mean, total = _block_means(relative, weight, blocks[1])
    variance = noise / np.maximum(total, 1e-12)
    excess = mean**2 - variance
    fills = int(blocks[0][-1]) + 1
    wobble = np.zeros(relative.shape[1])
    for number in np.unique(family[live]):
        chosen = live & (family == number)
        # Fractions close to 1 know themselves to parts per mille: they must not speak for the whole family.
        trust = (variance[:, chosen] + np.median(variance[:, chosen])) ** -2.0
        pooled = max(float((excess[:, chosen] * trust).sum() / trust.sum()), 0.0)
        own = np.maximum(excess[:, chosen].mean(axis=0), 0.0)
        own_trust = max(fills, 2) / 2.0 / (variance[:, chosen].mean(axis=0) + pooled) ** 2
        share = own_trust * pooled**2 / (own_trust * pooled**2 + 1.0)
        wobble[chosen] = np.sqrt(share * own + (1 - share) * pooled)
    return np.maximum(wobble, UNSEEN_WOBBLE) if fills == 1 else wobble


def _block_means(relative: Floats, weight: Floats, block: NDArray[np.int64]) -> tuple[Floats, Floats]:
    shape = (int(block[-1]) + 1, relative.shape[1])
    total, sums = np.zeros(shape), np.zeros(shape)
    np.add.at(total, block, weight)
    np.add.at(sums, block, weight * relative)
    return sums / np.maximum(total, 1e-12), total
