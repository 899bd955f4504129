"""What a compiled library says about itself: its dynamic symbols and its compiler, read from the ELF file.

The tools that could be asked instead (nm, readelf) need not be there at run time.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass

MACHINES = {62: "x86_64", 183: "aarch64", 243: "riscv64"}
_HEAD = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNSYM = 11
_SHARED = 3


class NotALibrary(ValueError):
    """Bytes that are no shared library for this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Elf:
    """The parts of a shared library that we look at.

    Attributes
    ----------
    defined
        Names of the dynamic symbols that the library itself defines.
    compiler
        What its compilers wrote into it ("GCC: (GNU) 12.2.0"), "" if nothing.
    """

    defined: frozenset[str]
    compiler: str


@dataclass(frozen=True, slots=True)
class _Section:
    name: int
    kind: int
    content: bytes
    link: int


def read_elf(content: bytes) -> Elf:
    """Read a little-endian 64-bit shared library for this machine; raises `NotALibrary`."""
    try:
        sections, names = _sections(content)
        symbols = frozenset(
            _text(sections[table.link].content, name)
            for table in sections
            if table.kind == _DYNSYM
            for name, _, _, section, _, _ in _SYMBOL.iter_unpack(table.content)
            if section != 0
        )
        said = [section.content for section in sections if _text(names, section.name) == ".comment"]
    except NotALibrary:
        raise
    except (struct.error, LookupError, ValueError) as error:
        raise NotALibrary(f"its ELF tables are damaged ({error}): it was cut or changed; copy it again") from error
    comment = b"; ".join(part for part in b"".join(said).split(b"\0") if part)
    return Elf(defined=symbols, compiler=comment.decode(errors="replace"))


def _sections(content: bytes) -> tuple[list[_Section], bytes]:
    if content[:4] != b"\x7fELF":
        raise NotALibrary(f"it starts with {content[:4]!r}, which no ELF library does: name the emulator's .so file")
    if content[4:6] != b"\x02\x01":
        raise NotALibrary("it is not little-endian 64-bit ELF: build it for this machine")
    _, kind, machine, _, _, _, start, _, _, _, _, size, count, names = _HEAD.unpack_from(content)
    here = platform.machine()
    if MACHINES.get(machine, here) != here:
        raise NotALibrary(f"it was built for {MACHINES[machine]}, this machine is {here}: build it for this machine")
    if kind != _SHARED or not count:
        raise NotALibrary("it is not a shared library with section headers: build it with -shared and do not sstrip it")
    found = [_section(content, start + i * size) for i in range(count)]
    return found, found[names].content


def _section(content: bytes, at: int) -> _Section:
    name, kind, _, _, offset, size, link, _, _, _ = _SECTION.unpack_from(content, at)
    occupies_nothing = kind == 8  # .bss and the like
    return _Section(name, kind, b"" if occupies_nothing else content[offset : offset + size], link)


def _text(table: bytes, start: int) -> str:
    return table[start : table.index(b"\0", start)].decode(errors="replace") if start < len(table) else ""
