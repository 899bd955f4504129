"""What hls4ml's generated C++ says about a layer: the call, and the structs that configure it.

The graph does not tell everything (softmax's norm type is fixed in the template's formatter), so the importer reads
what the compiler will read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CALL = re.compile(r"nnet::(\w+)<(.*?)>\((.*)\);")
_STRUCT = re.compile(r"struct (\w+)[^{;]*\{(.*?)\n\};", re.DOTALL)
_CONSTANT = re.compile(r"static const(?:expr)? [\w:]+ (\w+)\s*=\s*([^;]+);")
_TYPE = re.compile(r"typedef ([^;]+) (\w+);")
_MEMBER = re.compile(r"static const ([\w:<>, ]+) (\w+);")
_ALIAS = re.compile(r"using (\w+) = ([^;]+);")
_OUTSIDE = re.compile(r"const [^;=]* (\w+)::(\w+) = ([^;{]+);")
_ARRAY = re.compile(r"(\w+)\[\d+\] = \{([^}]*)\};")


@dataclass(frozen=True, slots=True)
class Call:
    """`nnet::function<types>(arguments);`."""

    function: str
    types: tuple[str, ...]
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Struct:
    """A configuration struct: `constants` as spelled, `types` from typedef and of members, `aliases` from using."""

    constants: Mapping[str, str]
    types: Mapping[str, str]
    aliases: Mapping[str, str]

    def integer(self, name: str) -> int:
        """Return a constant as an integer; raises KeyError or ValueError."""
        return int(self.constants[name])

    def flag(self, name: str) -> bool:
        """Return a bool constant."""
        return self.constants[name].lower() in ("true", "1")


def parse_call(text: str) -> Call | None:
    """Return the one call of a layer's function code, or None where it is anything else."""
    found = _CALL.fullmatch(text.strip())
    if found is None:
        return None
    return Call(found[1], _listed(found[2]), _listed(found[3]))


def parse_structs(text: str) -> dict[str, Struct]:
    """Return the structs of a layer's configuration code by name."""
    structs = {}
    for name, body in _STRUCT.findall(text):
        constants = {key: value.strip() for key, value in _CONSTANT.findall(body)}
        constants |= {key: value.strip() for owner, key, value in _OUTSIDE.findall(text) if owner == name}
        constants |= {key.removeprefix(f"{name}_"): value for key, value in _ARRAY.findall(text)}
        types = {key: value.strip() for value, key in (*_TYPE.findall(body), *_MEMBER.findall(body))}
        structs[name] = Struct(constants, types, dict(_ALIAS.findall(body)))
    return structs


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))
