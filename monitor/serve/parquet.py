"""The lumisections of a retraining request as a Parquet file: one row each, the query in the file's own metadata."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from monitor.decide.training import Training

MEDIA_TYPE = "application/vnd.apache.parquet"
QUERY = b"trigwatch.query"
SCHEMA = pa.schema(
    [
        pa.field("run", pa.uint32(), nullable=False),
        pa.field("ls", pa.uint32(), nullable=False),
        pa.field("events", pa.uint64(), nullable=False),
        pa.field("pileup", pa.float32()),
        pa.field("level", pa.string(), nullable=False),
        pa.field("mismatches", pa.uint64(), nullable=False),
        pa.field("usable", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


def table(training: Training) -> bytes:
    """Return the file; its schema metadata hold the JSON of the query under `trigwatch.query`."""
    schema = SCHEMA.with_metadata({QUERY: json.dumps(training.query(), allow_nan=False).encode()})
    rows = pa.Table.from_pylist([each.to_json() for each in training.materials], schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue())
