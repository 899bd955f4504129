"""No card that was cut, edited or made up is used; each is refused with a message, never with a traceback of json."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.card import BrokenCard, Card, Certificate, digest_of
from emulator.card_files import Contents, Golden, read, write
from emulator.formats import Format
from emulator.graph import Cast, Program, Tensor
from emulator.pack import MAGIC, pack

Spoil = Callable[[Path], None]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    x = Tensor("x", (2,), Format(True, 16, 8))
    network = Program((x,), (Cast("out", ("x",), Tensor("y", (2,), Format(True, 8, 4))),), ("y",))
    described = Card(
        label="v1",
        digest=digest_of(network, layout=None, threshold=None),
        layout=None,
        inputs=network.inputs,
        outputs=network.output_tensors,
        threshold=None,
        certificate=Certificate("hls4ml 0 csim", "Vivado", {}, "g++", "gemm", 1, 1, 0, 1),
        falls_to=None,
        provenance={},
        path=tmp_path / "v1",
    )
    inputs = np.arange(512).reshape(-1, 2)
    write(Contents(described, network, Golden(inputs, inputs >> 4), {"bridge.cpp": b"int x;"}))
    return tmp_path / "v1"


def edit(**changes: Any) -> Spoil:
    def spoil(path: Path) -> None:
        document = json.loads((path / "card.json").read_text())
        document.update(changes)
        (path / "card.json").write_text(json.dumps(document))

    return spoil


def drop(field: str) -> Spoil:
    def spoil(path: Path) -> None:
        document = json.loads((path / "card.json").read_text())
        del document[field]
        (path / "card.json").write_text(json.dumps(document))

    return spoil


def replace(name: str, content: bytes, *, listed: bool = True) -> Spoil:
    """Put other content into a file; `listed` corrects its SHA-256 in card.json, as an attacker would."""

    def spoil(path: Path) -> None:
        (path / name).write_bytes(content)
        document = json.loads((path / "card.json").read_text())
        if listed:
            document["files"][name] = hashlib.sha256(content).hexdigest()
        (path / "card.json").write_text(json.dumps(document))

    return spoil


BROKEN: dict[str, tuple[Spoil, str]] = {
    "no directory": (shutil.rmtree, r"card\.json is missing"),
    "no card.json": (lambda path: (path / "card.json").unlink(), r"card\.json is missing"),
    "no program": (lambda path: (path / "program").unlink(), r"program is missing"),
    "no golden vectors": (lambda path: (path / "golden").unlink(), r"golden is missing"),
    "no sources": (lambda path: (path / "csim.tar.xz").unlink(), r"csim\.tar\.xz is missing"),
    "a directory for a file": (
        lambda path: ((path / "golden").unlink(), (path / "golden").mkdir())[0],
        r"golden cannot be read",
    ),
    "card.json is empty": (lambda path: (path / "card.json").write_bytes(b""), r"card\.json cannot be read"),
    "card.json is not UTF-8": (
        lambda path: (path / "card.json").write_bytes(b"\xff\xfe{"),
        r"card\.json cannot be read",
    ),
    "card.json is a list": (lambda path: (path / "card.json").write_bytes(b"[]"), r"schema is 'list'"),
    "card.json is deep": (lambda path: (path / "card.json").write_bytes(b"[" * 10**5), r"card\.json cannot be read"),
    "card.json of the future": (edit(schema="trigwatch-card/9"), r"schema is 'trigwatch-card/9'"),
    "no digest": (drop("digest"), "field 'digest' is missing"),
    "another digest": (edit(digest="sha256:" + "0" * 64), "says digest sha256:000"),
    "a threshold lowered by hand": (edit(threshold=5), "says digest"),
    "a threshold of text": (edit(threshold="5"), "field 'threshold' is '5', not a int"),
    "a threshold of true": (edit(threshold=True), "field 'threshold' is True"),
    "a layout of nonsense": (edit(layout=[{"name": "jet"}]), "object group 1 "),
    "a layout of numbers": (edit(layout=[1]), "object group 1 "),
    "another input format": (
        edit(inputs=[{"name": "x", "shape": [2], "format": "ap_fixed<18,8>"}]),
        "other input or output tensors",
    ),
    "an input format of nonsense": (edit(inputs=[{"name": "x", "shape": [2], "format": "float"}]), "'float' is not"),
    "an endless input": (edit(inputs=[{"name": "x", "shape": [2**40], "format": "ap_int<8>"}]), "shape"),
    "an input that is a number": (edit(inputs=[3]), "does not describe a tensor"),
    "a certificate that lacks its counts": (edit(certificate={"reference": "me"}), "certificate lacks"),
    "files is a list": (edit(files=[]), "field 'files'"),
    "a file not listed": (edit(files={}), "does not list the file"),
    "a program cut short": (replace("program", b"TWE1", listed=False), "other content than card.json recorded"),
    "a program of nothing": (replace("program", b""), "not a packed value"),
    "a program with a huge head": (replace("program", MAGIC + b"\xff" * 8), "it was cut"),
    "a program of another schema": (replace("program", pack({"schema": "x"}, {})), "schema is 'x'"),
    "a program without layers": (
        replace("program", pack({"schema": "trigwatch-program/1"}, {})),
        "not describe a program",
    ),
    "a program with an unknown layer": (
        replace(
            "program",
            pack({"schema": "trigwatch-program/1", "inputs": [], "layers": [{"kind": "Eval"}], "outputs": []}, {}),
        ),
        "layer kind 'Eval'",
    ),
    "a program with a tensor of terabytes": (
        replace(
            "program",
            pack(
                {
                    "schema": "trigwatch-program/1",
                    "inputs": [{"tensor": "x", "shape": [2**21, 2**21], "format": "ap_int<8>"}],
                    "layers": [],
                    "outputs": ["x"],
                },
                {},
            ),
        ),
        r"no tensor has shape \(2097152, 2097152\)",
    ),
    "an array of a type that numpy would choke on": (
        replace("program", MAGIC + (24).to_bytes(8, "little") + b'[{},[["w","<u07",[1]]]]\n'),
        "'<u07', which is not a plain number",
    ),
    "an array larger than the file": (
        replace("program", MAGIC + (41).to_bytes(8, "little") + b'[{},[["w","<i8",[999999999999999,99999]]]]'[:41]),
        "damaged|was cut",
    ),
    "an array of objects": (
        replace("program", MAGIC + (22).to_bytes(8, "little") + b'[{},[["w","|O",[1]]]]\n'),
        "not a plain number",
    ),
    "golden vectors of another width": (
        replace("golden", pack({}, {"inputs": np.zeros((4, 3), np.int8), "scores": np.zeros((4, 2), np.int8)})),
        "do not fit the card",
    ),
    "no golden vector": (
        replace("golden", pack({}, {"inputs": np.zeros((0, 2), np.int8), "scores": np.zeros((0, 2), np.int8)})),
        "do not fit the card",
    ),
    "golden vectors of no dimension": (
        replace("golden", pack({}, {"inputs": np.int8(0).reshape(()), "scores": np.int8(0).reshape(())})),
        "do not fit the card",
    ),
    "sources of nonsense": (replace("csim.tar.xz", b"not an archive"), "not an archive"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_card_is_refused_with_its_name_and_a_remedy(card: Path, name: str) -> None:
    spoil, said = BROKEN[name]
    spoil(card)
    with pytest.raises(BrokenCard, match=said) as refused:
        read(card)
    assert str(card) in str(refused.value)
    assert any(word in str(refused.value) for word in ("restore", "import", "name the directory", "check the path"))


def test_every_cut_of_every_file_is_refused(card: Path) -> None:
    for file in list(card.iterdir()):
        whole = file.read_bytes()
        for length in {0, 1, len(whole) // 2, len(whole) - 2}:
            file.write_bytes(whole[:length])
            with pytest.raises(BrokenCard):
                read(card)
        file.write_bytes(whole)
    read(card)


def test_every_flipped_byte_of_the_program_is_refused(card: Path) -> None:
    whole = (card / "program").read_bytes()
    for place in range(len(whole)):
        (card / "program").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BrokenCard, match="program"):
            read(card)
