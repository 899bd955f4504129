"""Readers of one group share the partitions, in memory as on a real Kafka."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from monitor.stream.kafka import Connection, KafkaSink, KafkaSource, ensure_topics
from monitor.stream.memory import MemoryLog, MemorySink, MemorySource
from monitor.stream.record import Outgoing
from monitor.stream.transport import Sink
from tests.readers import Reader, until

NUMBERS = count()


@dataclass
class Group:
    topic: str
    sink: Sink
    join: Callable[[], Reader]

    def send(self, number: int) -> None:
        self.sink.send([Outgoing(self.topic, b"%d" % i, partition=i % 4) for i in range(number)])


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def group(request) -> Iterator[Group]:
    topic, database, sources = f"shared-{next(NUMBERS)}", {}, []
    if request.param == "memory":
        log = MemoryLog({topic: 4})
        sink: Sink = MemorySink(log)
        make = lambda: MemorySource(log, [topic], group="readers")  # noqa: E731
    else:
        connection = Connection((request.getfixturevalue("broker").bootstrap,))
        ensure_topics(connection, {topic: 4})
        sink = KafkaSink(connection)
        make = lambda: KafkaSource(connection, [topic], group=topic, session_timeout=6)  # noqa: E731

    def join() -> Reader:
        sources.append(make())
        return Reader(sources[-1], database)

    yield Group(topic, sink, join)
    for each in [*sources, sink]:
        each.close()


def test_one_reader_gets_all_partitions(group):
    first = group.join()
    until(lambda: len(first.mine) == 4, first)


def test_a_second_reader_takes_half_and_nothing_is_lost_or_read_twice(group):
    first, second = group.join(), group.join()
    until(lambda: len(first.mine) == 4, first)
    group.send(40)
    until(lambda: len(first.read) >= 20, first)
    until(lambda: len(first.mine) == 2 and len(second.mine) == 2, first, second)
    group.send(40)
    until(lambda: len(first.read) + len(second.read) >= 80, first, second)
    assert not first.mine & second.mine
    assert sorted(first.read + second.read) == [(p, offset) for p in range(4) for offset in range(20)]


def test_who_leaves_hands_over_where_the_database_is(group):
    first, second = group.join(), group.join()
    until(lambda: len(first.mine) == 2 and len(second.mine) == 2, first, second)
    group.send(20)
    until(lambda: len(first.read) + len(second.read) >= 20, first, second)
    second.source.close()
    group.send(20)
    until(lambda: len(first.mine) == 4 and len(first.read) + len(second.read) >= 40, first)
    assert sorted(first.read + second.read) == [(p, offset) for p in range(4) for offset in range(10)]
