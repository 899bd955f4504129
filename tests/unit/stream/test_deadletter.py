"""A rejected record is kept with its reason."""

import hashlib

from monitor.stream.deadletter import dead_letter
from monitor.stream.memory import MemoryLog, MemorySink
from monitor.stream.record import Record
from monitor.trigger.batch import Place, Reason, Rejected

RECORD = Record(Place("l1", 3, 77), 1_700_000_000.5, b"\x00bytes\xff", (("schema", b"x"), ("reason", b"mine")), b"key")


def test_the_bytes_the_key_and_the_time_are_the_records_own():
    letter = dead_letter(RECORD, Rejected(Reason.MALFORMED, "why"), topic="dead")
    assert (letter.topic, letter.value, letter.key, letter.timestamp) == (
        "dead",
        RECORD.value,
        b"key",
        RECORD.timestamp,
    )


def test_the_headers_say_why_and_where_and_keep_what_was_said_before():
    letter = dead_letter(RECORD, Rejected(Reason.MALFORMED, "why: ü \udcff"), topic="dead")
    headers = dict(letter.headers)
    assert headers == {
        "reason": b"malformed",
        "detail": "why: ü \\udcff".encode(),
        "topic": b"l1",
        "partition": b"3",
        "offset": b"77",
        "sha256": hashlib.sha256(RECORD.value).hexdigest().encode(),
        "original.schema": b"x",
        "original.reason": b"mine",
    }


def test_a_header_name_that_is_no_text_can_still_be_sent():
    record = Record(Place("l1", 0, 0), 0.0, b"", (("\udcff", b"v"),))
    letter = dead_letter(record, Rejected(Reason.SCHEMA, ""), topic="dead")
    assert all(name.encode() for name, _ in letter.headers)
    log = MemoryLog({"dead": 1})
    MemorySink(log).send([letter])
    assert log.records("dead")[0].headers == letter.headers
