"""What strangers put on the topic becomes a value with a reason: no exception, no memory, no time."""

import subprocess
import sys
import time
import tracemalloc

import pyarrow as pa
import pytest

from monitor.stream.codec import LONGEST_DETAIL, decode
from monitor.stream.columns import Limits
from monitor.trigger.batch import Batch, EndOfLumisection, Rejected
from tests.hostile import corpus

LIMITS = Limits(crossings=3564)
BROKEN = corpus.broken()


@pytest.mark.parametrize(("record", "reason"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_record_is_rejected_for_its_reason(record, reason):
    rejected = decode(record, limits=LIMITS)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason, rejected.detail


@pytest.mark.parametrize("record", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_the_detail_of_a_rejection_is_short_printable_ascii(record):
    rejected = decode(record, limits=LIMITS)
    assert 0 < len(rejected.detail) <= LONGEST_DETAIL
    assert rejected.detail.isascii()
    assert rejected.stream in {"", "l1"}


def test_what_the_corpus_is_made_from_is_accepted():
    assert isinstance(decode(corpus.record(corpus.stream(corpus.columns())), limits=LIMITS), Batch)


def test_no_broken_record_takes_memory_beyond_its_own_size():
    for name, record, _ in BROKEN:
        pool, before = pa.default_memory_pool(), pa.total_allocated_bytes()
        tracemalloc.start()
        decode(record, limits=LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * len(record.value) + 300_000, name
        assert pool.bytes_allocated() <= before, name


def test_random_damage_never_raises():
    counts = {Batch: 0, EndOfLumisection: 0, Rejected: 0}
    for record in corpus.mutants(6000, seed=20_261):
        counts[type(decode(record, limits=LIMITS))] += 1
    # Arrow cannot see every flipped bit; that most damage is seen shows that the test damages the right places.
    assert counts[Rejected] > 3000
    assert counts[Batch] > 100


def test_every_broken_record_fits_into_little_memory_and_time():
    """A separate process with a hard limit on its memory reads the corpus: an allocation by a claimed length dies."""
    program = """
import resource
from monitor.stream.codec import decode
from monitor.stream.columns import Limits
from tests.hostile import corpus
records = [case[1] for case in corpus.broken()] + list(corpus.mutants(1500, seed=7))
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for record in records:
    decode(record, limits=Limits(crossings=3564))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
print(len(records), "records,", grown, "kB")
raise SystemExit(grown > 120_000)
"""
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - start < 60
