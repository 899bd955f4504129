"""Cards as one file: what comes out is what went in, and nothing else ever does."""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
from pathlib import Path

import pytest

import emulator
from emulator.card_lock import LOCK
from emulator.detector import MODELS

V1, V2 = Path(MODELS) / "l1anomaly_v1", Path(MODELS) / "l1anomaly_v2"


def entry(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size, made.type = len(content), kind
    return made, content


def archive(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for made, content in entries:
            tar.addfile(made, io.BytesIO(content))
    path.write_bytes(lzma.compress(buffer.getvalue()))
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_cards_come_out_as_they_went_in_and_equal_cards_give_equal_bytes(tmp_path: Path) -> None:
    cards = emulator.export([V2, V1], tmp_path / "a.tar.xz")
    emulator.export([V1, V2], tmp_path / "b.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()
    unpacked = emulator.unpack(tmp_path / "a.tar.xz", tmp_path / "models")
    assert sorted(card.digest for card in unpacked) == sorted(card.digest for card in cards)
    for path in (V1, V2):
        assert files(tmp_path / "models" / path.name) == files(path)
    emulator.unpack(tmp_path / "b.tar.xz", tmp_path / "models")  # once more: the same cards may be there
    assert {path.name for path in (tmp_path / "models").iterdir()} == {LOCK, V1.name, V2.name}


def test_another_card_of_the_same_label_is_in_the_way_and_nothing_is_unpacked(tmp_path: Path) -> None:
    emulator.export([V1, V2], tmp_path / "cards.tar.xz")
    shutil.copytree(V2, tmp_path / "models" / V1.name)
    with pytest.raises(FileExistsError, match="holds another model"):
        emulator.unpack(tmp_path / "cards.tar.xz", tmp_path / "models")
    assert {path.name for path in (tmp_path / "models").iterdir()} == {LOCK, V1.name}


def test_a_changed_card_is_refused_and_nothing_is_unpacked(tmp_path: Path) -> None:
    changed = files(V1)
    changed["card.json"] = changed["card.json"].replace(b'"threshold": 1945', b'"threshold": 7')
    made = archive(
        tmp_path / "a.tar.xz", *(entry(f"l1anomaly_v1/{name}", content) for name, content in changed.items())
    )
    with pytest.raises(emulator.BrokenCard, match="digest"):
        emulator.unpack(made, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_card_under_another_label_is_refused(tmp_path: Path) -> None:
    made = archive(tmp_path / "a.tar.xz", *(entry(f"other/{name}", content) for name, content in files(V1).items()))
    with pytest.raises(emulator.BrokenCard, match="'other' holds the card of 'l1anomaly_v1'"):
        emulator.unpack(made, tmp_path / "models")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (entry("../card.json"), "is not LABEL/FILE"),
        (entry("/etc/passwd"), "is not LABEL/FILE"),
        (entry("card.json"), "is not LABEL/FILE"),
        (entry("v1/deep/card.json"), "is not LABEL/FILE"),
        (entry("v1/.hidden"), "is not LABEL/FILE"),
        (entry("v1/link", b"", tarfile.SYMTYPE), "is not a plain file"),
        (entry("v1/device", b"", tarfile.CHRTYPE), "is not a plain file"),
    ],
)
def test_entries_that_no_card_has_are_refused(bad: tuple[tarfile.TarInfo, bytes], said: str, tmp_path: Path) -> None:
    with pytest.raises(emulator.BadArchive, match=said):
        emulator.unpack(archive(tmp_path / "a.tar.xz", bad), tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", lzma.compress(b"no tar at all" * 99)])
def test_what_is_not_an_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar.xz").write_bytes(content)
    with pytest.raises(emulator.BadArchive, match=r"not an archive of cards|holds no card"):
        emulator.unpack(tmp_path / "a.tar.xz", tmp_path / "models")


def test_more_than_cards_can_be_is_refused_before_it_is_read(tmp_path: Path) -> None:
    many = archive(tmp_path / "many.tar.xz", *(entry(f"v1/file{i}") for i in range(4097)))
    with pytest.raises(emulator.BadArchive, match="holds over 4096 files"):
        emulator.unpack(many, tmp_path / "models")
    large, _ = entry("v1/card.json")
    large.size = 2**40
    (tmp_path / "bomb.tar.xz").write_bytes(lzma.compress(large.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10240))
    with pytest.raises(emulator.BadArchive, match="holds over 4096 files or 1024 MiB"):
        emulator.unpack(tmp_path / "bomb.tar.xz", tmp_path / "models")


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    emulator.export([V1], tmp_path / "a.tar.xz")
    whole = (tmp_path / "a.tar.xz").read_bytes()
    (tmp_path / "a.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(emulator.BadArchive, match="damaged"):
        emulator.unpack(tmp_path / "a.tar.xz", tmp_path / "models")


def test_an_archive_needs_cards_and_a_label_for_each(tmp_path: Path) -> None:
    for cards in ([], [V1, V1]):
        with pytest.raises(ValueError, match="a label of its own"):
            emulator.export(cards, tmp_path / "a.tar.xz")
    with pytest.raises(emulator.BrokenCard):
        emulator.export([tmp_path], tmp_path / "a.tar.xz")


def test_an_archive_that_is_not_there_or_is_a_folder_is_refused_and_no_folder_is_made(tmp_path: Path) -> None:
    for name, said in (("nothing", "No such file or directory"), (".", "Is a directory")):
        path = tmp_path / name
        with pytest.raises(emulator.BadArchive) as refused:
            emulator.unpack(path, tmp_path / "models")
        assert str(refused.value) == f"{path} cannot be read: {said}: name a file that `trigwatch model export` wrote"
    assert list(tmp_path.iterdir()) == []


def test_a_broken_card_is_named_by_its_place_in_the_archive(tmp_path: Path) -> None:
    parts = [entry(f"v1/{name}", content) for name, content in files(V1).items() if name != "golden"]
    made = archive(tmp_path / "a.tar.xz", *parts)
    with pytest.raises(emulator.BrokenCard) as refused:
        emulator.unpack(made, tmp_path / "models")
    assert str(refused.value).startswith(f"{made}: v1/golden is missing: ")
    assert "unpacking" not in str(refused.value)
