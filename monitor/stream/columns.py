"""The columns of `trigger-output/1`: which Arrow types are accepted, and how they become arrays and back.

The order of the columns is free (each is found by its name), their set and types are not: a surplus column is as wrong
as a missing one, because nobody has said what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.trigger.batch import Batch, Reason, Rejected
from monitor.trigger.header import Header

INT32 = np.iinfo(np.int32)
UINT32 = np.iinfo(np.uint32)
INFINITY_BITS = np.uint32(0x7F80_0000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one record may hold, and the domains of its values.

    Attributes
    ----------
    crossings
        Bunch crossings in an orbit of the site's machine: bx is in [0, crossings).
    max_bytes
        Size of the record's value; Kafka's own `message.max.bytes` should not be larger.
    max_events
        Events in one batch.
    max_inputs, max_outputs
        Raw inputs and outputs of one event.
    max_pileup
        Mean interactions a bunch. It only keeps a flipped exponent bit out of the sums, it is not a physics cut.
    """

    crossings: int
    max_bytes: int = 10 * 2**20
    max_events: int = 100_000
    max_inputs: int = 4096
    max_outputs: int = 1024
    max_pileup: float = 10_000.0


PLAIN = {
    "run": pa.uint32(),
    "ls": pa.uint32(),
    "orbit": pa.uint32(),
    "event": pa.uint64(),
    "bx": pa.uint16(),
    "pileup": pa.float32(),
}
VECTORS = ("inputs", "score")
OPTIONAL = {"accept": pa.bool_()}
SINGLE = PLAIN | OPTIONAL
KNOWN = frozenset({*SINGLE, *VECTORS})
NEEDED = KNOWN - OPTIONAL.keys()
INPUT_TYPES = (pa.int16(), pa.int32())
SCORE_TYPES = (pa.int32(), pa.uint32())


def refusal(schema: pa.Schema, limits: Limits) -> Rejected | None:
    """Return why a batch of this schema cannot be used, or None; nothing of the batch itself is read."""
    types = dict(zip(schema.names, schema.types, strict=True))
    if len(types) != len(schema):
        return Rejected(Reason.COLUMNS, f"a column name stands twice in {schema.names}")
    if surplus := types.keys() - KNOWN:
        return Rejected(Reason.COLUMNS, f"unknown columns {sorted(surplus)}: trigger-output/1 has {sorted(KNOWN)}")
    if missing := NEEDED - types.keys():
        return Rejected(Reason.COLUMNS, f"columns {sorted(missing)} are missing")
    for name, kind in SINGLE.items():
        if types.get(name, kind) != kind:
            return Rejected(Reason.COLUMNS, f"column {name!r} is {types[name]}, expected {kind}")
    return _vector_refusal(types["inputs"], types["score"], limits)


def _vector_refusal(inputs: pa.DataType, score: pa.DataType, limits: Limits) -> Rejected | None:
    if not _is_vector(inputs, INPUT_TYPES):
        return Rejected(Reason.COLUMNS, f"column 'inputs' is {inputs}, expected fixed_size_list<int16 or int32>[n]")
    if score not in SCORE_TYPES and not _is_vector(score, (pa.int32(),)):
        expected = "int32, uint32 or fixed_size_list<int32>[m]"
        return Rejected(Reason.COLUMNS, f"column 'score' is {score}, expected {expected}")
    if not 1 <= inputs.list_size <= limits.max_inputs:
        detail = f"{inputs.list_size} inputs an event, from 1 to {limits.max_inputs} are accepted"
        return Rejected(Reason.COLUMNS, detail)
    if score not in SCORE_TYPES and not 1 <= score.list_size <= limits.max_outputs:
        detail = f"{score.list_size} outputs an event, from 1 to {limits.max_outputs} are accepted"
        return Rejected(Reason.COLUMNS, detail)
    return None


def _is_vector(kind: pa.DataType, values: tuple[pa.DataType, ...]) -> bool:
    return isinstance(kind, pa.FixedSizeListType) and kind.value_type in values


