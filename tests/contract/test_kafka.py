"""What only a real Kafka can do to us."""

import gc
import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition

from monitor.stream.codec import decode, encode
from monitor.stream.columns import Limits
from monitor.stream.kafka import Connection, KafkaSink, KafkaSource, ensure_topics
from monitor.stream.record import Outgoing, Record
from monitor.stream.transport import Health, Partition, Refused, Undelivered
from monitor.trigger.batch import Batch, Reason, Rejected
from tests.brokers import Broker
from tests.hostile.corpus import good_batch
from tests.readers import Reader, until

pytestmark = pytest.mark.kafka
PATIENCE = 30.0


class NotText(str):
    """A header name whose bytes are no UTF-8, as a careless producer in C may send it."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


def wait(source: KafkaSource, good: Callable[[Health], bool]) -> Health:
    deadline = time.monotonic() + PATIENCE
    while not good(source.health()):
        assert time.monotonic() < deadline, source.health()
        source.poll(timeout=0.2)
    return source.health()


def take(source: KafkaSource, number: int) -> list[Record]:
    deadline = time.monotonic() + PATIENCE
    records: list[Record] = []
    while len(records) < number:
        assert time.monotonic() < deadline, (records, source.health())
        records += source.poll(timeout=0.2).records
    return records


def connected(broker: Broker, topic: str, partitions: int = 1, **options) -> Connection:
    connection = Connection((broker.bootstrap,), options)
    ensure_topics(connection, {topic: partitions})
    return connection


def test_a_batch_travels_through_kafka_unchanged(broker):
    connection = connected(broker, "whole")
    sink, source = KafkaSink(connection), KafkaSource(connection, ["whole"])
    headers, value = encode(good_batch(6000, inputs=57))
    sink.send([Outgoing("whole", value, headers)])
    (record,) = take(source, 1)
    assert record.value == value
    assert isinstance(decode(record, limits=Limits(crossings=3564)), Batch)
    for each in (sink, source):
        each.close()


def test_topics_that_exist_already_are_left_as_they_are(broker):
    connection = connected(broker, "again", 3)
    ensure_topics(connection, {"again": 5})
    source = KafkaSource(connection, ["again"])
    wait(source, lambda health: bool(health.lag))
    assert len(source.partitions("again")) == 3
    source.close()


def grow(broker: Broker, topic: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_partitions({topic: partitions})
    admin.close()


def test_a_partition_that_is_added_later_is_read_too(broker):
    source = KafkaSource(connected(broker, "growing", metadata_max_age_ms=500), ["growing"])
    wait(source, lambda health: len(health.lag) == 1)
    grow(broker, "growing", 2)
    wait(source, lambda health: len(health.lag) == 2)
    source.close()


def test_partitions_that_are_added_later_are_shared_in_the_group(broker):
    connection = connected(broker, "spreading", 2, metadata_max_age_ms=500)
    first, second = (
        Reader(KafkaSource(connection, ["spreading"], group="spreading", session_timeout=6), {}) for _ in range(2)
    )
    until(lambda: len(first.mine) == len(second.mine) == 1, first, second)
    grow(broker, "spreading", 6)
    until(lambda: len(first.mine) == len(second.mine) == 3, first, second)
    for each in (first, second):
        each.source.close()


def test_a_record_that_cannot_be_unpacked_is_reported_and_passed(broker):
    connection = connected(broker, "poison")
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for name, value in (("a", b"before"), (NotText("x"), b"poison"), ("a", b"after")):
        producer.send("poison", value, headers=[(name, b"")]).get(10)
    producer.close()
    source = KafkaSource(connection, ["poison"])
    records = take(source, 3)
    assert [(record.place.offset, record.value) for record in records] == [(0, b"before"), (1, b""), (2, b"after")]
    rejected = decode(records[1], limits=Limits(crossings=3564))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == Reason.MALFORMED
    assert "could not unpack" in rejected.detail
    source.close()


def test_a_record_larger_than_the_limits_arrives_and_is_rejected(broker):
    connection = connected(broker, "oversized")
    sink, source = KafkaSink(connection, compression=None), KafkaSource(connection, ["oversized"])
    headers, value = encode(good_batch(20_000, inputs=57))
    sink.send([Outgoing("oversized", value, headers), Outgoing("oversized", b"next")])
    large, following = take(source, 2)
    rejected = decode(large, limits=Limits(crossings=3564, max_bytes=2**20))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == Reason.OVERSIZED
    assert following.value == b"next"
    for each in (sink, source):
        each.close()


def test_records_that_wait_and_never_come_are_noticed(broker, monkeypatch):
    monkeypatch.setattr("monitor.stream.kafka.source.STUCK_SECONDS", 2.0)
    connection = connected(broker, "stuck")
    sink = KafkaSink(connection, compression=None)
    sink.send([Outgoing("stuck", bytes(9 * 2**20))])
    small = {"receive_message_max_bytes": 2**20, "fetch_max_bytes": 2**19, "max_partition_fetch_bytes": 2**19}
    source = KafkaSource(Connection((broker.bootstrap,), small), ["stuck"])
    health = wait(source, lambda health: "receive_message_max_bytes" in health.detail)
    assert health.lag == {Partition("stuck", 0): 1}
    assert health.last_fetch_age > 1.5
    for each in (sink, source):
        each.close()


def test_an_offset_that_kafka_no_longer_has_begins_again_and_says_so(broker):
    connection = connected(broker, "gone")
    sink, source = KafkaSink(connection), KafkaSource(connection, ["gone"])
    sink.send([Outgoing("gone", b"%d" % i) for i in range(3)])
    wait(source, lambda health: bool(health.lag))
    source.seek({Partition("gone", 0): 1000})
    health = wait(source, lambda health: "the offset is gone" in health.detail)
    assert health.reachable
    assert [record.value for record in take(source, 3)] == [b"0", b"1", b"2"]
    for each in (sink, source):
        each.close()


def test_commits_reach_the_lag_tools(broker):
    connection = connected(broker, "lagging")
    sink, source = KafkaSink(connection), KafkaSource(connection, ["lagging"], group="lagging")
    sink.send([Outgoing("lagging", b"%d" % i) for i in range(5)])
    take(source, 5)
    source.commit({Partition("lagging", 0): 5})
    tool = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id="lagging", enable_auto_commit=False)
    deadline = time.monotonic() + PATIENCE
    while tool.committed(TopicPartition("lagging", 0)) != 5:
        assert time.monotonic() < deadline
        source.poll(timeout=0.2)
    for each in (tool, sink, source):
        each.close()


def test_a_commit_during_a_rebalance_does_no_harm_and_arrives_afterwards(broker):
    connection = connected(broker, "moving", 2)
    sink = KafkaSink(connection)
    sink.send([Outgoing("moving", b"%d" % i, partition=i % 2) for i in range(10)])
    database: dict[Partition, int] = {}
    first, second = (
        Reader(KafkaSource(connection, ["moving"], group="moving", session_timeout=6), database) for _ in range(2)
    )
    until(lambda: len(first.read) == 10, first)
    # Every step commits, so commits meet each state of the rebalance that the second reader causes.
    until(lambda: len(first.mine) == len(second.mine) == 1, first, second)
    tool = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id="moving", enable_auto_commit=False)
    places = [TopicPartition("moving", number) for number in (0, 1)]
    until(lambda: first.step() is None and all(tool.committed(each) == 5 for each in places), second)
    assert len(first.read) + len(second.read) == 10
    for each in (tool, first.source, second.source, sink):
        each.close()


def test_a_member_with_a_name_comes_back_to_its_partitions_without_a_rebalance(broker):
    connection = connected(broker, "rolling", 2)
    database: dict[Partition, int] = {}

    def join(member: str) -> Reader:
        source = KafkaSource(connection, ["rolling"], group="rolling", session_timeout=10, member=member)
        return Reader(source, database)

    first, second = join("worker-1"), join("worker-2")
    until(lambda: len(first.mine) == len(second.mine) == 1, first, second)
    kept, left = set(first.mine), set(second.mine)
    second.source.close()
    back = join("worker-2")
    until(lambda: bool(back.mine), first, back)
    assert (first.mine, back.mine) == (kept, left)
    assert first.revocations == 0
    for each in (first, back):
        each.source.close()


def test_a_setting_that_the_broker_refuses_stops_with_its_reason(broker):
    connection = connected(broker, "refused")
    source = KafkaSource(connection, ["refused"], group="refused", session_timeout=0.5)
    with pytest.raises(Refused, match="ession"):
        wait(source, lambda health: bool(health.lag))
    source.close()


def test_where_no_broker_is_a_source_says_so_and_a_sink_refuses():
    nowhere = Connection(("127.0.0.1:9",))
    source, sink = KafkaSource(nowhere, ["x"]), KafkaSink(nowhere)
    assert source.poll(timeout=0.05).records == ()
    health = source.health()
    assert not health.reachable
    assert "127.0.0.1:9" in health.detail
    with pytest.raises(Undelivered, match=r"127\.0\.0\.1:9"):
        sink.send([Outgoing("x", b"")])
    with pytest.raises(Undelivered):
        ensure_topics(nowhere, {"x": 1})
    source.close()
    sink.close()


# kafka-python leaves the sockets of failed attempts to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("broker")  # which fails or skips where there is no Java
def test_a_broker_that_dies_is_noticed_and_its_return_too(tmp_path):
    mortal = Broker(tmp_path)
    mortal.start()
    connection = connected(mortal, "mortal")
    sink, source = KafkaSink(connection, patience=3), KafkaSource(connection, ["mortal"])
    sink.send([Outgoing("mortal", b"before")])
    take(source, 1)
    mortal.kill()
    health = wait(source, lambda health: not health.reachable)
    assert health.detail
    wait(source, lambda health: health.last_fetch_age > 3)
    with pytest.raises(Undelivered):
        sink.send([Outgoing("mortal", b"lost for now")])
    mortal.start()
    wait(source, lambda health: health.reachable and health.last_fetch_age < 3)
    sink.send([Outgoing("mortal", b"after")])
    assert take(source, 1)[-1].value == b"after"
    for each in (source, sink):
        each.close()
    mortal.stop()
    gc.collect()
