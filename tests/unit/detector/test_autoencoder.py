from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.detector.autoencoder import Encoder, Recipe, _folded, _Network, fit
from emulator.formats import Format

TINY = Recipe(hidden=(8, 6), latent=2, epochs=3, batch=64)


def correlated_events(seed: int, n: int = 2000) -> NDArray[np.int16]:
    chance = np.random.default_rng(seed)
    size = chance.exponential(40.0, n)
    return np.clip(np.outer(size, np.linspace(1, 0.3, 9)) + chance.normal(0, 4, (n, 9)), 0, 4000).astype(np.int16)


def test_training_twice_gives_identical_weights_and_another_seed_gives_others() -> None:
    raw, weight = correlated_events(1), np.ones(9, np.float32)
    first, again, other = (fit(raw, weight=weight, seed=seed, recipe=TINY) for seed in (3, 3, 4))
    for (kernel, bias), (kernel2, bias2), (kernel3, _) in zip(first.layers, again.layers, other.layers, strict=True):
        assert kernel.tobytes() == kernel2.tobytes()
        assert bias.tobytes() == bias2.tobytes()
        assert kernel.tobytes() != kernel3.tobytes()


def test_extraordinary_events_score_higher_than_ordinary_ones() -> None:
    encoder = fit(correlated_events(1), weight=np.ones(9, np.float32), seed=3, recipe=Recipe(epochs=20, batch=64))
    ordinary = correlated_events(2)
    extraordinary = np.clip(ordinary.astype(int) * 8 + 300, 0, 4000).astype(np.int16)
    line = np.quantile(encoder.score(ordinary), 0.98)
    assert (encoder.score(extraordinary) > line).mean() > 0.8


def test_the_normalisation_is_folded_into_the_first_layer() -> None:
    raw = correlated_events(1).astype(np.float64)
    mean, width = raw.mean(axis=0), raw.std(axis=0)
    chance = np.random.default_rng(0)
    kernel, bias = chance.normal(size=(9, 4)).astype(np.float32), chance.normal(size=4).astype(np.float32)
    ((folded, shifted),) = _folded([(kernel, bias)], mean, width).layers
    assert raw @ folded + shifted == pytest.approx((raw - mean) / width @ kernel + bias, abs=1e-4)


def loss(network: _Network, x: NDArray[np.float32], seed: int, divergence: float) -> float:
    """The loss as the docstring says it, in double precision, from the network's parameters."""
    p = [parameter.astype(np.float64) for parameter in network.parameters]
    h = np.maximum(np.maximum(x @ p[0] + p[1], 0) @ p[2] + p[3], 0)
    mu, log_variance = h @ p[4] + p[5], h @ p[6] + p[7]
    noise = np.random.default_rng(seed).standard_normal(mu.shape, dtype=np.float32)
    z = mu + np.exp(log_variance / 2) * noise
    out = np.maximum(np.maximum(z @ p[8] + p[9], 0) @ p[10] + p[11], 0) @ p[12] + p[13]
    kl = 0.5 * (mu**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
    return float((((out - x) ** 2).sum(axis=1) + divergence * kl).mean())


def test_gradients_are_those_of_the_loss() -> None:
    recipe = Recipe(hidden=(6, 5), latent=3, divergence=3.0)
    network = _Network(np.random.default_rng(0), np.ones(4, np.float32), recipe)
    network.parameters[6] *= 3  # log-variances far from 0, where their gradient shows
    x = np.random.default_rng(1).standard_normal((16, 4), dtype=np.float32)
    gradients = network.gradients(x, np.random.default_rng(2))
    for parameter, gradient in zip(network.parameters, gradients, strict=True):
        place = np.unravel_index(int(np.argmax(np.abs(gradient))), gradient.shape)
        kept, step = parameter[place], np.float32(2e-3)
        parameter[place] = kept + step
        above = loss(network, x, 2, recipe.divergence)
        parameter[place] = kept - step
        below = loss(network, x, 2, recipe.divergence)
        parameter[place] = kept
        assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=0.02, abs=2e-3)


def test_a_weight_too_large_for_its_format_is_refused(tmp_path: Path) -> None:
    firmware = pytest.importorskip("emulator.detector.firmware", reason="needs the models extra (hls4ml)")
    layers = tuple(
        (np.full((rows, columns), 0.1, np.float32), np.zeros(columns, np.float32))
        for rows, columns in ((57, 32), (32, 16), (16, 8))
    )
    layers[0][0][3, 4] = 0.6
    with pytest.raises(ValueError, match=r"encode1 has a weight of 0\.6"):
        firmware.to_hls4ml(Encoder(layers), firmware.Formats(), tmp_path)


def test_accumulators_hold_every_product_and_every_sum() -> None:
    firmware = pytest.importorskip("emulator.detector.firmware", reason="needs the models extra (hls4ml)")
    accumulator = Format.parse(firmware._accumulator("fixed<16,16>", "fixed<15,0>", terms=57))
    assert accumulator.fraction == 15
    assert accumulator.high >= 57 * 2**15 * 2**14


def test_the_training_command_fits_the_same_weights_to_the_same_seed() -> None:
    command = pytest.importorskip("emulator.detector.train", reason="needs the models extra (hls4ml)")
    version = command.Version(1, Recipe(epochs=1), fills=1)
    first, again = (command.train(version, seed=2) for _ in range(2))
    for layer, same in zip(first.layers, again.layers, strict=True):
        assert [values.tobytes() for values in layer] == [values.tobytes() for values in same]
    assert [kernel.shape for kernel, _ in first.layers] == [(57, 32), (32, 16), (16, 8)]
