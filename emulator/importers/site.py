"""One layer's place in the generated C++, with everything a translation needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emulator.formats import Format, Overflow, Raw, quantise
from emulator.graph import NotExact, Tensor
from emulator.importers.cpp import Call, Struct


@dataclass(frozen=True, slots=True)
class Weights:
    """Raw integers as csim stores them, and their format."""

    raw: Raw
    format: Format


@dataclass(frozen=True, slots=True)
class Types:
    """The types of defines.h: the first definition of a name wins, as in hls4ml's writer."""

    spellings: Mapping[str, str]

    def format(self, name: str, layer: str) -> Format:
        """Return the format of a named or spelled type; raises NotExact for anything but ap_[u]fixed and ap_[u]int."""
        try:
            fmt = Format.parse(self.spellings.get(name, name))
        except ValueError as error:
            raise NotExact(layer, f"type {name}: {error}") from error
        if fmt.signed and fmt.width == 1 and fmt.overflow is Overflow.SAT_SYM:
            raise NotExact(layer, f"type {name}: {fmt} holds 0 only, and csim saturates it to -1")
        return fmt

    def is_bit(self, name: str) -> bool:
        """Whether a named or spelled type is the ap_uint<1> that stands for -1 and 1."""
        return self.spellings.get(name, name).removeprefix("ap_") == "uint<1>"

    def is_integer(self, name: str) -> bool:
        """Whether a named or spelled type is an ap_[u]int, which computes in its own way."""
        return self.spellings.get(name, name).removeprefix("ap_").startswith(("int", "uint"))


@dataclass(frozen=True, slots=True)
class Site:
    """A layer: its call, its structs, its tensors, its weights by C++ name.

    Attributes
    ----------
    name
        The layer's name in the trace.
    sources, output
        Tensors as they were declared.
    code
        The C++ that hls4ml wrote for this layer alone, "" for a call of nnet_utils.
    """

    name: str
    call: Call
    structs: Mapping[str, Struct]
    sources: tuple[Tensor, ...]
    output: Tensor
    weights: Mapping[str, Weights]
    types: Types
    code: str = ""

    @property
    def config(self) -> Struct:
        """The struct that the call names last."""
        return self.structs[self.call.types[-1]]

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the source tensors."""
        return tuple(source.name for source in self.sources)

    def format(self, name: str) -> Format:
        """Return the format of the typedef `name` of the configuration."""
        return self.format_of(self.config, name)

    def format_of(self, struct: Struct, name: str) -> Format:
        """Return the format of the typedef `name` of a struct."""
        return self.types.format(struct.types[name], self.name)

    def refuse(self, reason: str) -> NotExact:
        """Return the refusal to raise."""
        return NotExact(self.name, reason)


def stored(variable: Any, types: Types, layer: str) -> Weights:
    """Return a weight variable as csim stores it: printed with as many decimals as the type has fraction bits, then
    read as a double and cast.
    """  # noqa: D205 - one sentence
    if type(variable).__name__ != "StaticWeightVariable" or variable.storage.lower() == "bram":
        raise NotExact(layer, f"weights {variable.name!r} are kept as {type(variable).__name__} in {variable.storage}")
    fmt = types.format(variable.type.name, layer)
    printed: Iterable[str] = iter(variable)
    values = np.array([float(number) for number in printed])
    return Weights(quantise(values, fmt).reshape(variable.data.shape), fmt)
