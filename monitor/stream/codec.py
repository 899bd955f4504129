"""Bytes to events and back: `trigger-output/1`, one record at a time.

`decode` answers every record with a value; a record from the wire can make it reject, never raise. The order of the
checks keeps a hostile record cheap: headers and size first, then the schema, then the batch's own header (Arrow's
flatbuffer: number of events, compression), and only then is the body looked at. Nothing is allocated by a length that
the record merely claims.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import pyarrow as pa

from monitor.stream import columns, metadata
from monitor.stream.columns import Limits
from monitor.stream.record import UNREADABLE, Headers, Record
from monitor.trigger.batch import Batch, EndOfLumisection, Reason, Rejected
from monitor.trigger.header import NAME
from monitor.trigger.lumisection import Lumisection

SCHEMA = b"trigger-output/1"
EVENTS = b"events"
END = b"end-of-lumisection"
# An end-of-lumisection holds four short values; what is longer is not one.
MAX_END_BYTES = 1024
END_KEYS = ("stream", "run", "ls", "events")
LARGEST = {"run": 2**32 - 1, "ls": 2**32 - 1, "events": 2**63 - 1}
LONGEST_DETAIL = 300
# What Arrow raises for bytes that are not Arrow; OSError is its word for a stream that ends early.
NOT_ARROW = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError, struct.error)


def decode(record: Record, *, limits: Limits) -> Batch | EndOfLumisection | Rejected:
    """Return what the record says, or why it cannot be used.

    The arrays of a Batch are read-only views into `record.value` where the types are equal; Python's bytes never
    change, and they live as long as a view does. Whoever keeps a few rows copies them, so that the rest can go.
    """
    kind = _kind(record.headers)
    if isinstance(kind, Rejected):
        return kind
    if len(record.value) > limits.max_bytes:
        return Rejected(Reason.OVERSIZED, f"{len(record.value)} bytes, at most {limits.max_bytes} are accepted")
    content = _end(record.value) if kind == END else _events(record.value, limits)
    return _printable(content) if isinstance(content, Rejected) else content


def encode(batch: Batch) -> tuple[Headers, bytes]:
    """Return a record's headers and value; raises ValueError where `decode` would reject them."""
    events = columns.write(batch)
    schema = events.schema.with_metadata(metadata.write(batch.header))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(events.replace_schema_metadata(schema.metadata))
    return (("schema", SCHEMA), ("type", EVENTS)), sink.getvalue().to_pybytes()


def encode_end(end: EndOfLumisection) -> tuple[Headers, bytes]:
    """Return a record's headers and value; raises ValueError where `decode` would reject them."""
    run, ls = end.lumisection
    value = json.dumps({"stream": end.stream, "run": run, "ls": ls, "events": end.events}).encode()
    match _end(value):
        case Rejected(detail=detail):
            raise ValueError(f"{detail}: a consumer would reject this end of lumisection")
    return (("schema", SCHEMA), ("type", END)), value


def _kind(headers: Headers) -> bytes | Rejected:
    for key, value in headers:
        if key == UNREADABLE:
            return _printable(Rejected(Reason.MALFORMED, f"the transport could not unpack it: {value!r}"))
    schemas = [value for key, value in headers if key == "schema"]
    kinds = [value for key, value in headers if key == "type"]
    if schemas != [SCHEMA]:
        return _printable(Rejected(Reason.SCHEMA, f"header schema is {_first(schemas)}, expected {SCHEMA!r} once"))
    if kinds not in ([], [EVENTS], [END]):
        return _printable(Rejected(Reason.SCHEMA, f"header type is {_first(kinds)}, expected {EVENTS!r} or {END!r}"))
    return kinds[0] if kinds else EVENTS


def _first(values: list[bytes]) -> str:
    return f"{values[0][:64]!r}{' and more' if len(values) > 1 else ''}" if values else "missing"


def _events(value: bytes, limits: Limits) -> Batch | Rejected:
    try:
        return _read_stream(value, limits)
    except NOT_ARROW as error:
        return Rejected(Reason.MALFORMED, f"not an Arrow IPC stream of one record batch: {error}")


