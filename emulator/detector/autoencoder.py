"""A small variational autoencoder in plain numpy; only its encoder's means go to hardware, as AXOL1TL's do.

The score is the sum of the squared means: the part of the Kullback-Leibler divergence that a trigger can afford
(Govorkova et al., Nature Mach. Intell. 4 (2022) 154, arXiv 2108.03986).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Layer = tuple[Floats, Floats]

# Raw units. A third muon is so rare that its own width would give it weights beyond any format.
_SMALLEST_WIDTH = 4.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train: sizes of the hidden layers, and the settings of the optimiser."""

    hidden: tuple[int, int] = (32, 16)
    latent: int = 8
    epochs: int = 12
    batch: int = 512
    learning_rate: float = 2e-3
    divergence: float = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """Dense layers (kernel (inputs, outputs), bias) on raw inputs; ReLU between them, none behind the last."""

    layers: tuple[Layer, ...]

    def score(self, raw: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the anomaly score (n,) in floating point, before any quantisation."""
        values = raw.astype(np.float64)
        for kernel, bias in self.layers[:-1]:
            values = np.maximum(values @ kernel + bias, 0)
        kernel, bias = self.layers[-1]
        return np.asarray(((values @ kernel + bias) ** 2).sum(axis=1))


def fit(raw: NDArray[np.int16], *, weight: Floats, seed: int, recipe: Recipe) -> Encoder:
    """Fit the autoencoder to raw inputs (n, k) and return its encoder, with the normalisation folded in.

    `weight` (k,) says how much each input counts in what must be reconstructed.
    Equal arguments give equal weights, bit for bit, with the same numpy on the same kind of processor.
    """
    chance = np.random.Generator(np.random.SFC64(seed))
    mean, width = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    width = np.maximum(width, _SMALLEST_WIDTH)
    events = ((raw - mean) / width).astype(np.float32)
    network = _Network(chance, weight, recipe)
    steps = recipe.epochs * (len(events) // recipe.batch)
    optimiser = _Adam(network.parameters, rate=recipe.learning_rate, steps=steps)
    for _ in range(recipe.epochs):
        order = chance.permutation(len(events))
        for start in range(0, len(events) - recipe.batch + 1, recipe.batch):
            optimiser.step(network.gradients(events[order[start : start + recipe.batch]], chance))
    return _folded(network.encoder(), mean, width)


def _folded(layers: Sequence[Layer], mean: NDArray[np.float64], width: NDArray[np.float64]) -> Encoder:
    kernel, bias = layers[0]
    scaled = kernel / width[:, None]
    first = (scaled.astype(np.float32), (bias - mean @ scaled).astype(np.float32))
    return Encoder((first, *layers[1:]))


class _Network:
    """Two hidden layers, means and log-variances, and the mirror image as decoder; `parameters` change in place."""

    def __init__(self, chance: np.random.Generator, weight: Floats, recipe: Recipe) -> None:
        inputs = len(weight)
        wide, narrow = recipe.hidden
        sizes = ((inputs, wide), (wide, narrow), (narrow, recipe.latent), (narrow, recipe.latent))
        mirror = ((recipe.latent, narrow), (narrow, wide), (wide, inputs))
        self.parameters: list[Floats] = []
        for rows, columns in sizes + mirror:
            kernel = chance.standard_normal((rows, columns), dtype=np.float32) * np.float32(np.sqrt(1.5 / rows))
            self.parameters += [kernel, np.zeros(columns, dtype=np.float32)]
        self._weight = weight
        self._divergence = np.float32(recipe.divergence)

    def encoder(self) -> list[Layer]:
        """Return the layers from the inputs to the means."""
        p = self.parameters
        return [(p[0], p[1]), (p[2], p[3]), (p[4], p[5])]

    def gradients(self, x: Floats, chance: np.random.Generator) -> list[Floats]:
        """Return the gradient of the loss (reconstruction + divergence, mean over events) for every parameter."""
        w1, b1, w2, b2, wm, bm, wv, bv, v1, c1, v2, c2, v3, c3 = self.parameters
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.maximum(h1 @ w2 + b2, 0)
        mu, log_variance = h2 @ wm + bm, np.clip(h2 @ wv + bv, -8, 8)
        spread = np.exp(log_variance / 2)
        noise = chance.standard_normal(mu.shape, dtype=np.float32)
        z = mu + spread * noise
        d1 = np.maximum(z @ v1 + c1, 0)
        d2 = np.maximum(d1 @ v2 + c2, 0)
        back = (d2 @ v3 + c3 - x) * self._weight * np.float32(2 / len(x))
        back2 = (back @ v3.T) * (d2 > 0)
        back1 = (back2 @ v2.T) * (d1 > 0)
        to_z = back1 @ v1.T
        share = self._divergence / np.float32(len(x))
        to_mu = to_z + share * mu
        to_variance = to_z * noise * spread / 2 + share * (spread**2 - 1) / 2
        to_h2 = (to_mu @ wm.T + to_variance @ wv.T) * (h2 > 0)
        to_h1 = (to_h2 @ w2.T) * (h1 > 0)
        pairs = ((x, to_h1), (h1, to_h2), (h2, to_mu), (h2, to_variance), (z, back1), (d1, back2), (d2, back))
        return [gradient for source, flow in pairs for gradient in (source.T @ flow, flow.sum(axis=0))]


class _Adam:
    """Kingma & Ba, arXiv 1412.6980, with a learning rate that falls to zero along a cosine."""

    def __init__(self, parameters: list[Floats], *, rate: float, steps: int) -> None:
        self._parameters = parameters
        self._rate, self._steps, self._done = rate, max(steps, 1), 0
        self._mean = np.zeros(sum(parameter.size for parameter in parameters), dtype=np.float32)
        self._square = np.zeros_like(self._mean)

    def step(self, gradients: list[Floats]) -> None:
        """Move every parameter once, in place."""
        rate = self._rate * 0.5 * (1 + np.cos(np.pi * self._done / self._steps))
        self._done += 1
        correction = np.sqrt(1 - 0.999**self._done) / (1 - 0.9**self._done)
        gradient = np.concatenate([part.ravel() for part in gradients])
        self._mean += np.float32(0.1) * (gradient - self._mean)
        self._square += np.float32(0.001) * (gradient**2 - self._square)
        move = np.float32(rate * correction) * self._mean / (np.sqrt(self._square) + np.float32(1e-8))
        ends = np.cumsum([parameter.size for parameter in self._parameters])
        for parameter, part in zip(self._parameters, np.split(move, ends[:-1]), strict=True):
            np.subtract(parameter, part.reshape(parameter.shape), out=parameter)
