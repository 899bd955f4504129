"""A C++ translation unit under construction: constants, tensors, one statement a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.gemm_signal import Signal, checked, planned_cast
from emulator.formats import Format, rounded

_NARROW = 1 << 30
_BYTES: Mapping[str, int] = {"int16_t": 2, "int32_t": 4, "int64_t": 8, "double": 8}


def kind_of(signal: Signal) -> str:
    """Return the narrowest C++ type that a tensor of this signal is kept in."""
    for bits in (16, 32):
        if -(1 << (bits - 1)) <= signal.low and signal.high < 1 << (bits - 1):
            return f"int{bits}_t"
    return "int64_t"


def working(*reaches: int) -> str:
    """Return the narrowest C++ type in which sums and shifts of these magnitudes are exact."""
    return "int32_t" if max(reaches) < _NARROW else "int64_t"


@dataclass(frozen=True, slots=True)
class Casting:
    """A cast as C++: `call` is a template to apply to a value of type `kind` or wider."""

    kind: str
    call: str

    @classmethod
    def of(cls, source: Signal, target: Format, layer: str) -> Casting:
        """Spell the cast of a signal into a format; what the range proves impossible is not looked for."""
        checked(source, layer)
        drop = source.fraction - target.fraction
        reach = source.reach + 1
        if drop >= 0:
            ends = np.array([source.low, source.high])
            ends = rounded(ends, drop, target.rounding) if drop else ends
            inside = Signal(int(ends[0]), int(ends[1]), target.fraction)
        else:
            inside = source.shifted(min(-drop, 64))
            reach = max(reach, inside.reach if inside.fits(target) else 0)
        overflow = "FITS" if inside.fits(target) else target.overflow.value
        kind = working(reach, Signal.of(target).reach) if abs(drop) < 31 else "int64_t"
        return cls(kind, f"cast<{drop}, {target.rounding.value}, {overflow}, {target.width}, {flag(target.signed)}>")


def flag(value: bool) -> str:  # noqa: FBT001 - spells it
    """Spell a bool."""
    return "true" if value else "false"


def limit(target: Format) -> str:
    """Return the C++ template that brings a value with the target's fraction into its range."""
    return f"limited<{target.overflow.value}, {target.width}, {flag(target.signed)}>"


@dataclass(frozen=True, slots=True)
class Target:
    """The processor that the code is for.

    Attributes
    ----------
    register
        Bytes in a vector register.
    bytewise
        Whether four products of bytes are added to 32 bits in one instruction.
    """

    register: int
    bytewise: bool

    @property
    def together(self) -> int:
        """Outputs of a sum that are worked on at once: their accumulators fill about half of the registers."""
        return 8 if self.register == 64 else 4


def wider(*kinds: str) -> str:
    """Return the widest of C++ integer types."""
    return max(kinds, key=lambda kind: _BYTES[kind])


@dataclass(slots=True)
class Unit:
    """What was declared so far. `tensors` maps a tensor's name to its C++ name, element type and number of elements."""

    target: Target
    constants: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    tensors: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    signals: dict[str, Signal] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    room: int = 0
    bytes_per_event: int = 0

    def tensor(self, name: str, signal: Signal, size: int) -> None:
        """Declare a tensor of `size` elements an event."""
        kind, known = kind_of(signal), f"t{len(self.tensors)}"
        self.tensors[name] = known, kind, size
        self.signals[name] = signal
        self.members.append(f"Row<{kind}> {known}[{size}];")
        self.bytes_per_event += size * _BYTES[kind]

    def place(self, name: str) -> str:
        """Return the C++ expression of a tensor."""
        return f"t.{self.tensors[name][0]}"

    def array(self, kind: str, values: NDArray[Any]) -> str:
        """Declare a constant array and return its C++ name."""
        flat = np.asarray(values).reshape(-1).tolist()
        ending = {"int64_t": "LL", "uint32_t": "u"}.get(kind, "")
        listed = ", ".join(_literal(int(value), kind, ending) for value in flat)
        return self._constant(f"alignas(64) const {kind} @[{max(1, len(flat))}] = {{{listed}}};")

    def function(self, arguments: str, result: str) -> str:
        """Declare a function of an expression and return its C++ name."""
        return self._constant(f"constexpr auto @ = []({arguments}) {{ return {result}; }};")

    def _constant(self, declaration: str) -> str:
        """Declare a constant where `@` is its name, or find the equal one: steps that repeat are compiled once."""
        name = self.names.setdefault(declaration, f"c{len(self.names)}")
        if len(self.names) > len(self.constants):
            self.constants.append(declaration.replace("@", name))
        return name

    def places(self, gather: NDArray[np.int64], size: int) -> str:
        """Declare elements to be read from a tensor of `size` and return the C++ name; -1 reads 0."""
        return self.array("uint32_t", checked_places(gather, size) % (1 << 32))

    def workspace(self, kind: str, rows: int) -> str:
        """Return the C++ expression of `rows` rows that live until the next layer."""
        self.room = max(self.room, rows * _BYTES[kind])
        return f"reinterpret_cast<Row<{kind}> *>(t.workspace)"

    def say(self, statement: str) -> None:
        """Add a statement."""
        self.statements.append(statement)


def cast_signal(source: Signal, target: Format, layer: str) -> Signal:
    """Return what is known of a value after a cast."""
    return planned_cast(source, target, layer)[1]


def checked_places(gather: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return `gather`; raises ValueError for a place outside of -1 to size-1: compiled code would not notice."""
    if gather.size and (gather.min() < -1 or gather.max() >= size):
        raise ValueError(f"elements {gather.min()} to {gather.max()} are read from a tensor of {size} elements")
    return gather


def _literal(value: int, kind: str, ending: str) -> str:
    if kind == "int64_t" and value == -(1 << 63):
        return "INT64_MIN"
    if kind == "int32_t" and value == -(1 << 31):
        return "INT32_MIN"
    return f"{value}{ending}"
