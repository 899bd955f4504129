"""What the log in memory offers beyond the contract of all transports."""

from threading import Thread

from monitor.stream.memory import MemoryLog, MemorySink, MemorySource
from monitor.stream.record import Outgoing
from monitor.stream.transport import Partition


def test_the_clock_is_given():
    log = MemoryLog({"t": 1}, clock=lambda: 12.5)
    MemorySink(log).send([Outgoing("t", b"a"), Outgoing("t", b"b", timestamp=3.0)])
    assert [record.timestamp for record in log.records("t")] == [12.5, 3.0]


def test_a_waiting_reader_is_woken_by_a_record():
    log = MemoryLog({"t": 1})
    source, got = MemorySource(log, ["t"]), []
    source.poll(timeout=0)
    reader = Thread(target=lambda: got.extend(source.poll(timeout=30).records))
    reader.start()
    MemorySink(log).send([Outgoing("t", b"x")])
    reader.join(timeout=10)
    assert [record.value for record in got] == [b"x"]


def test_a_waiting_reader_is_woken_by_its_close():
    log = MemoryLog({"t": 1})
    source = MemorySource(log, ["t"])
    source.poll(timeout=0)
    reader = Thread(target=lambda: source.poll(timeout=30))
    reader.start()
    source.close()
    reader.join(timeout=10)
    assert not reader.is_alive()


def test_a_full_partition_does_not_starve_the_others():
    log = MemoryLog({"t": 2})
    source = MemorySource(log, ["t"], max_records=2)
    source.poll(timeout=0)
    log.append(Outgoing("t", b"rare", partition=1))
    for _ in range(10):
        log.append(Outgoing("t", b"x", partition=0))
    first, second = (source.poll(timeout=0).records for _ in range(2))
    assert b"rare" in {record.value for record in (*first, *second)}


def test_committed_offsets_can_be_looked_at():
    log = MemoryLog({"t": 1})
    source = MemorySource(log, ["t"], group="g")
    source.poll(timeout=0)
    source.commit({Partition("t", 0): 4, Partition("other", 0): 1})
    assert log.committed("g") == {Partition("t", 0): 4}


def test_a_partition_added_later_is_assigned():
    log = MemoryLog({"t": 1})
    source = MemorySource(log, ["t"])
    source.poll(timeout=0)
    log.create("t", 2)
    assert source.poll(timeout=0).assigned == {Partition("t", 1)}
