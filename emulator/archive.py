"""Cards as one file: packed whole, and checked by digest and golden vectors before any of them is unpacked for good."""

from __future__ import annotations

import contextlib
import io
import lzma
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from emulator.card import BrokenCard, Card
from emulator.card_files import LABEL, put_in_place, read, refuse_other
from emulator.card_lock import locked
from emulator.model import load

_LARGEST = 2**30
_MOST_FILES = 4096


class BadArchive(ValueError):
    """A file that is not an archive of cards, or holds something that none does; the message says what."""


def export(cards: Sequence[Path], out: Path) -> tuple[Card, ...]:
    """Write the cards in the directories `cards` to the file `out`; equal cards give equal bytes.

    Raises
    ------
    BrokenCard
        A directory is not a whole card.
    ValueError
        No card was given, or two of them have one label.
    """
    contents = [read(path).card for path in cards]
    labels = [card.label for card in contents]
    if not contents or len(set(labels)) < len(labels):
        raise ValueError(f"an archive holds one card or more, each under a label of its own, not {labels or 'none'}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for card in sorted(contents, key=lambda card: card.label):
            for file in sorted(path for path in card.path.iterdir() if path.is_file()):
                entry = tarfile.TarInfo(f"{card.label}/{file.name}")
                entry.size = file.stat().st_size
                with file.open("rb") as stream:
                    archive.addfile(entry, stream)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}-", delete=False) as new:
        new.write(lzma.compress(buffer.getvalue(), preset=6))
    Path(new.name).chmod(0o644)
    Path(new.name).replace(out)
    return tuple(contents)


def unpack(archive: Path, out: Path) -> tuple[Card, ...]:
    """Put the cards of an archive into the folder `out`, all of them or none; a card that is there already is replaced.

    Every card is checked by its digest and its golden vectors first. A compiled emulator, and a card that csim answers
    for, run as programs for that: unpack only what you would run.

    Raises
    ------
    BadArchive
        The file cannot be read, is damaged, too large, or holds paths, links or names that no card has.
    BrokenCard
        A card is incomplete or was changed, or a golden vector comes out differently.
    FileExistsError
        Another card of the same label is in the way.
    """
    _refuse_unreadable(archive)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".unpacking-") as directory:
        folders = _extracted(archive, Path(directory))
        cards = [_checked(folder, archive) for folder in folders]
        with locked(out):
            for card in cards:
                if (out / card.label).exists():
                    refuse_other(out / card.label, card.digest)
            for folder, card in zip(folders, cards, strict=True):
                folder.chmod(0o755)
                put_in_place(folder, out / card.label)
    return tuple(read(out / card.label).card for card in cards)


def _refuse_unreadable(archive: Path) -> None:
    try:
        archive.open("rb").close()
    except OSError as error:
        remedy = "name a file that `trigwatch model export` wrote"
        raise BadArchive(f"{archive} cannot be read: {error.strerror}: {remedy}") from error


def _checked(folder: Path, archive: Path) -> Card:
    try:
        with load(folder) as model:
            card = model.card
    except BrokenCard as error:
        # By its place in the archive: the folder is gone when somebody reads this.
        raise BrokenCard(str(error).replace(str(folder), f"{archive}: {folder.name}")) from error
    if card.label != folder.name:
        raise BrokenCard(f"{archive}: folder {folder.name!r} holds the card of {card.label!r}: export it again")
    return card


def _extracted(archive: Path, into: Path) -> list[Path]:
    """Write the regular files of an archive into one folder a card; return the folders."""
    folders = set()
    for name, content in _entries(archive):
        path = PurePosixPath(name)
        if len(path.parts) != 2 or not all(LABEL.fullmatch(part) for part in path.parts):
            raise BadArchive(f"{archive}: entry {name!r} is not LABEL/FILE, as those of an archive of cards are")
        folder = into / path.parts[0]
        folder.mkdir(exist_ok=True)
        (folder / path.parts[1]).write_bytes(content)
        folders.add(folder)
    if not folders:
        raise BadArchive(f"{archive} holds no card")
    return sorted(folders)


def _entries(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file; what is not a plain file is refused, and more than cards can be."""
    left, files = _LARGEST, 0
    with contextlib.ExitStack() as stack:
        try:
            packed = stack.enter_context(tarfile.open(archive, mode="r|xz"))
            for entry in packed:
                if not entry.isreg():
                    raise BadArchive(f"{archive}: entry {entry.name!r} is not a plain file")
                left, files = left - entry.size, files + 1
                if left < 0 or files > _MOST_FILES:
                    raise BadArchive(f"{archive} holds over {_MOST_FILES} files or {_LARGEST >> 20} MiB: no cards do")
                file = packed.extractfile(entry)
                yield entry.name, b"" if file is None else file.read()
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise BadArchive(f"{archive} is not an archive of cards, or it is damaged: {error}") from error