def _read_stream(value: bytes, limits: Limits) -> Batch | Rejected:
    source = pa.BufferReader(value)
    messages = pa.ipc.MessageReader.open_stream(source)
    schema = pa.ipc.read_schema(_next(messages, "schema"))
    refused = columns.refusal(schema, limits)
    header = metadata.read(schema.metadata)
    if refused is not None:
        return Rejected(refused.reason, refused.detail, "" if isinstance(header, Rejected) else header.stream)
    if isinstance(header, Rejected):
        return header
    message = _next(messages, "record batch")
    if refused := _batch_refusal(message, limits):
        return Rejected(refused.reason, refused.detail, header.stream)
    if detail := _after_the_batch(messages, source, value):
        return Rejected(Reason.MALFORMED, detail, header.stream)
    events = pa.ipc.read_record_batch(message, schema)
    events.validate(full=True)
    return columns.read(events, header, limits=limits)


def _next(messages: Any, kind: str) -> Any:
    try:
        message = messages.read_next_message()
    except StopIteration:
        raise ValueError(f"it ends where a {kind} is expected") from None
    if message.type != kind:
        raise ValueError(f"it has a {message.type} where a {kind} is expected")
    return message


def _after_the_batch(messages: Any, source: Any, value: bytes) -> str | None:
    """Name what is wrong behind the batch: it must be the end-of-stream marker and nothing else."""
    end = source.tell()
    try:
        return f"a {messages.read_next_message().type} follows the first record batch; one batch is one record"
    except StopIteration:
        pass
    if source.tell() == end:
        return "the end-of-stream marker is missing: the stream is cut short, or its writer was not closed"
    if source.tell() != len(value):
        return f"{len(value) - source.tell()} bytes follow the end of the stream"
    return None


def _batch_refusal(message: Any, limits: Limits) -> Rejected | None:
    """Judge a record batch by its own header, before its body is touched.

    Arrow allocates what a compressed body claims to become, so compression must be seen before it decodes.
    """
    events, compressed = _batch_header(message.metadata)
    if compressed:
        return Rejected(Reason.MALFORMED, "the body is compressed by Arrow: leave compression to Kafka")
    if not 0 <= events <= limits.max_events:
        return Rejected(Reason.OVERSIZED, f"{events} events, at most {limits.max_events} are accepted")
    return None


def _batch_header(flatbuffer: Any) -> tuple[int, bool]:
    """Return (events, is compressed) of a record batch message that Arrow has verified.

    Arrow's format/Message.fbs: table Message {version; header (type, then table); …} with the header in fields 1 and
    2; table RecordBatch {length: long; nodes; buffers; compression}. Flatbuffers keep, in front of a table, how far
    behind it its list of field positions lies; a position of 0 means that the field has its default.
    """
    content = memoryview(flatbuffer)
    (message,) = struct.unpack_from("<I", content, 0)
    header = _field(content, message, 2)
    (distance,) = struct.unpack_from("<I", content, header)
    batch = header + distance
    length = _field(content, batch, 0)
    events = struct.unpack_from("<q", content, length)[0] if length else 0
    return events, _field(content, batch, 3) != 0


def _field(content: memoryview, table: int, number: int) -> int:
    (behind,) = struct.unpack_from("<i", content, table)
    positions = table - behind
    (size,) = struct.unpack_from("<H", content, positions)
    if 4 + 2 * number >= size:
        return 0
    (position,) = struct.unpack_from("<H", content, positions + 4 + 2 * number)
    return table + position if position else 0


def _end(value: bytes) -> EndOfLumisection | Rejected:
    if len(value) > MAX_END_BYTES:
        return Rejected(Reason.OVERSIZED, f"an end of lumisection of {len(value)} bytes, at most {MAX_END_BYTES}")
    try:
        said = json.loads(value.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Rejected(Reason.MALFORMED, f"an end of lumisection is a JSON object: {error}")
    if not isinstance(said, dict) or set(said) != set(END_KEYS):
        return Rejected(Reason.METADATA, f"an end of lumisection has exactly the keys {', '.join(END_KEYS)}")
    if not isinstance(said["stream"], str) or not NAME.fullmatch(said["stream"]):
        return Rejected(Reason.METADATA, f"stream {str(said['stream'])[:80]!r} does not match {NAME.pattern}")
    for key, largest in LARGEST.items():
        if type(said[key]) is not int or not 0 <= said[key] <= largest:
            detail = f"{key} {str(said[key])[:40]} is not a whole number from 0 to {largest}"
            return Rejected(Reason.VALUES, detail, said["stream"])
    return EndOfLumisection(said["stream"], Lumisection(said["run"], said["ls"]), said["events"])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _printable(rejected: Rejected) -> Rejected:
    """Bound the detail and keep it ASCII: it goes to logs, headers and pages, and half of it may be the sender's."""
    detail = rejected.detail.encode("ascii", "backslashreplace").decode()[:LONGEST_DETAIL]
    return Rejected(rejected.reason, detail, rejected.stream)