def read(batch: pa.RecordBatch, header: Header, *, limits: Limits) -> Batch | Rejected:
    """Return the columns of a fully validated record batch whose schema has passed `refusal`.

    The arrays are read-only views into the message where the types are equal (the message lives as long as one of
    them); `score` and `accept` are copies.
    """
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if names := sorted(name for name, column in columns.items() if _has_nulls(column)):
        return Rejected(Reason.COLUMNS, f"columns {names} have nulls", header.stream)
    plain = {name: columns[name].to_numpy() for name in PLAIN}
    if detail := _outside(plain["bx"], plain["pileup"], limits):
        return Rejected(Reason.VALUES, detail, header.stream)
    accept = columns.get("accept")
    return Batch(
        header=header,
        **plain,
        inputs=_matrix(columns["inputs"]),
        score=_matrix(columns["score"]).astype(np.int64),
        accept=None if accept is None else accept.to_numpy(zero_copy_only=False),
    )


def _has_nulls(column: pa.Array) -> bool:
    return bool(column.null_count or _values(column).null_count)


def _values(column: pa.Array) -> pa.Array:
    # `flatten` would do, at ten times the price: it goes through Arrow's function registry.
    if not isinstance(column, pa.FixedSizeListArray):
        return column
    width = column.type.list_size
    return column.values.slice(column.offset * width, len(column) * width)


def _matrix(column: pa.Array) -> NDArray[Any]:
    width = column.type.list_size if isinstance(column, pa.FixedSizeListArray) else 1
    values: NDArray[Any] = _values(column).to_numpy()
    return values.reshape(len(column), width)


def _outside(bx: NDArray[np.uint16], pileup: NDArray[np.float32], limits: Limits) -> str | None:
    """Name a value outside its domain, or return None; NaN pile-up means unknown and is fine."""
    if not len(bx):
        return None
    if (latest := int(bx.max())) >= limits.crossings:
        return f"bx {latest} is beyond the orbit of {limits.crossings} crossings"
    # Compared as bits: positive floats sort like their bits, and signalling NaNs cannot raise floating-point warnings.
    bits = pileup.view(np.uint32)
    most = np.float32(limits.max_pileup).view(np.uint32)
    if int(bits.max()) <= int(most):
        return None
    is_nan = (bits & np.uint32(0x7FFF_FFFF)) > INFINITY_BITS
    wrong = (bits > most) & ~is_nan & (bits != np.uint32(0x8000_0000))
    if wrong.any():
        return f"pile-up {pileup[wrong][0]!s} is not in [0, {limits.max_pileup:g}] (NaN says unknown)"
    return None


def write(batch: Batch) -> pa.RecordBatch:
    """Return `batch` as a record batch without metadata; raises ValueError for a score that fits no accepted type."""
    columns: dict[str, pa.Array] = {name: _plain(batch, name) for name in PLAIN}
    columns["inputs"] = pa.FixedSizeListArray.from_arrays(pa.array(batch.inputs.ravel()), batch.inputs.shape[1])
    columns["score"] = _score(batch.score)
    if batch.accept is not None:
        columns["accept"] = pa.array(batch.accept)
    fields = [pa.field(name, column.type, nullable=False) for name, column in columns.items()]
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=pa.schema(fields))


def _plain(batch: Batch, name: str) -> pa.Array:
    return pa.array(getattr(batch, name), type=PLAIN[name])


def _score(score: NDArray[np.int64]) -> pa.Array:
    low, high = (int(score.min()), int(score.max())) if score.size else (0, 0)
    outputs = score.shape[1]
    fits_signed = INT32.min <= low and high <= INT32.max
    if not fits_signed and not (outputs == 1 and low >= 0 and high <= UINT32.max):
        raise ValueError(
            f"scores from {low} to {high} with {outputs} outputs: trigger-output/1 carries 32-bit integers"
        )
    if outputs == 1:
        return pa.array(score[:, 0].astype(np.int32 if fits_signed else np.uint32))
    return pa.FixedSizeListArray.from_arrays(pa.array(score.astype(np.int32).ravel()), outputs)
