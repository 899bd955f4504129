"""The integer program: layers with raw integer weights and formats, and nothing that a float could blur."""

from emulator.graph.activations import Cast, Curve, Hard, Quantiser, Rectifier, Sign, Softmax, Table
from emulator.graph.merges import Concatenate, Dot, Merge
from emulator.graph.program import KINDS, Layer, NotExact, Program
from emulator.graph.sums import Dense, Pool, Scale, Select
from emulator.graph.tensor import Tensor
from emulator.graph.trees import Trees

__all__ = [
    "KINDS",
    "Cast",
    "Concatenate",
    "Curve",
    "Dense",
    "Dot",
    "Hard",
    "Layer",
    "Merge",
    "NotExact",
    "Pool",
    "Program",
    "Quantiser",
    "Rectifier",
    "Scale",
    "Select",
    "Sign",
    "Softmax",
    "Table",
    "Tensor",
    "Trees",
]
