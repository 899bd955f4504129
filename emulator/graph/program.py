"""A whole network as an integer program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emulator.graph.activations import Cast, Curve, Hard, Quantiser, Rectifier, Sign, Softmax, Table
from emulator.graph.merges import Concatenate, Dot, Merge
from emulator.graph.sums import Dense, Pool, Scale, Select
from emulator.graph.tensor import Tensor
from emulator.graph.trees import Trees

Layer = (
    Cast
    | Concatenate
    | Curve
    | Dense
    | Dot
    | Hard
    | Merge
    | Pool
    | Quantiser
    | Rectifier
    | Scale
    | Select
    | Sign
    | Softmax
    | Table
    | Trees
)

KINDS: Mapping[str, type[Layer]] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(Cast, Concatenate, Curve, Dense, Dot, Hard, Merge, Pool, Quantiser, Rectifier),
            *(Scale, Select, Sign, Softmax, Table, Trees),
        )
    }
)
"""Every kind of layer by its name. Fields hold str, int, bool, None, Format, Tensor, tuples of str, int64 arrays."""


class NotExact(ValueError):
    """A layer that the integer program cannot express bit for bit: the card falls to csim, said aloud."""

    def __init__(self, layer: str, reason: str) -> None:
        super().__init__(f"layer {layer!r} has no exact integer program: {reason}")
        self.layer = layer
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Layers in the order in which they run.

    Attributes
    ----------
    inputs
        The model's inputs; a raw input row is these, flattened in C order and laid end to end.
    layers
        Each reads tensors that inputs or earlier layers wrote; `name` is the trace's name.
    outputs
        Names of the tensors that make the score, laid end to end.
    """

    inputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        known = {tensor.name for tensor in self.inputs}
        for layer in self.layers:
            self._check(layer.name, layer.sources, known)
            known.add(layer.output.name)
        self._check("the program's outputs", self.outputs, known)

    @staticmethod
    def _check(reader: str, names: tuple[str, ...], known: set[str]) -> None:
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(f"{reader} reads {missing}, which no input or earlier layer writes: order the layers")

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by its name."""
        return {tensor.name: tensor for tensor in (*self.inputs, *(layer.output for layer in self.layers))}

    @property
    def output_tensors(self) -> tuple[Tensor, ...]:
        """The tensors that make the score."""
        tensors = self.tensors()
        return tuple(tensors[name] for name in self.outputs)

    @property
    def n_inputs(self) -> int:
        """Number of raw inputs per event."""
        return sum(tensor.size for tensor in self.inputs)

    @property
    def n_outputs(self) -> int:
        """Number of raw outputs per event."""
        return sum(tensor.size for tensor in self.output_tensors)
