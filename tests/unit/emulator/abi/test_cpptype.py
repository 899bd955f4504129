import subprocess
from pathlib import Path

import numpy as np
import pytest

from emulator.abi.cpptype import OVERFLOWS, ROUNDINGS, NotSupported, Structure, Unknown, leaves, parse
from emulator.formats import Format, Overflow, Rounding
from tests.emulators.build import HERE, ap_types


@pytest.mark.csim
def test_sizes_and_alignments_are_those_of_the_compiler(tmp_path: Path) -> None:
    command = ["g++", "-std=c++17", "-w", f"-I{ap_types()}", str(HERE / "layouts.cpp"), "-o", "layouts"]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "layouts"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 19
    for line in said:
        size, alignment, spelling = line.split(" ", 2)
        dtype = parse(spelling).dtype
        assert (dtype.itemsize, dtype.base.alignment) == (int(size), int(alignment)), spelling


def test_a_type_as_people_and_as_a_demangler_write_it_is_the_same_type() -> None:
    people = "std::pair<std::array<ap_fixed<10,7,AP_RND_CONV,AP_SAT>,8>, ap_ufixed<18,14>>"
    demangler = (
        "std::pair<std::array<ap_fixed<10, 7, (ap_q_mode)4, (ap_o_mode)0, 0>, 8ul>, "
        "ap_ufixed<18, 14, (ap_q_mode)5, (ap_o_mode)3, 0> >"
    )
    assert parse(people) == parse(demangler)
    assert parse("uint16_t") == parse("unsigned short")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ap_fixed<18,13>", "ap_ufixed<18,13>"),
        ("ap_fixed<18,13>", "ap_fixed<18,13,AP_RND>"),
        ("ap_fixed<18,18>", "ap_int<18>"),
        ("ap_int<32>", "int"),
        ("std::array<int,3>", "std::array<int,4>"),
    ],
)
def test_types_that_differ_in_anything_are_different(left: str, right: str) -> None:
    assert parse(left).spelling != parse(right).spelling


def test_every_rounding_and_overflow_has_its_number() -> None:
    assert set(ROUNDINGS) == set(Rounding)
    assert set(OVERFLOWS) == {*Overflow, "WRAP_SM"}


def test_the_fields_of_a_structure_are_named_in_the_order_of_memory() -> None:
    kind = parse("n::R", {"n::R": [("a", "std::array<ap_uint<3>,2>"), ("b", "std::pair<int,ap_fixed<8,3>>")]})
    assert isinstance(kind, Structure)
    assert [(path, str(form)) for path, form in leaves(kind)] == [
        ("a", str(Format.parse("ap_uint<3>"))),
        ("b.first", str(Format.parse("ap_int<32>"))),
        ("b.second", "ap_fixed<8,3,AP_TRN,AP_WRAP>"),
    ]
    assert kind.dtype.itemsize == 12


@pytest.mark.parametrize("spelling", ["float", "long", "ap_fixed<64,32>", "ap_fixed<8,3,AP_TRN,AP_WRAP_SM>", "n::R"])
def test_a_type_without_raw_integers_or_known_layout_is_refused_by_name(spelling: str) -> None:
    kind = parse(spelling)
    assert isinstance(kind, Unknown)
    with pytest.raises(NotSupported, match=r"layout of '.*' is not known.*`structures`"):
        np.zeros(1, kind.dtype)


def test_a_structure_that_holds_itself_has_no_layout() -> None:
    with pytest.raises(NotSupported, match="layout of 'R' is not known"):
        _ = parse("R", {"R": [("a", "R")]}).dtype


@pytest.mark.parametrize(
    "spelling", ["", "std::array<int", "std::array<int,3>>", "std::array<int,0>", "std::array<int,x>", "int,"]
)
def test_what_is_no_type_is_refused(spelling: str) -> None:
    with pytest.raises(NotSupported):
        parse(spelling)
