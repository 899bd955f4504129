"""A tape keeps what was written, through kills, damage and full disks."""

import os
import resource
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from monitor.stream.frames import FRAME, MAGIC, Damaged
from monitor.stream.record import Outgoing, Record
from monitor.stream.tape import TapeSink, TapeSource
from monitor.stream.transport import Partition, Undelivered
from monitor.trigger.batch import Place


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "events.tape"


def written(path: Path, count: int = 5) -> Path:
    sink = TapeSink(path, {"t": 1})
    sink.send([Outgoing("t", b"%d" % i * 100) for i in range(count)])
    sink.close()
    return path


def read(path: Path) -> list[Record]:
    records: list[Record] = []
    with closing(TapeSource(path)) as source:
        while (polled := source.poll(timeout=0)).records or polled.assigned:
            records += polled.records
    return records


def test_the_order_of_recording_is_the_order_of_reading_over_all_partitions(path):
    sink = TapeSink(path, {"a": 2, "b": 1})
    for i in range(12):
        topic, partition = [("a", 0), ("b", 0), ("a", 1)][i % 3]
        sink.send([Outgoing(topic, b"%d" % i, partition=partition)])
    sink.close()
    assert [record.value for record in read(path)] == [b"%d" % i for i in range(12)]


def test_every_cut_of_the_tape_gives_a_beginning_of_its_records_and_says_what_is_torn(path):
    whole = written(path).read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        values = [record.value for record in read(path)]
        assert values == [b"%d" % i * 100 for i in range(len(values))]
        source = TapeSource(path)
        source.poll(timeout=0)
        assert bool(source.torn) == ("no whole frame" in source.health().detail)
        source.close()


def test_a_writer_puts_a_torn_end_aside_and_goes_on(path):
    whole = written(path).read_bytes()
    path.write_bytes(whole[:-30])
    sink = TapeSink(path)
    sink.send([Outgoing("t", b"new")])
    sink.close()
    assert [record.value for record in read(path)] == [*(b"%d" % i * 100 for i in range(4)), b"new"]
    assert [record.place.offset for record in read(path)] == [0, 1, 2, 3, 4]
    aside = path.with_name("events.tape.torn").read_bytes()
    assert whole[:-30].endswith(aside)
    assert len(aside) > FRAME.size


def test_a_last_frame_of_zeros_is_torn_not_damage(path):
    whole = written(path).read_bytes()
    path.write_bytes(whole[:-50] + bytes(50))
    assert len(read(path)) == 4


def test_a_changed_byte_in_the_middle_is_refused_with_its_place(path):
    whole = bytearray(written(path).read_bytes())
    whole[whole.index(b"2" * 50)] ^= 1
    path.write_bytes(whole)
    with pytest.raises(Damaged, match=r"events\.tape: the \d+ bytes behind byte \d+ are not what was written"):
        read(path)


def test_a_file_that_is_no_tape_is_refused_by_reader_and_writer(path):
    path.write_bytes(b"PAR1 and more")
    for opening in (TapeSource, TapeSink):
        with pytest.raises(Damaged, match="is not a tape"):
            opening(path)
    assert path.read_bytes() == b"PAR1 and more"


def test_a_second_writer_is_refused(path):
    first = TapeSink(path)
    with pytest.raises(Damaged, match="another process"):
        TapeSink(path)
    first.close()
    TapeSink(path).close()


def test_a_recording_keeps_the_offsets_and_times_of_its_origin(path):
    records = [Record(Place("t", 2, 10 * i), 1.5 + i, b"%d" % i, (("h", b"v"),), b"k") for i in range(1, 5)]
    sink = TapeSink(path)
    sink.copy(records)
    with pytest.raises(ValueError, match="already"):
        sink.copy(records[-1:])
    sink.close()
    assert read(path) == records
    source = TapeSource(path)
    source.poll(timeout=0)
    source.seek({Partition("t", 2): 25})
    assert [record.place.offset for record in source.poll(timeout=0).records] == [30, 40]
    source.close()


def test_topics_and_offsets_are_known_when_a_tape_is_opened_again(path):
    written(path)
    sink = TapeSink(path)
    sink.create("t", 3)
    sink.send([Outgoing("t", b"more", partition=0), Outgoing("t", b"else", partition=2)])
    sink.close()
    places = [(record.place.partition, record.place.offset) for record in read(path)][-2:]
    assert places == [(0, 5), (2, 0)]
    source = TapeSource(path)
    assert source.topics == {"t": 3}
    source.close()


def test_a_full_disk_leaves_the_tape_as_it_was(path):
    written(path)
    before = path.read_bytes()
    sink = TapeSink(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(Undelivered, match="cannot be written"):
            sink.send([Outgoing("t", bytes(5000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
    sink.send([Outgoing("t", b"fits")])
    sink.close()
    assert [record.value for record in read(path)][-1] == b"fits"


def test_a_killed_writer_leaves_every_record_that_it_had_acknowledged(path):
    program = """
import sys
from monitor.stream.record import Outgoing
from monitor.stream.tape import TapeSink
sink = TapeSink(sys.argv[1], {"t": 1})
for number in range(10**6):
    sink.send([Outgoing("t", b"%d" % number + bytes(20_000))])
    print(number, flush=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    for line in writer.stdout:
        if int(line) > 30:
            break
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = int((writer.stdout.read().splitlines() or [line])[-1])
    writer.wait()
    writer.stdout.close()
    records = read(path)
    assert len(records) >= acknowledged + 1
    assert [record.value[:6] for record in records] == [(b"%d" % i + bytes(6))[:6] for i in range(len(records))]


def test_a_reader_follows_a_writer_frame_by_frame(path):
    sink = TapeSink(path, {"t": 1})
    source = TapeSource(path, ["t"])
    source.poll(timeout=0)
    for number in range(3):
        sink.send([Outgoing("t", b"%d" % number)])
        assert [record.value for record in source.poll(timeout=0).records] == [b"%d" % number]
    half = path.read_bytes()[len(MAGIC) :][:12]
    with path.open("ab") as file:
        file.write(half)
    assert source.poll(timeout=0).records == ()
    assert source.torn == len(half)
    source.close()
    sink.close()


def test_a_deleted_tape_is_no_supply(tmp_path: Path):
    path = tmp_path / "day.tape"
    TapeSink(path, {"t": 1}).close()
    source = TapeSource(path)
    assert source.health().reachable
    path.unlink()
    assert not source.health().reachable
    assert "was deleted" in source.health().detail
    source.close()
