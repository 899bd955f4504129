import dataclasses
import fcntl
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from emulator.card import BrokenCard, Card, Certificate, digest_of
from emulator.card_files import Contents, Golden, put_in_place, read, read_card, write
from emulator.card_lock import LOCK
from emulator.formats import Format
from emulator.graph import Cast, Dense, Program, Tensor
from emulator.layout import Axis, Layout, ObjectGroup
from emulator.program_bytes import from_bytes, nameless, to_bytes

AXES = (Axis("pt", 0.5, "GeV", 0, 128), Axis("eta", 0.1, "", -8, 8))
LAYOUT = Layout((ObjectGroup("jet", 0, 1, AXES),))
CERTIFICATE = Certificate("hls4ml 0 csim", "Vivado", {"IOType": "io_parallel"}, "g++ -O2", "gemm", 10, 5, 0, 1)
SOURCES = {"bridge.cpp": b"int x;\n", "firmware/weights/w2.h": b"1, 2\n"}


def program(*, weight: int = 3, prefix: str = "") -> Program:
    eight, sixteen = Format(True, 8, 4), Format(True, 16, 8)
    x, y = Tensor(f"{prefix}x", (2,), eight), Tensor(f"{prefix}y", (2,), sixteen)
    dense = Dense(
        name=f"{prefix}dense",
        sources=(x.name,),
        output=y,
        weights=np.array([[weight, -2], [1, 5]]),
        weight_format=eight,
        bias=np.array([1, 0]),
        bias_format=eight,
        accumulator=sixteen,
        order=np.arange(2),
    )
    cast = Cast(name=f"{prefix}out", sources=(y.name,), output=Tensor(f"{prefix}z", (2,), eight))
    return Program(inputs=(x,), layers=(dense, cast), outputs=(cast.output.name,))


def contents(path: Path, network: Program | None = None, *, label: str = "v1", threshold: int | None = 7) -> Contents:
    network = network or program()
    card = Card(
        label=label,
        digest=digest_of(network, layout=LAYOUT, threshold=threshold),
        layout=LAYOUT,
        inputs=network.inputs,
        outputs=network.output_tensors,
        threshold=threshold,
        certificate=CERTIFICATE,
        falls_to=None,
        provenance={"hls4ml": "0"},
        path=path / label,
    )
    golden = Golden(np.array([[1, 2], [-128, 127]]), np.array([[0, 1], [2, -3]]))
    return Contents(card=card, program=network, golden=golden, sources=SOURCES)


def visible(folder: Path) -> list[str]:
    """Return what is in a folder of cards beside its lock."""
    return sorted(entry.name for entry in folder.iterdir() if entry.name != LOCK)


def at_once(cards: list[Contents]) -> list[FileExistsError | None]:
    """Write all cards at the same time, each in a thread; return what each was refused with."""
    together = threading.Barrier(len(cards))

    def one(card: Contents) -> FileExistsError | None:
        together.wait()
        try:
            write(card)
        except FileExistsError as error:
            return error
        return None

    with ThreadPoolExecutor(len(cards)) as pool:
        return list(pool.map(one, cards))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written = contents(tmp_path)
    write(written)
    back = read(tmp_path / "v1")
    assert back.card == written.card
    assert back.program is not None
    assert to_bytes(back.program) == to_bytes(program())
    assert back.sources == SOURCES
    assert (back.golden.scores == written.golden.scores).all()
    assert read_card(tmp_path / "v1") == written.card


def test_a_card_tells_its_columns(tmp_path: Path) -> None:
    card = contents(tmp_path).card
    assert (card.n_inputs, card.n_outputs) == (2, 2)
    assert card.input_formats == (Format(True, 8, 4),) * 2
    assert card.output_formats == (Format(True, 8, 4),) * 2


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(contents(tmp_path / name))
    for file in (tmp_path / "a" / "v1").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "v1" / file.name).read_bytes()


def test_one_weight_bit_is_another_digest() -> None:
    assert digest_of(program(), layout=None, threshold=None) != digest_of(
        program(weight=2), layout=None, threshold=None
    )


def test_threshold_and_input_mapping_are_part_of_the_identity() -> None:
    digests = {digest_of(program(), layout=layout, threshold=t) for layout in (None, LAYOUT) for t in (None, 7, 8)}
    assert len(digests) == 6


