import json
from pathlib import Path
from typing import Any

import pytest

from emulator.abi.manifest import BadManifest, Manifest

PAIR = "std::pair<std::array<ap_fixed<10,7>,8>,ap_ufixed<18,14>>"
WHOLE: dict[str, Any] = {
    "schema": "trigwatch-emulator/1",
    "label": "axol1tl_v4",
    "sha256": "ab" * 32,
    "input": {"type": "ap_fixed<18,13>", "length": 57},
    "output": {"type": PAIR, "columns": ["second", "first"]},
    "threshold": 400,
    "preload": ["libemulator_interface.so"],
    "deadline": 2,
}


def test_a_manifest_says_what_the_binary_interface_does_not() -> None:
    manifest = Manifest.from_json(WHOLE)
    assert [(t.name, t.shape, str(t.format)) for t in manifest.input.tensors] == [
        ("input", (57,), "ap_fixed<18,13,AP_TRN,AP_WRAP>")
    ]
    assert [(t.name, t.shape) for t in manifest.output.tensors] == [("second", (1,)), ("first", (8,))]
    assert (manifest.threshold, manifest.preload, manifest.deadline) == (400, ("libemulator_interface.so",), 2.0)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(Manifest.from_json(WHOLE).to_bytes())
    assert Manifest.read(tmp_path / "m.json") == Manifest.from_json(WHOLE)


def test_label_and_patience_are_not_part_of_the_identity_and_everything_else_is() -> None:
    identity = Manifest.from_json(WHOLE).identity()
    assert Manifest.from_json({**WHOLE, "label": "other", "deadline": 1}).identity() == identity
    for change in (
        {"threshold": 401},
        {"sha256": "cd" * 32},
        {"preload": []},
        {"input": {"type": "ap_fixed<18,13>", "length": 56}},
        {"output": {"type": PAIR, "columns": ["second"]}},
    ):
        assert Manifest.from_json({**WHOLE, **change}).identity() != identity


INPUT = WHOLE["input"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "trigwatch-emulator/9"}, "schema is 'trigwatch-emulator/9', this version reads"),
        ({"colour": "red"}, "unknown fields colour; known are deadline"),
        ({"input": {**INPUT, "size": 3}}, "`input` has unknown fields size"),
        ({"label": None}, "field 'label' is None, not str"),
        ({"sha256": "abc"}, "`sha256` is 'abc': give the 64 hexadecimal digits"),
        ({"threshold": 1.5}, "field 'threshold' is 1.5, not int"),
        ({"threshold": True}, "field 'threshold' is True, not int"),
        ({"input": {"length": 57}}, "field 'type' is missing"),
        ({"input": {"type": "float", "length": 57}}, "`input`: the layout of 'float' is not known"),
        ({"input": {"type": "int", "length": 0}}, "has 1 to 65536 elements, not 0"),
        ({"input": {"type": "std::array<int", "length": 1}}, "is not a C"),
        ({"input": {**INPUT, "recorded": "ap_int<14>"}}, "ap_fixed<18,13,AP_TRN,AP_WRAP> cannot hold every value of"),
        ({"input": {**INPUT, "recorded": "float"}}, "`input`: 'float' is not ap_"),
        ({"input": {"type": PAIR, "columns": ["first"]}}, "leaves fields out"),
        ({"output": {"type": "ap_int<9>", "recorded": "ap_int<8>"}}, "cannot hold every value of"),
        ({"output": {"type": PAIR, "columns": ["loss"]}}, "has no field 'loss', only first, second"),
        ({"output": {"type": PAIR, "columns": "second"}}, "give a list of field names"),
        ({"structures": {"R": []}}, "structure 'R' has fields"),
        ({"structures": {"R": [["a", "int"], ["a", "int"]]}}, "give each a name of its own"),
        ({"structures": [1]}, "`structures` is not"),
        ({"preload": "libx.so"}, "give a list of file names"),
        ({"preload": ["../libx.so"]}, "give the name only"),
        ({"preload": ["golden"]}, "is a file of the card"),
        ({"deadline": 0}, "`deadline` is 0"),
    ],
)
def test_what_a_manifest_cannot_say_is_refused_by_name(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(json.dumps({**WHOLE, **change}))
    with pytest.raises(BadManifest, match=r"m\.json: ") as caught:
        Manifest.read(file)
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(BadManifest, match=r"m\.json: "):
        Manifest.read(tmp_path / "m.json")


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"none\.json cannot be read: No such file"):
        Manifest.read(tmp_path / "none.json")
