import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from emulator.abi.accepted import accepted_types
from emulator.abi.elf import NotALibrary, read_elf

pytestmark = pytest.mark.csim


@pytest.mark.skipif(shutil.which("nm") is None, reason="compares with binutils' nm")
def test_the_defined_symbols_are_those_that_nm_lists(libraries: Path) -> None:
    for library in sorted(libraries.glob("*.so")):
        listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
        names = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
        assert names
        assert read_elf(library.read_bytes()).defined == names


def test_the_accepted_types_are_spelled_as_in_cpp(libraries: Path) -> None:
    accepted = accepted_types(read_elf((libraries / "good.so").read_bytes()))
    assert sorted(accepted) == [
        "ap_fixed<18,13,AP_TRN,AP_WRAP>",
        "std::pair<std::array<ap_fixed<10,7,AP_RND_CONV,AP_SAT>,4>,ap_ufixed<18,14,AP_TRN,AP_WRAP>>",
    ]


def test_the_compiler_is_named(libraries: Path) -> None:
    assert re.search(r"\d+\.\d+", read_elf((libraries / "good.so").read_bytes()).compiler)


def test_a_library_that_hides_what_it_accepts_is_refused(libraries: Path) -> None:
    with pytest.raises(NotALibrary, match=r"no std::any manager.*linker script"):
        accepted_types(read_elf((libraries / "mute.so").read_bytes()))


def test_hidden_visibility_does_not_hide_what_belongs_to_the_standard_library(libraries: Path) -> None:
    hidden, good = (accepted_types(read_elf((libraries / f"{name}.so").read_bytes())) for name in ("hidden", "good"))
    assert hidden == good


def test_a_library_without_the_interface_is_refused(libraries: Path) -> None:
    with pytest.raises(NotALibrary, match="does not export create_model and destroy_model"):
        accepted_types(read_elf((libraries / "libemulator_interface.so").read_bytes()))


def test_what_is_no_library_for_this_machine_is_refused(libraries: Path) -> None:
    good = (libraries / "good.so").read_bytes()
    with pytest.raises(NotALibrary, match="which no ELF library does"):
        read_elf(b"#!/bin/sh")
    with pytest.raises(NotALibrary, match="not little-endian 64-bit"):
        read_elf(good[:4] + b"\x01" + good[5:])
    other = 183 if good[18] == 62 else 62
    with pytest.raises(NotALibrary, match=r"was built for \w+, this machine is"):
        read_elf(good[:18] + bytes([other, 0]) + good[20:])
    with pytest.raises(NotALibrary, match="not a shared library"):
        read_elf(good[:16] + b"\x02\x00" + good[18:])


def test_every_cut_of_a_library_is_refused_or_lacks_what_is_needed(libraries: Path) -> None:
    good = (libraries / "good.so").read_bytes()
    for size in range(0, len(good), 997):
        with pytest.raises(NotALibrary):
            accepted_types(read_elf(good[:size]))


def test_a_damaged_library_is_read_or_refused_and_nothing_else(libraries: Path) -> None:
    good, rng, refused = (libraries / "good.so").read_bytes(), np.random.default_rng(3), 0
    tables = np.r_[0:64, len(good) - 2048 : len(good)]  # the head and the section headers
    for _ in range(2000):
        content = bytearray(good)
        content[int(rng.choice(tables))] ^= 1 << int(rng.integers(8))
        try:
            accepted_types(read_elf(bytes(content)))
        except NotALibrary:
            refused += 1
    assert 20 < refused < 2000
