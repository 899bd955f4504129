"""Records that a broken, old or hostile producer could send.

`broken()` gives records that must be rejected, each with a name and the reason; `mutants()` gives random damage to good
records, of which Arrow itself cannot see all (Kafka's checksum does): they must come out as some value, never as an
exception. Used at codec level, and for the whole daemon.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from monitor.stream.codec import END, EVENTS, SCHEMA, encode, encode_end
from monitor.stream.record import Headers, Record
from monitor.trigger.batch import Batch, EndOfLumisection, Place, Reason
from monitor.trigger.header import Header
from monitor.trigger.lumisection import Lumisection

HEADERS: Headers = (("schema", SCHEMA), ("type", EVENTS))
END_HEADERS: Headers = (("schema", SCHEMA), ("type", END))
METADATA = {
    "stream": "l1",
    "model": "anomaly_v1",
    "menu": "menu-7",
    "firmware": "fw-0x1103",
    "prescale_column": "2e34",
    "producer": "crate-1",
    "sequence": "7",
}
Case = tuple[str, Record, Reason]


def good_batch(events: int = 40, *, inputs: int = 6, outputs: int = 1, sequence: int = 7, seed: int = 1) -> Batch:
    """Return a batch that every consumer accepts."""
    random = np.random.default_rng(seed)
    return Batch(
        header=Header("l1", "anomaly_v1", "menu-7", "fw-0x1103", "2e34", "crate-1", sequence),
        run=np.full(events, 401_234, np.uint32),
        ls=np.full(events, 17, np.uint32),
        orbit=np.sort(random.integers(0, 2**18, events)).astype(np.uint32),
        event=np.arange(1, events + 1, dtype=np.uint64),
        bx=random.integers(0, 3564, events).astype(np.uint16),
        pileup=random.normal(55, 4, events).astype(np.float32),
        inputs=random.integers(-(2**15), 2**15, (events, inputs)).astype(np.int16),
        score=random.integers(0, 2**16, (events, outputs)),
        accept=random.random(events) < 0.1,
    )


def record(value: bytes, headers: Headers = HEADERS, offset: int = 0) -> Record:
    """Return a record with that value, as a producer of events would send it."""
    return Record(Place("l1", 0, offset), 1_700_000_000.0, value, headers)


def columns(events: int = 4, inputs: int = 3) -> dict[str, pa.Array]:
    """Return good columns, to be broken one at a time."""
    return {
        "run": pa.array([401_234] * events, pa.uint32()),
        "ls": pa.array([17] * events, pa.uint32()),
        "orbit": pa.array(range(events), pa.uint32()),
        "event": pa.array(range(events), pa.uint64()),
        "bx": pa.array([5] * events, pa.uint16()),
        "pileup": pa.array([50.5] * events, pa.float32()),
        "inputs": vectors(events, inputs),
        "score": pa.array([9] * events, pa.int32()),
        "accept": pa.array([True] * events),
    }


def vectors(events: int, width: int, kind: pa.DataType | None = None) -> pa.Array:
    """Return a fixed-size list column."""
    return pa.FixedSizeListArray.from_arrays(pa.array([1] * (events * width), kind or pa.int16()), width)


def stream(
    values: dict[str, pa.Array],
    *,
    metadata: dict[Any, Any] | None = None,
    batches: int = 1,
    closed: bool = True,
    options: pa.ipc.IpcWriteOptions | None = None,
) -> bytes:
    """Return an Arrow IPC stream of these columns, with as many record batches."""
    fields = [pa.field(name, array.type) for name, array in values.items()]
    schema = pa.schema(fields, metadata=METADATA if metadata is None else metadata)
    sink = pa.BufferOutputStream()
    writer = pa.ipc.new_stream(sink, schema, options=options)
    for _ in range(batches):
        writer.write_batch(pa.RecordBatch.from_arrays(list(values.values()), schema=schema))
    if closed:
        writer.close()
    return bytes(sink.getvalue().to_pybytes())


def _with(**changed: pa.Array) -> bytes:
    return stream(columns() | changed)


def _without(name: str) -> bytes:
    return stream({key: value for key, value in columns().items() if key != name})


def _named(**changed: Any) -> bytes:
    said: dict[Any, Any] = {**METADATA, **changed}
    return stream(columns(), metadata={key: value for key, value in said.items() if value is not None})


def broken() -> list[Case]:
    """Return every record that must be rejected, with the reason that it must be rejected for."""
    groups = (_headers(), _framing(), _columns(), _metadata(), _values(), _ends())
    return [case for group in groups for case in group]


def _headers() -> Iterator[Case]:
    value = stream(columns())
    wrong: dict[str, Headers] = {
        "no headers": (),
        "no schema header": (("type", EVENTS),),
        "a newer schema": (("schema", b"trigger-output/2"),),
        "the schema header twice": (("schema", SCHEMA), ("schema", SCHEMA)),
        "the schema in UTF-16": (("schema", "trigger-output/1".encode("utf-16")),),
        "an unknown type": (("schema", SCHEMA), ("type", b"heartbeat")),
        "two types": (("schema", SCHEMA), ("type", EVENTS), ("type", END)),
        "an empty type": (("schema", SCHEMA), ("type", b"")),
        "bytes that are no text": (("schema", b"\xff\xfe\x00"), ("\udcff", b"\x80")),
    }
    for name, headers in wrong.items():
        yield name, record(value, headers), Reason.SCHEMA
    yield "a record that could not be unpacked", record(b"", (("unreadable", b"CRC\xff"),)), Reason.MALFORMED
    yield "more bytes than allowed", record(bytes(11 * 2**20)), Reason.OVERSIZED


def _framing() -> Iterator[Case]:
    whole = stream(columns())
    legacy = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    values = {
        "nothing": b"",
        "text": b"not arrow at all, but quite long text",
        "zeros": bytes(4096),
        "ones": b"\xff" * 4096,
        "a pickle": b"\x80\x05cos\nsystem\n(S'true'\ntR.",
        "a huge metadata length": b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(64),
        "a negative metadata length": b"\xff\xff\xff\xff\xff\xff\xff\xff" + bytes(64),
        "no record batch": stream(columns(), batches=0),
        "two record batches": stream(columns(), batches=2),
        "no end marker": stream(columns(), closed=False),
        "two streams in one": whole + whole,
        "bytes behind the end": whole + b"\0" * 8,
        "an Arrow file, not a stream": _file(),
        "a body compressed with lz4": stream(columns(), options=pa.ipc.IpcWriteOptions(compression="lz4")),
        "a body compressed with zstd": stream(columns(), options=pa.ipc.IpcWriteOptions(compression="zstd")),
        "a bomb: a few kB that claim to be many": _bomb(),
        "a claim of more events than there are": _claiming(90_000),
        "columns that claim more values than there are": _claiming(90_000, columns_too=True),
        "columns that claim one value more than there are": _claiming(6, columns_too=True),
        "the stream format of Arrow 0.14, cut": stream(columns(), options=legacy)[:-12],
    }
    for name, value in values.items():
        yield name, record(value), Reason.MALFORMED
    for length in range(1, len(whole), 37):
        yield f"cut after {length} of {len(whole)} bytes", record(whole[:length]), Reason.MALFORMED
    yield "100,001 events", record(stream(columns(100_001, 1))), Reason.OVERSIZED
    yield "a claim of 2^62 events", record(_claiming(2**62)), Reason.OVERSIZED
    yield "a claim of minus one event", record(_claiming(-1)), Reason.OVERSIZED


def _file() -> bytes:
    table = pa.table(columns()).replace_schema_metadata(METADATA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _bomb() -> bytes:
    flat = {name: array for name, array in columns(90_000, 1).items() if name != "inputs"}
    flat["inputs"] = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(90_000 * 50, np.int16)), 50)
    return stream(flat, options=pa.ipc.IpcWriteOptions(compression="zstd"))


def _claiming(events: int, *, columns_too: bool = False) -> bytes:
    """Return a stream whose record batch says in its header (and in its columns) that it has so many events."""
    honest = stream(columns(5, 1))
    start = honest.index(b"\xff\xff\xff\xff", 16)  # the record batch message, behind the schema's
    true, false = ((number).to_bytes(8, "little", signed=True) for number in (5, events))
    return honest[:start] + honest[start:].replace(true, false, 11 if columns_too else 1)


def _columns() -> Iterator[Case]:
    n = 4
    wrong: dict[str, bytes] = {f"without {name}": _without(name) for name in columns() if name != "accept"}
    wrong |= {
        "a surplus column": _with(weight=pa.array([1.0] * n)),
        "a column called like a lone surrogate's escape": _with(**{"\u200bscore": pa.array([1] * n)}),
        "the same column twice": _twice(),
        "a dictionary column": _with(ls=pa.array([17] * n, pa.uint32()).dictionary_encode()),
        "a dictionary inside inputs": _with(inputs=_dictionaries(n)),
        "run as int32": _with(run=pa.array([1] * n, pa.int32())),
        "event as float": _with(event=pa.array([1.0] * n)),
        "bx as text": _with(bx=pa.array(["5"] * n)),
        "pileup as float64": _with(pileup=pa.array([50.0] * n, pa.float64())),
        "pileup as float16": _with(pileup=pa.array(np.ones(n, np.float16))),
        "inputs as a variable list": _with(inputs=pa.array([[1, 2, 3]] * n, pa.list_(pa.int16()))),
        "inputs as float": _with(inputs=vectors(n, 3, pa.float32())),
        "inputs as int64": _with(inputs=vectors(n, 3, pa.int64())),
        "inputs as plain integers": _with(inputs=pa.array([1] * n, pa.int16())),
        "inputs of length zero": _with(inputs=pa.array([[]] * n, pa.list_(pa.int16(), 0))),
        "inputs wider than allowed": _with(inputs=vectors(n, 5000)),
        "inputs as a struct": _with(inputs=pa.array([{"a": 1}] * n)),
        "score as int64": _with(score=pa.array([1] * n, pa.int64())),
        "score as float": _with(score=pa.array([1.0] * n, pa.float32())),
        "score as a list of int16": _with(score=vectors(n, 2, pa.int16())),
        "score wider than allowed": _with(score=vectors(n, 2000, pa.int32())),
        "accept as int8": _with(accept=pa.array([1] * n, pa.int8())),
        "a null": _with(ls=pa.array([17, None, 17, 17], pa.uint32())),
        "a null list": _with(inputs=pa.array([[1, 2, 3], None, [1, 2, 3], [1, 2, 3]], pa.list_(pa.int16(), 3))),
        "a null inside inputs": _with(inputs=pa.array([[1, None, 3]] * n, pa.list_(pa.int16(), 3))),
        "a null decision": _with(accept=pa.array([True, None, True, True])),
        "no columns at all": stream({}),
    }
    for name, value in wrong.items():
        yield name, record(value), Reason.COLUMNS


def _dictionaries(events: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array([1] * (3 * events), pa.int16()).dictionary_encode(), 3)


def _twice() -> bytes:
    arrays, names = list(columns().values()), list(columns())
    batch = pa.RecordBatch.from_arrays([*arrays, arrays[0]], names=[*names, "run"]).replace_schema_metadata(METADATA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def _metadata() -> Iterator[Case]:
    wrong = {f"no {name}": _named(**{name: None}) for name in METADATA}
    wrong |= {
        "no metadata": stream(columns(), metadata={}),
        "an empty stream name": _named(stream=""),
        "a stream name of 65 letters": _named(stream="s" * 65),
        "a path as stream name": _named(stream="../../etc/passwd"),
        "a newline in a name": _named(menu="menu\nforged 1"),
        "a trailing newline in a name": _named(menu="menu\n"),
        "a quote in a name": _named(firmware='fw"} 1'),
        "a name in other letters": _named(producer="пульт"),
        "bytes that are no UTF-8": _named(model=b"\xff\xfe\xfd"),
        "a lone surrogate": _named(model="\udcff".encode("utf-8", "surrogatepass")),
        "a NUL in a name": _named(model="v1\0"),
        "a name of a megabyte": _named(model="m" * 2**20),
        "a negative sequence": _named(sequence="-1"),
        "a sequence with a plus": _named(sequence="+1"),
        "a sequence in Arabic digits": _named(sequence="\u0667"),
        "a sequence with an underscore": _named(sequence="1_000"),
        "a sequence as a float": _named(sequence="1.0"),
        "a sequence of 2^63": _named(sequence=str(2**63)),
        "a sequence of 10,000 digits": _named(sequence="9" * 10_000),
        "an empty sequence": _named(sequence=""),
        "an empty digest": _named(digest=""),
        "a digest in capitals": _named(digest="sha256:" + "AB" * 32),
        "a short digest": _named(digest="sha256:abcd"),
        "another hash": _named(digest="md5:" + "ab" * 16),
    }
    for name, value in wrong.items():
        yield name, record(value), Reason.METADATA


def _values() -> Iterator[Case]:
    signalling = np.frombuffer(np.uint32(0x7F80_0001).tobytes() * 3 + np.float32(-1).tobytes(), np.float32)
    wrong = {
        "bx just beyond the orbit": _with(bx=pa.array([0, 1, 2, 3564], pa.uint16())),
        "the largest bx": _with(bx=pa.array([0, 1, 2, 65535], pa.uint16())),
        "negative pile-up": _with(pileup=pa.array([1, 2, 3, -0.5], pa.float32())),
        "infinite pile-up": _with(pileup=pa.array([1, 2, 3, np.inf], pa.float32())),
        "minus infinite pile-up": _with(pileup=pa.array([1, np.nan, 3, -np.inf], pa.float32())),
        "absurd pile-up": _with(pileup=pa.array([1, 2, 3, 3e38], pa.float32())),
        "negative pile-up beside signalling NaNs": _with(pileup=pa.array(signalling)),
    }
    for name, value in wrong.items():
        yield name, record(value), Reason.VALUES


def _ends() -> Iterator[Case]:
    good = {"stream": "l1", "run": 401_234, "ls": 17, "events": 5}
    text = json.dumps(good)
    malformed: dict[str, bytes] = {
        "an end without a value": b"",
        "an end cut short": text[:-3].encode(),
        "an end with something behind": (text + "{}").encode(),
        "an end that is no UTF-8": b'{"stream": "\xff"}',
        "an end in UTF-16": text.encode("utf-16"),
        "an end with a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "an end with a key twice": b'{"stream":"l1","run":1,"ls":2,"events":3,"events":4}',
        "an end with NaN": b'{"stream":"l1","run":1,"ls":2,"events":NaN}',
        "an end with Infinity": b'{"stream":"l1","run":1,"ls":2,"events":Infinity}',
        "an end with single quotes": text.replace('"', "'").encode(),
        "an end that is an Arrow stream": stream(columns())[:900],
        "an end nested deeply": b"[" * 1000,
    }
    unsuited: dict[str, bytes] = {
        "an end that is a number": b"5",
        "an end that is a list": b"[1,2,3]",
        "an end that is null": b"null",
        "an end nested and closed": b"[" * 400 + b"]" * 400,
        "an end without events": json.dumps({k: v for k, v in good.items() if k != "events"}).encode(),
        "an end with a key too many": json.dumps(good | {"time": 1}).encode(),
        "an end whose stream is a number": json.dumps(good | {"stream": 1}).encode(),
        "an end whose stream is a list": json.dumps(good | {"stream": ["l1"]}).encode(),
        "an end whose stream is a lone surrogate": json.dumps(good | {"stream": "\udcff"}).encode(),
        "an end whose stream has a newline": json.dumps(good | {"stream": "l1\n"}).encode(),
    }
    outside: dict[str, bytes] = {
        "an end with minus one event": json.dumps(good | {"events": -1}).encode(),
        "an end with 2^63 events": json.dumps(good | {"events": 2**63}).encode(),
        "an end with a number of 900 digits": json.dumps(good | {"events": 10**900}).encode(),
        "an end with a float": json.dumps(good | {"events": 5.0}).encode(),
        "an end with an exponent": b'{"stream":"l1","run":1,"ls":2,"events":1e9}',
        "an end with an infinite float": b'{"stream":"l1","run":1,"ls":2,"events":1e999}',
        "an end with a truth value": json.dumps(good | {"ls": True}).encode(),
        "an end with a number as text": json.dumps(good | {"run": "401234"}).encode(),
        "an end with null": json.dumps(good | {"run": None}).encode(),
        "an end with an object": json.dumps(good | {"run": {"run": 1}}).encode(),
        "an end with run 2^32": json.dumps(good | {"run": 2**32}).encode(),
    }
    oversized: dict[str, bytes] = {
        "an end of 100,000 digits": b'{"stream":"l1","run":1,"ls":2,"events":' + b"9" * 100_000 + b"}",
        "an end nested 100,000 times": b"[" * 100_000,
        "an end of two megabytes of blanks": b" " * 2**21 + text.encode(),
    }
    reasons = {
        Reason.MALFORMED: malformed,
        Reason.METADATA: unsuited,
        Reason.VALUES: outside,
        Reason.OVERSIZED: oversized,
    }
    for reason, values in reasons.items():
        for name, value in values.items():
            yield name, record(value, END_HEADERS), reason


def mutants(count: int, *, seed: int) -> Iterator[Record]:
    """Yield good records with random damage: flipped bits, overwritten, cut, repeated and swapped stretches."""
    random = np.random.default_rng(seed)
    end = EndOfLumisection("l1", Lumisection(401_234, 17), 40)
    seeds = [encode(good_batch()), encode(good_batch(outputs=3)), encode(good_batch(3)), encode_end(end)]
    for number in range(count):
        headers, value = seeds[int(random.integers(len(seeds)))]
        yield record(_damaged(bytearray(value), random), headers, number)


def _damaged(value: bytearray, random: np.random.Generator) -> bytes:
    for _ in range(int(random.integers(1, 5))):
        # Half of the damage goes where the lengths and offsets are: into the first kilobyte.
        reach = len(value) if random.random() < 0.5 else min(len(value), 1500)
        at = int(random.integers(reach)) if reach else 0
        kind = int(random.integers(5))
        if kind == 0 and value:
            value[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            value[at : at + 4] = random.bytes(4)
        elif kind == 2:
            value[at : at + 8] = random.choice([b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f"])
        elif kind == 3:
            del value[at : at + int(random.integers(1, 64))]
        else:
            value[at:at] = value[at : at + int(random.integers(1, 64))]
    return bytes(value)
