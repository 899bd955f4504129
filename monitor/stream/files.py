"""`trigger-output/1` in files: the same columns and metadata in Parquet or Arrow IPC (file or stream format).

A file has one schema, so it holds the batches of one producer on one partition with one model, menu, firmware and
prescale column; the metadata's `sequence` is that of its first batch, the next ones count up from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.stream import columns, metadata
from monitor.stream.columns import Limits
from monitor.trigger.batch import Batch, Rejected
from monitor.trigger.header import Header

PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
NOT_READABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError)
WRITERS = (".parquet", ".arrow")


class Unreadable(ValueError):
    """A file that is not what it should be: its name, what is wrong, and how to mend it."""


def read(path: Path | str, *, limits: Limits) -> Iterator[Batch]:
    """Yield the batches of a file in its order: one for each row group or record batch, split above `max_events`.

    Raises `Unreadable`: at the first batch for a wrong file or schema, later for wrong values. Batches before it
    are good.
    """
    path = Path(path)
    try:
        schema, parts = _opened(path, limits)
        header = _header(path, schema, limits)
        for number, part in enumerate(parts):
            part.validate(full=True)
            numbered = replace(header, sequence=header.sequence + number)
            yield _accepted(columns.read(part, numbered, limits=limits), f"{path}, batch {number}")
    except Unreadable:
        raise
    except NOT_READABLE as error:
        raise Unreadable(f"{path} cannot be read: {error}") from error


def _accepted(batch: Batch | Rejected, place: str) -> Batch:
    match batch:
        case Rejected(detail=detail):
            raise Unreadable(f"{place}: {detail}")
        case Batch():
            return batch


def write(path: Path | str, batches: Iterable[Batch]) -> int:
    """Write batches to a `.parquet` or `.arrow` file, and return how many; one row group or record batch each.

    Raises ValueError where there is none, where their headers differ in more than a sequence that counts up by one,
    or where a consumer would refuse them.
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ValueError(f"{path} ends in {path.suffix!r}: trigger-output/1 is written as {' or '.join(WRITERS)}")
    numbered = iter(batches)
    first = next(numbered, None)
    if first is None:
        raise ValueError(f"there is no batch to write to {path}")
    events = columns.write(first)
    schema = events.schema.with_metadata(metadata.write(first.header))
    with _writer(path, schema) as writer:
        count = 0
        for batch in chain([first], numbered):
            _check_successor(first.header, batch.header, count)
            writer.write_batch(columns.write(batch).replace_schema_metadata(schema.metadata))
            count += 1
    return count


def _opened(path: Path, limits: Limits) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[:4] == PARQUET:
        return _parquet(path, limits)
    if magic == ARROW_FILE:
        return _arrow_file(path, limits)
    if magic[:4] == ARROW_STREAM:
        return _arrow_stream(path, limits)
    raise Unreadable(f"{path} is neither Parquet nor Arrow IPC: it starts with {magic!r}")


def _parquet(path: Path, limits: Limits) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    file = pq.ParquetFile(path)
    groups = range(file.num_row_groups)
    parts = (p for g in groups for p in file.iter_batches(batch_size=limits.max_events, row_groups=[g]))
    return file.schema_arrow, parts


def _arrow_file(path: Path, limits: Limits) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    return file.schema, (part for i in range(file.num_record_batches) for part in _split(file.get_batch(i), limits))


def _arrow_stream(path: Path, limits: Limits) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    stream = pa.ipc.open_stream(pa.memory_map(str(path)))
    return stream.schema, (part for batch in stream for part in _split(batch, limits))


def _split(batch: pa.RecordBatch, limits: Limits) -> Iterator[pa.RecordBatch]:
    if batch.num_rows <= limits.max_events:
        yield batch
        return
    for start in range(0, batch.num_rows, limits.max_events):
        yield batch.slice(start, limits.max_events)


def _header(path: Path, schema: pa.Schema, limits: Limits) -> Header:
    refused = columns.refusal(schema, limits)
    if refused is not None:
        raise Unreadable(f"{path}: {refused.detail}")
    header = metadata.read(schema.metadata)
    if isinstance(header, Rejected):
        raise Unreadable(f"{path}: {header.detail}; the schema's metadata names stream, model, menu and so on")
    return header


def _check_successor(first: Header, header: Header, number: int) -> None:
    due = replace(first, sequence=first.sequence + number)
    differing = [each.name for each in fields(Header) if getattr(header, each.name) != getattr(due, each.name)]
    if differing:
        says = ", ".join(f"{name} {getattr(header, name)!r} instead of {getattr(due, name)!r}" for name in differing)
        raise ValueError(f"batch {number} does not follow the first one, it has {says}: it belongs in another file")


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter | pa.ipc.RecordBatchFileWriter:
    return pq.ParquetWriter(path, schema) if path.suffix == ".parquet" else pa.ipc.new_file(str(path), schema)
