"""Which types a compiled emulator accepts, as its binary says it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping

from emulator.abi.buffer import Buffer
from emulator.abi.cpptype import NotSupported, Structures, parse
from emulator.abi.elf import Elf, NotALibrary
from emulator.abi.manifest import BadManifest

# The function that a std::any of a pointer holds: the library has one for every type that it looks for in an any.
_MANAGER = re.compile(r"_ZNSt3any17_Manager_internalIP(.+)E9_S_manageENS_3_OpEPKS_PNS_4_ArgE")
_SPELLED = re.compile(r"std::any::_Manager_internal<(.+)\*>::_S_manage\(.*")


def accepted_types(elf: Elf, structures: Structures | None = None) -> dict[str, str]:
    """Return canonical spelling of T -> symbol, for every T* that the library looks for.

    Raises `NotALibrary` where it has not got the interface, or hides what it accepts.
    """
    missing = [name for name in ("create_model", "destroy_model") if name not in elf.defined]
    if missing:
        raise NotALibrary(f"it does not export {' and '.join(missing)}: it is not an hls4mlEmulator library")
    symbols = sorted(name for name in elf.defined if _MANAGER.fullmatch(name))
    if not symbols:
        raise NotALibrary(
            "it exports no std::any manager of a pointer (_ZNSt3any17_Manager_internalIP…): a linker script "
            "hides them, or it was built with another standard library than libstdc++; link it without the script"
        )
    return {_canonical(spelled, structures): symbol for symbol, spelled in _demangled(symbols).items()}


def symbol_of(buffer: Buffer, accepted: Mapping[str, str]) -> str:
    """Return the symbol for the type that the manifest declares; raises `BadManifest` that names both."""
    declared = buffer.kind.spelling
    if declared not in accepted:
        raise BadManifest(
            f"the manifest declares {buffer.name} type {declared!r}, the library accepts pointers to "
            f"{', '.join(map(repr, sorted(accepted)))}: correct `type` of `{buffer.name}`"
        )
    return accepted[declared]


def _demangled(symbols: list[str]) -> dict[str, str]:
    """Return symbol -> the T of T*, with the C++ runtime's own demangler."""
    demangle = ctypes.CDLL("libstdc++.so.6")["__cxa_demangle"]
    demangle.restype = ctypes.c_void_p
    libc = ctypes.CDLL(None)
    spelled = {}
    for symbol in symbols:
        status = ctypes.c_int()
        text = demangle(symbol.encode(), None, None, ctypes.byref(status))
        if text is None:
            continue
        found = _SPELLED.fullmatch(ctypes.string_at(text).decode())
        libc.free(ctypes.c_void_p(text))
        if found:
            spelled[symbol] = found[1]
    return spelled


def _canonical(spelled: str, structures: Structures | None) -> str:
    try:
        return parse(spelled, structures).spelling
    except NotSupported:  # a name that we cannot read is still a name
        return spelled
