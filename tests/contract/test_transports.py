"""What every transport does, proven on each: memory, tape, and a real Kafka."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import pytest

from monitor.stream.kafka import Connection, KafkaSink, KafkaSource, ensure_topics
from monitor.stream.memory import MemoryLog, MemorySink, MemorySource
from monitor.stream.record import Outgoing, Record
from monitor.stream.tape import TapeSink, TapeSource
from monitor.stream.transport import Partition, Sink, Source, Undelivered

NUMBERS = count()
PATIENCE = 20.0


@dataclass(frozen=True)
class Line:
    """One transport with a topic of two partitions."""

    topic: str
    sink: Sink
    source: Callable[..., Source]

    def key(self, number: int) -> Partition:
        return Partition(self.topic, number)


@pytest.fixture(params=["memory", "tape", pytest.param("kafka", marks=pytest.mark.kafka)])
def line(request, tmp_path) -> Iterator[Line]:
    topic = f"events-{next(NUMBERS)}"
    opened: list[Source] = []

    def keep(source: Source) -> Source:
        opened.append(source)
        return source

    if request.param == "memory":
        log = MemoryLog({topic: 2})
        made = Line(topic, MemorySink(log), lambda **options: keep(MemorySource(log, [topic], **options)))
    elif request.param == "tape":
        path = tmp_path / "events.tape"
        sink = TapeSink(path, {topic: 2})
        made = Line(topic, sink, lambda **options: keep(TapeSource(path, [topic], **options)))
    else:
        connection = Connection((request.getfixturevalue("broker").bootstrap,))
        ensure_topics(connection, {topic: 2})
        sink = KafkaSink(connection, patience=4)
        made = Line(topic, sink, lambda **options: keep(KafkaSource(connection, [topic], **options)))
    yield made
    for each in [*opened, made.sink]:
        each.close()


def opened(source: Source, offsets: Mapping[Partition, int] | None = None) -> Source:
    """Poll until partitions are assigned, and say where to begin."""
    deadline = time.monotonic() + PATIENCE
    while not (polled := source.poll(timeout=1)).assigned:
        assert time.monotonic() < deadline, "no partitions were assigned"
    assert polled.records == ()
    source.seek(offsets or {})
    return source


def received(source: Source, number: int) -> list[Record]:
    """Poll until that many records have come."""
    deadline = time.monotonic() + PATIENCE
    records: list[Record] = []
    while len(records) < number:
        assert time.monotonic() < deadline, f"{len(records)} of {number} records came"
        records += source.poll(timeout=0.5).records
    return records


def values(records: list[Record]) -> list[bytes]:
    return [record.value for record in records]


def test_a_record_comes_back_byte_for_byte(line):
    headers = (("schema", b"trigger-output/1"), ("empty", b""), ("twice", b"\x00\xff"), ("twice", b"2"), ("ключ", b"k"))
    sent = Outgoing(line.topic, bytes(range(256)) * 40, headers, b"\x00key", 1, 1_700_000_000.125)
    line.sink.send([sent])
    (got,) = received(opened(line.source()), 1)
    assert (got.value, got.headers, got.key, got.timestamp) == (sent.value, sent.headers, sent.key, sent.timestamp)
    assert (got.place.topic, got.place.partition, got.place.offset) == (line.topic, 1, 0)


def test_a_record_without_key_headers_and_content_comes_back_so(line):
    line.sink.send([Outgoing(line.topic, b"")])
    (got,) = received(opened(line.source()), 1)
    assert (got.value, got.headers, got.key) == (b"", (), None)


def test_a_record_without_a_time_gets_the_time_of_its_sending(line):
    before = time.time()
    line.sink.send([Outgoing(line.topic, b"now")])
    (got,) = received(opened(line.source()), 1)
    assert before - 0.01 <= got.timestamp <= time.time() + 0.01


def test_the_poll_that_reports_partitions_reports_all_of_them_once_and_brings_no_records(line):
    line.sink.send([Outgoing(line.topic, b"x", partition=0)])
    source = line.source()
    polls = [source.poll(timeout=0.3) for _ in range(4)]
    reports = [polled for polled in polls if polled.assigned]
    assert [polled.assigned for polled in reports] == [frozenset({line.key(0), line.key(1)})]
    assert reports[0].records == ()
    assert not any(polled.revoked for polled in polls)


def test_the_records_of_a_partition_come_in_the_order_of_sending_from_the_oldest(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i, partition=i % 2) for i in range(40)])
    records = received(opened(line.source(max_records=7)), 40)
    for number in (0, 1):
        mine = [record for record in records if record.place.partition == number]
        assert values(mine) == [b"%d" % i for i in range(number, 40, 2)]
        assert [record.place.offset for record in mine] == list(range(20))


def test_no_poll_brings_more_records_than_were_asked_for(line):
    line.sink.send([Outgoing(line.topic, b"x") for _ in range(25)])
    source = opened(line.source(max_records=3))
    sizes = [len(source.poll(timeout=0.2).records) for _ in range(9)]
    assert max(sizes) == 3


def test_reading_begins_at_the_offsets_that_seek_names(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i, partition=i % 2) for i in range(10)])
    source = opened(line.source(), {line.key(0): 3, line.key(1): 4})
    assert sorted(values(received(source, 3))) == [b"6", b"8", b"9"]


def test_seek_goes_back_and_forth(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i, partition=0) for i in range(6)])
    source = opened(line.source())
    received(source, 6)
    source.seek({line.key(0): 1})
    assert received(source, 1)[0].value == b"1"
    source.seek({line.key(0): 5})
    assert values(received(source, 1)) == [b"5"]


def test_seek_to_the_end_waits_for_what_comes(line):
    line.sink.send([Outgoing(line.topic, b"old", partition=0)])
    source = opened(line.source(), {line.key(0): 1})
    assert source.poll(timeout=0.3).records == ()
    line.sink.send([Outgoing(line.topic, b"new", partition=0)])
    assert values(received(source, 1)) == [b"new"]


def test_seek_leaves_partitions_alone_that_are_not_assigned(line):
    source = opened(line.source())
    source.seek({Partition("elsewhere", 0): 5, line.key(7): 1})
    line.sink.send([Outgoing(line.topic, b"x", partition=0)])
    assert values(received(source, 1)) == [b"x"]


def test_what_is_sent_later_is_read_later(line):
    source = opened(line.source())
    for round_ in range(3):
        line.sink.send([Outgoing(line.topic, b"%d" % round_)])
        assert values(received(source, 1)) == [b"%d" % round_]


def test_equal_keys_share_a_partition(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i, key=b"crate-%d" % (i % 5)) for i in range(30)])
    records = received(opened(line.source()), 30)
    partitions: dict[bytes | None, set[int]] = {}
    for record in records:
        partitions.setdefault(record.key, set()).add(record.place.partition)
    assert len(partitions) == 5
    assert all(len(each) == 1 for each in partitions.values())


def test_two_readers_without_a_group_both_read_everything(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i) for i in range(4)])
    for source in (line.source(), line.source()):
        assert sorted(values(received(opened(source), 4))) == [b"0", b"1", b"2", b"3"]


def test_a_batch_of_many_megabytes_passes(line):
    value = bytes(range(256)) * 4 * 5000
    line.sink.send([Outgoing(line.topic, value), Outgoing(line.topic, b"next")])
    assert {value, b"next"} == set(values(received(opened(line.source()), 2)))


def test_sending_to_a_topic_that_does_not_exist_is_undelivered(line):
    with pytest.raises(Undelivered):
        line.sink.send([Outgoing("nowhere", b"x")])


def test_sending_to_a_partition_that_does_not_exist_is_undelivered(line):
    with pytest.raises(Undelivered):
        line.sink.send([Outgoing(line.topic, b"x", partition=9)])
    line.sink.send([Outgoing(line.topic, b"good", partition=1)])
    assert values(received(opened(line.source()), 1)) == [b"good"]


def test_sending_after_the_close_is_undelivered(line):
    line.sink.close()
    line.sink.close()
    with pytest.raises(Undelivered):
        line.sink.send([Outgoing(line.topic, b"x")])


def test_sending_nothing_is_no_error(line):
    line.sink.send([])


def test_a_source_knows_its_topics_partitions(line):
    assert opened(line.source()).partitions(line.topic) == {line.key(0), line.key(1)}


def test_the_partitions_of_an_unknown_topic_are_none(line):
    assert opened(line.source()).partitions("nowhere") == frozenset()


def test_health_tells_what_waits_and_that_the_supply_is_there(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i, partition=0) for i in range(5)])
    source = opened(line.source(max_records=2))
    received(source, 2)
    assert source.health().lag[line.key(0)] == 3
    received(source, 3)
    health = source.health()
    assert health.lag == {line.key(0): 0, line.key(1): 0}
    assert health.reachable
    assert health.last_fetch_age < 5


def test_a_poll_with_nothing_to_bring_returns_in_time(line):
    source = opened(line.source())
    source.poll(timeout=0)
    start = time.monotonic()
    assert source.poll(timeout=0.3).records == ()
    assert time.monotonic() - start < 2.5


def test_close_can_be_said_twice(line):
    source = opened(line.source())
    source.close()
    source.close()


def test_commits_do_not_decide_where_reading_begins(line):
    line.sink.send([Outgoing(line.topic, b"%d" % i, partition=0) for i in range(4)])
    options = {} if isinstance(line.sink, TapeSink) else {"group": f"group-{line.topic}"}
    first = opened(line.source(**options))
    received(first, 4)
    first.commit({line.key(0): 4})
    first.poll(timeout=0.2)
    first.close()
    assert values(received(opened(line.source(**options)), 4)) == [b"0", b"1", b"2", b"3"]
