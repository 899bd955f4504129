"""Random networks for hls4ml: layers, formats, roundings, overflows and strategies drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.golden.conftest import Network

ROUNDINGS = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
OVERFLOWS = ("WRAP", "SAT", "SAT_ZERO", "SAT_SYM")
ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "selu", "hard_sigmoid", "binary_tanh")


@dataclass
class Drawn:
    """A network under construction: where it stands, and what to call the next layer."""

    network: Network
    rng: np.random.Generator
    prefix: str
    tensor: str
    shape: tuple[int, ...]
    count: int = 0

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{self.prefix}_{kind}{self.count}"

    def precision(self, *, width: tuple[int, int] = (3, 20), unsigned: bool = True) -> str:
        """A format; half of them plain, since modes that never fire prove nothing about the plain ones."""
        bits = int(self.rng.integers(*width, endpoint=True))
        sign = "u" if unsigned and self.rng.random() < 0.25 else ""
        integer = int(self.rng.integers(1, bits, endpoint=True))
        modes = ""
        if self.rng.random() < 0.5:
            modes = f",{self.rng.choice(ROUNDINGS)},{self.rng.choice(OVERFLOWS)}"
        return f"{sign}fixed<{bits},{integer}{modes}>"

    def summed(self) -> dict[str, Any]:
        """Settings of a layer with weights and an accumulator."""
        types = {
            "weight": self.precision(width=(2, 16), unsigned=False),
            "bias": self.precision(width=(2, 16)),
            "accum": self.precision(width=(4, 34)),
            "result": self.precision(),
        }
        return {"Precision": types}


def dense(drawn: Drawn) -> None:
    n_in, n_out = drawn.shape[-1], int(drawn.rng.integers(1, 8))
    settings = drawn.summed()
    if drawn.rng.random() < 0.4:
        factors = [factor for factor in range(1, n_in + 1) if n_in % factor == 0]
        settings |= {"Strategy": "Resource", "ReuseFactor": int(drawn.rng.choice(factors))}
    scale = float(drawn.rng.choice([0.3, 1.0, 3.0]))
    drawn.tensor = drawn.network.dense(
        drawn.name("dense"), drawn.tensor, (n_in, n_out), scale=scale, hls=settings, use_bias=True
    )
    drawn.shape = (*drawn.shape[:-1], n_out)


def normalise(drawn: Drawn) -> None:
    types = {"scale": drawn.precision(width=(3, 14), unsigned=False), "bias": drawn.precision(width=(3, 14))}
    settings = {"Precision": types | {"result": drawn.precision()}}
    drawn.tensor = drawn.network.batch_normalisation(
        drawn.name("norm"), drawn.tensor, drawn.shape[-1], hls=settings, axis=[len(drawn.shape)]
    )


def activate(drawn: Drawn) -> None:
    settings: dict[str, Any] = {"Precision": {"result": drawn.precision()}}
    if drawn.rng.random() < 0.5:
        settings["TableSize"] = int(drawn.rng.choice([64, 512, 1024]))
    drawn.tensor = drawn.network.add(
        "Activation", drawn.name("act"), drawn.tensor, activation=str(drawn.rng.choice(ACTIVATIONS)), hls=settings
    )


def parametrise(drawn: Drawn) -> None:
    kind, name = str(drawn.rng.choice(["LeakyReLU", "ELU", "ThresholdedReLU", "PReLU"])), drawn.name("par")
    types = {"result": drawn.precision(), "param": drawn.precision(width=(4, 12), unsigned=False)}
    config: dict[str, Any] = {
        "LeakyReLU": {"alpha": 0.3},
        "ELU": {"alpha": 0.75},
        "ThresholdedReLU": {"theta": 1.3},
        "PReLU": {"shared_axes": None},
    }[kind]
    if kind == "PReLU":
        drawn.network.weights[name] = {"alpha": drawn.rng.normal(0, 0.5, drawn.shape)}
    drawn.tensor = drawn.network.add(kind, name, drawn.tensor, hls={"Precision": types}, **config)


def softmax(drawn: Drawn) -> None:
    types = {"result": drawn.precision(width=(6, 18)), "accum": drawn.precision(width=(8, 20), unsigned=False)}
    settings = {"Implementation": str(drawn.rng.choice(["stable", "latency", "legacy", "argmax"])), "Precision": types}
    drawn.tensor = drawn.network.add("Activation", drawn.name("soft"), drawn.tensor, activation="softmax", hls=settings)


def merge(drawn: Drawn) -> None:
    """Joined with a cast of itself, so that both sources have their own format."""
    other = drawn.network.add(
        "Activation",
        drawn.name("side"),
        drawn.tensor,
        activation="relu",
        hls={"Precision": {"result": drawn.precision()}},
    )
    kinds = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
    kind = str(drawn.rng.choice([*kinds, "Dot"] if len(drawn.shape) == 1 else kinds))
    settings = {"Precision": {"result": drawn.precision()}}
    config: dict[str, Any] = {}
    if kind == "Concatenate":
        config = {"axis": -1}
    if kind == "Dot":
        config = {"axes": 1, "normalize": False}
        settings["Precision"]["accum"] = drawn.precision(width=(4, 30))
    drawn.tensor = drawn.network.add(kind, drawn.name("merge"), drawn.tensor, other, hls=settings, **config)
    if kind == "Concatenate":
        drawn.shape = (*drawn.shape[:-1], 2 * drawn.shape[-1])
    if kind == "Dot":
        drawn.shape = (1,)


def convolve(drawn: Drawn) -> None:
    window, filters = int(drawn.rng.integers(1, min(3, drawn.shape[0]) + 1)), int(drawn.rng.integers(1, 5))
    stride, padding = int(drawn.rng.integers(1, 3)), str(drawn.rng.choice(["same", "valid"]))
    drawn.tensor = drawn.network.convolution(
        drawn.name("conv"),
        drawn.tensor,
        (window, drawn.shape[1], filters),
        strides=[stride],
        padding=padding,
        hls=drawn.summed(),
    )
    length = drawn.shape[0]
    kept = -(-length // stride) if padding == "same" else (length - window) // stride + 1
    drawn.shape = (kept, filters)


def pool(drawn: Drawn) -> None:
    kind = str(drawn.rng.choice(["Max", "Average"]))
    types = {"result": drawn.precision(), "accum": drawn.precision(width=(6, 20))}
    drawn.tensor = drawn.network.add(
        f"{kind}Pooling1D",
        drawn.name("pool"),
        drawn.tensor,
        pool_size=[2],
        strides=[2],
        padding="valid",
        data_format="channels_last",
        hls={"Precision": types},
    )
    drawn.shape = (drawn.shape[0] // 2, drawn.shape[1])


def turn(drawn: Drawn) -> None:
    drawn.tensor = drawn.network.add("Permute", drawn.name("turn"), drawn.tensor, dims=[2, 1])
    drawn.shape = drawn.shape[::-1]


def flatten(drawn: Drawn) -> None:
    drawn.tensor = drawn.network.add("Reshape", drawn.name("flat"), drawn.tensor, target_shape=[drawn.size])
    drawn.shape = (drawn.size,)


def choices(drawn: Drawn) -> list[Callable[[Drawn], None]]:
    """What may come next at this shape."""
    either: list[Callable[[Drawn], None]] = [normalise, activate, activate, parametrise, merge]
    if len(drawn.shape) == 1:
        return [*either, dense, dense, dense, softmax]
    return [*either, convolve, convolve, turn, flatten, *([pool] if drawn.shape[0] > 1 else [])]


def draw(network: Network, *, seed: int, prefix: str) -> str:
    """Add a random chain of layers to `network` and return the name of its last one."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(3, 7)), int(rng.integers(1, 4))) if rng.random() < 0.4 else (int(rng.integers(2, 9)),)
    drawn = Drawn(network, rng, prefix, f"{prefix}_x", shape)
    network.generator = rng
    network.input(f"{prefix}_x", *shape, precision=drawn.precision(width=(4, 18)))
    for _ in range(int(rng.integers(2, 6))):
        options = choices(drawn)
        options[rng.integers(0, len(options))](drawn)
        if drawn.size > 40:
            break
    return drawn.tensor
