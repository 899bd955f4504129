"""The C++ types that an emulator's buffers are made of: how they are spelled, and how they lie in memory.

Understood are ap_[u]fixed and ap_[u]int of up to 63 bits, the built-in integers of up to 32, std::array, std::pair, and
structures whose fields are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emulator.formats import Format

MOST_ELEMENTS = 65_536
# In the order of ap_q_mode and ap_o_mode in ap_decl.h: compiled names carry the number.
ROUNDINGS = ("RND", "RND_ZERO", "RND_MIN_INF", "RND_INF", "RND_CONV", "TRN", "TRN_ZERO")
OVERFLOWS = ("SAT", "SAT_ZERO", "SAT_SYM", "WRAP", "WRAP_SM")
_BUILT_IN = {
    "bool": (False, 1),
    "char": (True, 8),  # as on x86-64
    "signed char": (True, 8),
    "unsigned char": (False, 8),
    "short": (True, 16),
    "unsigned short": (False, 16),
    "int": (True, 32),
    "unsigned int": (False, 32),
}
_SAME = {"unsigned": "unsigned int", "int8_t": "signed char", "uint8_t": "unsigned char", "int16_t": "short"}
_SAME |= {"uint16_t": "unsigned short", "int32_t": "int", "uint32_t": "unsigned int"}
_TOKEN = re.compile(r"\s*([<>,()]|[^<>,()]+)")
_ENUMERATOR = re.compile(r"\((?:ap|sc)_([qo])_mode\)(\d+)")

Structures = Mapping[str, Sequence[tuple[str, str]]]


class NotSupported(ValueError):
    """A type that has no raw integers, or whose layout is not known; the message names it."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One integer that stands for a fixed-point number: stored in 1, 2, 4 or 8 bytes, sign-extended."""

    spelling: str
    format: Format

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """How it is stored."""
        size = next(size for size in (1, 2, 4, 8) if 8 * size >= self.format.width)
        return np.dtype(f"{'i' if self.format.signed else 'u'}{size}")


@dataclass(frozen=True, slots=True)
class Array:
    """std::array."""

    element: CppType
    count: int

    @property
    def spelling(self) -> str:
        """The canonical C++ spelling."""
        return f"std::array<{self.element.spelling},{self.count}>"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """How it is stored."""
        return np.dtype((self.element.dtype, (self.count,)))


@dataclass(frozen=True, slots=True)
class Structure:
    """std::pair, or a structure whose fields the manifest gives."""

    spelling: str
    fields: tuple[tuple[str, CppType], ...]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """How it is stored: in the order of declaration, each field aligned as C++ does."""
        return np.dtype([(name, kind.dtype) for name, kind in self.fields], align=True)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type that is only a name here."""

    spelling: str

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Raise `NotSupported`."""
        raise NotSupported(
            f"the layout of {self.spelling!r} is not known: if it is a structure of fixed-point values, give its "
            "fields in the manifest's `structures`; floating-point numbers, pointers and types wider than 63 bits have "
            "no raw integers that could be compared"
        )


CppType = Scalar | Array | Structure | Unknown


def parse(spelling: str, structures: Structures | None = None) -> CppType:
    """Read a type as C++ or a demangler spells it; a name without known layout becomes `Unknown`."""
    return _Reader(spelling, structures or {}).whole()


def leaves(kind: CppType, path: str = "") -> Iterator[tuple[str, Format]]:
    """Yield (path, format) of every scalar in the order of memory; an array's elements share its path."""
    if isinstance(kind, Scalar):
        yield path, kind.format
    elif isinstance(kind, Array):
        yield from leaves(kind.element, path)
    elif isinstance(kind, Structure):
        for name, field in kind.fields:
            yield from leaves(field, f"{path}.{name}" if path else name)
    else:
        _ = kind.dtype  # says why not


class _Reader:
    def __init__(self, spelling: str, structures: Structures) -> None:
        self._spelling = spelling
        self._structures = structures
        self._tokens: list[str] = [token.strip() for token in _TOKEN.findall(spelling)]

    def whole(self) -> CppType:
        kind = self._type()
        if self._tokens:
            raise NotSupported(f"{self._spelling!r} is not a C++ type: {self._tokens[0]!r} is left over")
        return kind

    def _type(self) -> CppType:
        name = self._next()
        arguments = self._arguments() if self._tokens and self._tokens[0] == "<" else None
        return self._made(name, arguments)

    def _arguments(self) -> list[str]:
        """Return the texts between the brackets, split at this level's commas."""
        self._next()
        found, depth, text = [], 0, ""
        while depth >= 0:
            part = self._next()
            depth += (part == "<") - (part == ">")
            if depth < 0 or (part == "," and depth == 0):
                found.append(text)
                text = ""
            else:
                text += part
        return found

    def _next(self) -> str:
        if not self._tokens:
            raise NotSupported(f"{self._spelling!r} is not a C++ type: it ends too early")
        return self._tokens.pop(0)

    def _made(self, name: str, arguments: list[str] | None) -> CppType:
        spelling = name if arguments is None else f"{name}<{','.join(arguments)}>"
        name = _SAME.get(name, name)
        if spelling in self._structures:
            return self._structure(spelling, self._structures[spelling])
        if name in _BUILT_IN and arguments is None:
            signed, width = _BUILT_IN[name]
            return Scalar(name, Format.parse(f"ap_{'' if signed else 'u'}int<{width}>"))
        if arguments is not None and name in {"ap_fixed", "ap_ufixed", "ap_int", "ap_uint"}:
            return _fixed_point(name, arguments)
        if arguments is not None and len(arguments) == 2 and name in {"std::array", "std::pair"}:
            return self._array(arguments) if name == "std::array" else self._pair(arguments)
        return Unknown(spelling)

    def _array(self, arguments: list[str]) -> CppType:
        count = arguments[1].rstrip("ul")
        if not count.isdecimal() or not 0 < int(count) <= MOST_ELEMENTS:
            raise NotSupported(f"{self._spelling!r}: an array has 1 to {MOST_ELEMENTS} elements, not {arguments[1]!r}")
        return Array(parse(arguments[0], self._structures), int(count))

    def _pair(self, arguments: list[str]) -> CppType:
        first, second = (parse(argument, self._structures) for argument in arguments)
        return Structure(f"std::pair<{first.spelling},{second.spelling}>", (("first", first), ("second", second)))

    def _structure(self, spelling: str, fields: Sequence[tuple[str, str]]) -> CppType:
        others = {name: given for name, given in self._structures.items() if name != spelling}
        return Structure(spelling, tuple((name, parse(kind, others)) for name, kind in fields))


def _fixed_point(name: str, arguments: list[str]) -> CppType:
    written = [_ENUMERATOR.sub(_named, argument) for argument in arguments]
    spelling = f"{name}<{','.join(written)}>"
    try:
        form = Format.parse(spelling)
    except ValueError:
        return Unknown(spelling)
    canonical = str(form) if name.endswith("fixed") else f"{name}<{form.width}>"
    return Scalar(canonical, form)


def _named(found: re.Match[str]) -> str:
    names = ROUNDINGS if found[1] == "q" else OVERFLOWS
    return f"AP_{names[int(found[2])]}" if int(found[2]) < len(names) else found[0]
