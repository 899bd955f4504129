"""Whatever a trigger can record survives the wire, the tape and the file."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.stream.codec import decode, encode, encode_end
from monitor.stream.columns import Limits
from monitor.stream.files import read, write
from monitor.trigger.batch import Batch, EndOfLumisection, Rejected
from monitor.trigger.header import DIGEST, NAME, Header
from monitor.trigger.lumisection import Lumisection
from tests.hostile.corpus import record

NAMES = st.from_regex(NAME, fullmatch=True)
COLUMNS = ("run", "ls", "orbit", "event", "bx", "pileup", "inputs", "score", "accept")
HEADERS = st.builds(
    Header,
    stream=NAMES,
    model=NAMES,
    menu=NAMES,
    firmware=NAMES,
    prescale_column=NAMES,
    producer=NAMES,
    sequence=st.integers(0, 2**62),
    digest=st.none() | st.from_regex(DIGEST, fullmatch=True),
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    n, width, outputs = draw(st.integers(0, 9)), draw(st.integers(1, 7)), draw(st.integers(1, 3))
    wide = draw(st.booleans())
    low, high = (-(2**31), 2**31 - 1) if outputs > 1 or draw(st.booleans()) else (0, 2**32 - 1)
    pileup = st.just(np.float32("nan")) | st.floats(0, 10_000, width=32)
    return Batch(
        header=draw(HEADERS),
        run=draw(arrays(np.uint32, n)),
        ls=draw(arrays(np.uint32, n)),
        orbit=draw(arrays(np.uint32, n)),
        event=draw(arrays(np.uint64, n)),
        bx=draw(arrays(np.uint16, n, elements=st.integers(0, 3563))),
        pileup=draw(arrays(np.float32, n, elements=pileup)),
        inputs=draw(arrays(np.int32 if wide else np.int16, (n, width))),
        score=draw(arrays(np.int64, (n, outputs), elements=st.integers(low, high))),
        accept=draw(st.none() | arrays(np.bool_, n)),
    )


def assert_same(got: object, sent: Batch) -> None:
    assert isinstance(got, Batch)
    assert got.header == sent.header
    for name in COLUMNS:
        ours, theirs = getattr(got, name), getattr(sent, name)
        if theirs is None:
            assert ours is None
            continue
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours, theirs)


@given(batches())
def test_decode_undoes_encode(batch):
    headers, value = encode(batch)
    assert_same(decode(record(value, headers), limits=Limits(crossings=3564)), batch)


@given(batches())
def test_encoding_twice_gives_the_same_bytes(batch):
    assert encode(batch) == encode(batch)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches(), st.sampled_from([".parquet", ".arrow"]))
def test_a_file_gives_back_what_was_written(tmp_path, batch, suffix):
    write(tmp_path / f"one{suffix}", [batch])
    got = list(read(tmp_path / f"one{suffix}", limits=Limits(crossings=3564)))
    if len(batch) or got:
        assert_same(got[0], batch)


@given(NAMES, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1))
def test_every_end_of_lumisection_comes_back(stream, run, ls, events):
    end = EndOfLumisection(stream, Lumisection(run, ls), events)
    headers, value = encode_end(end)
    assert decode(record(value, headers), limits=Limits(crossings=3564)) == end


@given(st.binary(max_size=300), st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=20)), max_size=4))
def test_any_bytes_with_any_headers_are_rejected(value, headers):
    assert isinstance(decode(record(value, tuple(headers)), limits=Limits(crossings=3564)), Rejected)


@given(st.sampled_from([b"events", b"end-of-lumisection"]), st.binary(max_size=2000))
def test_any_bytes_under_our_headers_are_rejected(kind, value):
    headers = (("schema", b"trigger-output/1"), ("type", kind))
    assert isinstance(decode(record(value, headers), limits=Limits(crossings=3564)), Rejected)
