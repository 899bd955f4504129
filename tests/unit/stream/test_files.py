"""Batches in Parquet and Arrow files."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.stream.columns import Limits
from monitor.stream.files import Unreadable, read, write
from tests.hostile.corpus import METADATA, columns, good_batch, stream


def same(got, sent) -> bool:
    arrays = ("run", "ls", "orbit", "event", "bx", "pileup", "inputs", "score", "accept")
    equal = all(np.array_equal(getattr(got, name), getattr(sent, name)) for name in arrays)
    return got.header == sent.header and equal and got.inputs.dtype == sent.inputs.dtype


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_batches_come_back_one_by_one_with_their_sequence(tmp_path, suffix):
    sent = [good_batch(20 + i, sequence=5 + i, seed=i, outputs=2) for i in range(4)]
    assert write(tmp_path / f"run{suffix}", sent) == 4
    got = list(read(tmp_path / f"run{suffix}", limits=Limits(crossings=3564)))
    assert [len(batch) for batch in got] == [20, 21, 22, 23]
    assert all(same(*pair) for pair in zip(got, sent, strict=True))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_batches_above_the_limit_are_split(tmp_path, suffix):
    write(tmp_path / f"run{suffix}", [good_batch(95)])
    got = list(read(tmp_path / f"run{suffix}", limits=Limits(crossings=3564, max_events=40)))
    assert [len(batch) for batch in got] == [40, 40, 15]
    np.testing.assert_array_equal(np.concatenate([batch.inputs for batch in got]), good_batch(95).inputs)
    np.testing.assert_array_equal(np.concatenate([batch.score for batch in got]), good_batch(95).score)
    assert [batch.header.sequence for batch in got] == [7, 8, 9]


def test_the_stream_format_can_be_read_too(tmp_path):
    (tmp_path / "run.arrows").write_bytes(stream(columns(), batches=3))
    assert [len(batch) for batch in read(tmp_path / "run.arrows", limits=Limits(crossings=3564))] == [4, 4, 4]


def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path):
    (tmp_path / "run.csv").write_text("run,ls\n1,2\n")
    with pytest.raises(Unreadable, match=r"run\.csv is neither Parquet nor Arrow"):
        next(read(tmp_path / "run.csv", limits=Limits(crossings=3564)))


def test_a_missing_file_is_refused_by_its_name(tmp_path):
    with pytest.raises(Unreadable, match=r"none\.parquet cannot be read"):
        next(read(tmp_path / "none.parquet", limits=Limits(crossings=3564)))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_cut_file_is_refused(tmp_path, suffix):
    path = tmp_path / f"run{suffix}"
    write(path, [good_batch(200)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(Unreadable, match="cannot be read"):
        list(read(path, limits=Limits(crossings=3564)))


@pytest.mark.parametrize("missing", ["inputs", "score", "pileup"])
def test_a_missing_column_is_named(tmp_path, missing):
    table = pa.table({name: column for name, column in columns().items() if name != missing})
    pq.write_table(table.replace_schema_metadata(METADATA), tmp_path / "run.parquet")
    with pytest.raises(Unreadable, match=missing):
        next(read(tmp_path / "run.parquet", limits=Limits(crossings=3564)))


def test_missing_metadata_is_named(tmp_path):
    pq.write_table(pa.table(columns()), tmp_path / "run.parquet")
    with pytest.raises(Unreadable, match=r"stream '' does not match.*metadata"):
        next(read(tmp_path / "run.parquet", limits=Limits(crossings=3564)))


def test_a_wrong_value_is_refused_with_the_number_of_its_batch_after_the_good_ones(tmp_path):
    good, bad = columns(), columns() | {"bx": pa.array([9999] * 4, pa.uint16())}
    table = pa.concat_tables([pa.table(good), pa.table(bad)]).replace_schema_metadata(METADATA)
    pq.write_table(table, tmp_path / "run.parquet", row_group_size=4)
    batches = read(tmp_path / "run.parquet", limits=Limits(crossings=3564))
    assert len(next(batches)) == 4
    with pytest.raises(Unreadable, match="batch 1: bx 9999"):
        next(batches)


def test_batches_that_do_not_follow_each_other_are_not_written_into_one_file(tmp_path):
    with pytest.raises(ValueError, match="does not follow"):
        write(tmp_path / "run.arrow", [good_batch(sequence=1), good_batch(sequence=3)])
    other = dataclasses.replace(good_batch(sequence=2), header=dataclasses.replace(good_batch().header, menu="other"))
    with pytest.raises(ValueError, match="does not follow"):
        write(tmp_path / "run.parquet", [good_batch(sequence=1), other])


def test_nothing_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="no batch"):
        write(tmp_path / "run.parquet", [])


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.csv"):
        write(tmp_path / "run.csv", [good_batch()])