def test_a_format_is_part_of_the_identity() -> None:
    other = program()
    dense, cast = other.layers
    saturating = dataclasses.replace(dense, accumulator=Format(True, 16, 8, overflow="SAT"))  # type: ignore[arg-type,call-arg]
    changed = Program(inputs=other.inputs, layers=(saturating, cast), outputs=other.outputs)
    assert digest_of(changed, layout=None, threshold=None) != digest_of(program(), layout=None, threshold=None)


def test_names_of_layers_and_label_are_not_part_of_the_identity(tmp_path: Path) -> None:
    renamed = program(prefix="sequential_3_")
    assert digest_of(renamed, layout=None, threshold=None) == digest_of(program(), layout=None, threshold=None)
    assert contents(tmp_path, label="v1").card.digest == contents(tmp_path, label="v2").card.digest


def test_the_names_are_kept_in_the_program() -> None:
    assert [layer.name for layer in from_bytes(to_bytes(program(prefix="q_"))).layers] == ["q_dense", "q_out"]
    assert [layer.name for layer in nameless(program()).layers] == ["l0", "l1"]


def test_the_same_model_may_be_written_again(tmp_path: Path) -> None:
    write(contents(tmp_path))
    again = contents(tmp_path)
    newer = dataclasses.replace(again.card, certificate=dataclasses.replace(CERTIFICATE, random=99))
    write(dataclasses.replace(again, card=newer))
    assert read_card(tmp_path / "v1").certificate.random == 99
    assert visible(tmp_path) == ["v1"]


def test_another_model_is_never_overwritten(tmp_path: Path) -> None:
    write(contents(tmp_path))
    with pytest.raises(FileExistsError, match="holds another model"):
        write(contents(tmp_path, program(weight=2)))
    assert read_card(tmp_path / "v1").digest == contents(tmp_path).card.digest
    assert visible(tmp_path) == ["v1"]


def test_of_two_models_written_under_one_label_at_once_one_is_refused(tmp_path: Path) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        cards = [contents(folder), contents(folder, program(weight=2))]
        refused = at_once(cards)
        (kept,) = (card.card.digest for card, error in zip(cards, refused, strict=True) if error is None)
        assert read(folder / "v1").card.digest == kept
        assert visible(folder) == ["v1"]


def test_one_model_may_be_written_by_several_at_once(tmp_path: Path) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        assert at_once([contents(folder)] * 4) == [None] * 4
        read(folder / "v1")
        assert visible(folder) == ["v1"]


def test_another_process_that_writes_is_waited_for(tmp_path: Path) -> None:
    with (tmp_path / LOCK).open("ab") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        writing = pool.submit(write, contents(tmp_path))
        with pytest.raises(TimeoutError):
            writing.result(timeout=0.2)
        fcntl.flock(held, fcntl.LOCK_UN)
        writing.result(timeout=30)
    assert visible(tmp_path) == ["v1"]


def test_what_a_killed_process_left_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    write(contents(tmp_path))
    (tmp_path / ".v1-notes").mkdir()
    (tmp_path / ".writing-ab12cd34").mkdir()
    (tmp_path / ".writing-ab12cd34" / "golden").touch()
    write(contents(tmp_path))
    assert visible(tmp_path) == [".v1-notes", "v1"]


def test_a_card_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    write(contents(tmp_path))
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / "nothing", tmp_path / "v1")
    read(tmp_path / "v1")
    assert visible(tmp_path) == ["v1"]


def test_something_else_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="not a readable card"):
        write(contents(tmp_path))
    assert (tmp_path / "v1" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("label", ["", "..", "a/b", "ü", "a" * 65, ".hidden"])
def test_a_label_is_a_plain_name(tmp_path: Path, label: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        write(contents(tmp_path, label=label))


def test_card_json_is_for_people(tmp_path: Path) -> None:
    write(contents(tmp_path))
    document = json.loads((tmp_path / "v1" / "card.json").read_text())
    assert document["inputs"] == [{"name": "x", "shape": [2], "format": "ap_fixed<8,4,AP_TRN,AP_WRAP>"}]
    assert document["threshold"] == 7
    assert document["certificate"]["mismatches"] == 0
    assert set(document["files"]) == {"program", "golden", "csim.tar.xz"}


@pytest.mark.parametrize("label", ["", "../../x", "a/b", "a\n", "\x1b[2J"])
def test_a_card_whose_label_is_no_plain_name_is_not_read(label: str, tmp_path: Path) -> None:
    write(contents(tmp_path))
    file = tmp_path / "v1" / "card.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"label": label}))
    with pytest.raises(BrokenCard) as refused:
        read_card(tmp_path / "v1")
    assert f"{file} cannot be read: its label {label!r} is not a name: " in str(refused.value)
