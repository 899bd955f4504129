"""Records become batches, and batches records."""

import dataclasses

import numpy as np
import pytest

from monitor.stream.codec import decode, encode, encode_end
from monitor.stream.columns import Limits
from monitor.trigger.batch import Batch, EndOfLumisection, Reason, Rejected
from monitor.trigger.lumisection import Lumisection
from tests.hostile.corpus import HEADERS, METADATA, columns, good_batch, record, stream

COLUMNS = ("run", "ls", "orbit", "event", "bx", "pileup", "inputs", "score", "accept")


def read(batch: Batch, **limits) -> Batch | EndOfLumisection | Rejected:
    headers, value = encode(batch)
    return decode(record(value, headers), limits=Limits(**{"crossings": 3564, **limits}))


@pytest.mark.parametrize("inputs", [1, 57])
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("events", [0, 1, 1600])
def test_what_was_encoded_is_decoded(events, inputs, outputs):
    sent = good_batch(events, inputs=inputs, outputs=outputs)
    got = read(sent)
    assert got.header == sent.header
    for name in COLUMNS:
        ours, theirs = getattr(got, name), getattr(sent, name)
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs)


def test_inputs_of_32_bits_stay_so():
    sent = dataclasses.replace(good_batch(), inputs=np.full((40, 3), -(2**31), np.int32))
    assert read(sent).inputs.dtype == np.int32
    assert (read(sent).inputs == -(2**31)).all()


@pytest.mark.parametrize("score", [2**31, 2**32 - 1, -(2**31), 0])
def test_every_score_of_32_bits_survives_signed_or_not(score):
    sent = dataclasses.replace(good_batch(), score=np.full((40, 1), score))
    assert (read(sent).score == score).all()


@pytest.mark.parametrize("score", [-(2**31) - 1, 2**32])
def test_a_score_beyond_32_bits_cannot_be_encoded(score):
    with pytest.raises(ValueError, match="32-bit"):
        encode(dataclasses.replace(good_batch(), score=np.full((40, 1), score)))


def test_an_unsigned_score_needs_to_be_single():
    with pytest.raises(ValueError, match="32-bit"):
        encode(dataclasses.replace(good_batch(), score=np.full((40, 2), 2**31)))


def test_a_batch_without_the_decision_has_none():
    assert read(dataclasses.replace(good_batch(), accept=None)).accept is None


def test_a_digest_is_carried():
    digest = "sha256:" + "0a" * 32
    sent = dataclasses.replace(good_batch(), header=dataclasses.replace(good_batch().header, digest=digest))
    assert read(sent).header.digest == digest


def test_unknown_pile_up_is_nan_and_accepted():
    sent = dataclasses.replace(good_batch(), pileup=np.full(40, np.nan, np.float32))
    assert np.isnan(read(sent).pileup).all()


def test_pile_up_of_zero_and_minus_zero_is_accepted():
    sent = dataclasses.replace(good_batch(2), pileup=np.array([0.0, -0.0], np.float32))
    assert isinstance(read(sent), Batch)


def test_the_order_of_the_columns_is_free():
    values = columns()
    turned = {name: values[name] for name in reversed(values)}
    got = decode(record(stream(turned)), limits=Limits(crossings=3564))
    assert got.score.tolist() == [[9]] * 4


def test_metadata_that_nobody_knows_is_ignored():
    got = decode(record(stream(columns(), metadata={**METADATA, "pandas": "{}"})), limits=Limits(crossings=3564))
    assert isinstance(got, Batch)


def test_the_type_is_events_where_the_header_does_not_say():
    value = stream(columns())
    assert isinstance(decode(record(value, HEADERS[:1]), limits=Limits(crossings=3564)), Batch)


def test_headers_of_others_are_ignored():
    value = stream(columns())
    assert isinstance(decode(record(value, (("trace", b"\xff"), *HEADERS)), limits=Limits(crossings=3564)), Batch)


def test_the_arrays_cannot_be_written():
    got = read(good_batch())
    with pytest.raises(ValueError, match="read-only"):
        got.inputs[0, 0] = 1


def test_a_batch_outlives_its_record():
    headers, value = encode(good_batch())
    one = record(bytes(bytearray(value)), headers)
    got = decode(one, limits=Limits(crossings=3564))
    expected = good_batch().inputs
    del one, value
    rubbish = [bytes(9000) for _ in range(50)]
    np.testing.assert_array_equal(got.inputs, expected)
    assert rubbish


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_events": 39}, Reason.OVERSIZED),
        ({"max_bytes": 1000}, Reason.OVERSIZED),
        ({"max_inputs": 5}, Reason.COLUMNS),
        ({"crossings": 100}, Reason.VALUES),
        ({"max_pileup": 40.0}, Reason.VALUES),
    ],
)
def test_limits_are_the_settings_own(limits, reason):
    assert isinstance(read(good_batch(), max_events=40), Batch)
    assert read(good_batch(), **limits).reason == reason


def test_a_rejection_names_the_stream_where_it_is_known():
    headers, value = encode(good_batch())
    assert decode(record(value, headers), limits=Limits(crossings=1)).stream == "l1"
    assert decode(record(value[:100], headers), limits=Limits(crossings=3564)).stream == ""


def test_an_end_of_lumisection_comes_back():
    end = EndOfLumisection("l1", Lumisection(2**32 - 1, 0), 2**63 - 1)
    headers, value = encode_end(end)
    assert decode(record(value, headers), limits=Limits(crossings=3564)) == end


def test_what_a_consumer_would_reject_cannot_be_encoded():
    batch = good_batch()
    with pytest.raises(ValueError, match="does not match"):
        encode(dataclasses.replace(batch, header=dataclasses.replace(batch.header, menu="two words")))
    with pytest.raises(ValueError, match="whole number"):
        encode_end(EndOfLumisection("l1", Lumisection(1, 1), -1))
