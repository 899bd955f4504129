"""Recorded files in the order of data taking."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from monitor.app.recording import from_files
from monitor.stream.columns import Limits
from monitor.stream.files import write
from tests.hostile.corpus import good_batch

LIMITS = Limits(crossings=3564)


def file(path: Path, *lumisections: int, run: int = 9, producer: str = "crate-1", empty_first: bool = False) -> Path:
    """Write a file with one batch for each lumisection."""
    batches = [good_batch(0 if empty_first else 5)] if empty_first else []
    for ls in lumisections:
        whole = good_batch(5)
        batches.append(replace(whole, run=np.full(5, run, np.uint32), ls=np.full(5, ls, np.uint32)))
    numbered = (
        replace(each, header=replace(each.header, producer=producer, sequence=number))
        for number, each in enumerate(batches)
    )
    write(path, numbered)
    return path


def order(*paths: Path) -> list[tuple[int, int, str]]:
    read = (each for each in from_files(paths, limits=LIMITS) if len(each))
    return [(int(each.run[0]), int(each.ls[0]), each.header.producer) for each in read]


def test_files_are_read_in_the_order_of_their_lumisections_however_they_are_named(tmp_path: Path):
    files = [file(tmp_path / f"fill{run}.arrow", 1, 2, run=run) for run in (2, 9, 10)]
    expected = [(run, ls, "crate-1") for run in (2, 9, 10) for ls in (1, 2)]
    assert all(order(*named) == expected for named in permutations(files))


def test_files_of_the_same_time_are_merged(tmp_path: Path):
    files = [
        file(tmp_path / "a.arrow", 1, 2, 5, producer="a"),
        file(tmp_path / "b.arrow", 2, 3, 4, producer="b"),
        file(tmp_path / "c.arrow", 4, producer="c", empty_first=True),
    ]
    expected = [(9, 1, "a"), (9, 2, "a"), (9, 2, "b"), (9, 3, "b"), (9, 4, "b"), (9, 4, "c"), (9, 5, "a")]
    assert all(order(*named) == expected for named in permutations(files))


def test_a_file_is_opened_when_its_time_has_come(tmp_path: Path):
    """A year of fills is more files than a process may hold open."""
    files = [file(tmp_path / f"{run}.arrow", 1, 2, run=run) for run in (1, 2)]
    read = from_files(files, limits=LIMITS)
    next(read)
    files[1].unlink()
    with pytest.raises(ValueError, match=r"2\.arrow cannot be read"):
        list(read)
