"""What strangers put on the topic never stops the daemon, never changes a verdict, and is never lost."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.detector import SCENARIOS, play
from emulator.detector.run import Block, End
from monitor.app.simulate import EPOCH, STREAM, TOPIC, batch, produce
from monitor.stream.codec import decode, encode, encode_end
from monitor.stream.columns import Limits
from monitor.stream.record import Outgoing, Record
from monitor.trigger.batch import EndOfLumisection, Reason, Rejected
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import DEFAULT
from monitor.watch.judged import Judged
from tests.hostile import corpus
from tests.house import inprocess as house

RUN, LUMISECTIONS, ONSET, LEARN = 401_000, 24, 18, 10
MUTANTS = 3000
DEAD_LETTERS = "trigwatch.dead-letter"
LIMITS = Limits(crossings=DEFAULT.crossings)
SECTIONS: dict[str, Any] = {
    "reference": {"learn_lumisections": LEARN},
    "limits": {"max_bytes": LIMITS.max_bytes},
}
Partial = dict[str, Any]


def blocks(**changes: Any) -> Iterator[Block | End]:
    """A run of the simulated detector that ends in a weight upset; `changes` are made to every block."""
    run = play(
        replace(SCENARIOS["weight-upset"], onset=ONSET), seed=3, lumisections=LUMISECTIONS, events_per_lumisection=300
    )
    for each in run:
        yield replace(each, **changes) if isinstance(each, Block) and changes else each


def good() -> list[Outgoing]:
    return list(produce(blocks(), site=DEFAULT))


def outgoing(record: Record, *, partition: int, timestamp: float) -> Outgoing:
    return Outgoing(TOPIC, record.value, record.headers, record.key, partition, timestamp)


def between(ours: Sequence[Outgoing], theirs: Iterable[Outgoing]) -> list[Outgoing]:
    """Spread `theirs` evenly between `ours`."""
    strangers = list(theirs)
    mixed: list[Outgoing] = []
    for number, record in enumerate(ours):
        mixed.append(record)
        mixed += strangers[number * len(strangers) // len(ours) : (number + 1) * len(strangers) // len(ours)]
    return mixed


def strangers() -> list[Outgoing]:
    """Every broken record and the mutants, on both partitions, under honest and absurd time stamps."""
    stamps = (EPOCH, 0.0, -1.0, EPOCH + 1e9, float("nan"), float("inf"))
    records = [case[1] for case in corpus.broken()] + list(corpus.mutants(MUTANTS, seed=8))
    return [
        outgoing(record, partition=number % 2, timestamp=stamps[number % len(stamps)])
        for number, record in enumerate(records)
    ]


def reason(record: Outgoing) -> Reason:
    """Return why the daemon should refuse it: what reads well is of a stream that nobody has configured."""
    content = decode(corpus.record(record.value, record.headers), limits=LIMITS)
    return content.reason if isinstance(content, Rejected) else Reason.STREAM


def run(
    folder: Path, records: Sequence[Outgoing], **sections: Any
) -> tuple[list[Judged], Counter[tuple[str, ...]], str]:
    """Let a daemon read the records; return what it judged, its counters and its metrics page."""
    folder.mkdir()
    house.write(folder, records)
    with house.daemon(folder, **(SECTIONS | sections)) as daemon:
        judged = house.read(daemon)
        metrics = house.get(daemon, "/metrics")
        house.delivered(daemon)
        return judged, Counter(daemon.database.counters()), metrics


def said(judged: Sequence[Judged]) -> list[tuple[object, ...]]:
    """Everything about a verdict but how long it took and who knocked meanwhile."""
    return [(each.lumisection, each.verdict, each.summary and each.summary.to_bytes()) for each in judged]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    return run(tmp_path_factory.mktemp("house") / "undisturbed", good())[0]


def test_what_is_disturbed_is_worth_disturbing(undisturbed: list[Judged]):
    levels = [str(each.verdict.level) for each in undisturbed]
    assert levels == ["unknown"] * LEARN + ["ok"] * (ONSET - 1 - LEARN) + ["act"] * (LUMISECTIONS - ONSET + 1)


def test_strangers_are_counted_and_kept_and_change_no_verdict(undisturbed: list[Judged], tmp_path: Path):
    hostile = strangers()
    tape = between(good(), hostile)
    judged, counters, metrics = run(tmp_path / "hostile", tape)
    assert said(judged) == said(undisturbed)

    expected = Counter(reason(each) for each in hostile)
    assert set(expected) == {
        *(Reason.SCHEMA, Reason.MALFORMED, Reason.COLUMNS, Reason.METADATA, Reason.VALUES, Reason.OVERSIZED),
        Reason.STREAM,
    }
    counted: Counter[str] = Counter()
    for (name, _, label), n in counters.items():
        counted.update({label: n} if name == "rejected" else {})
    assert counted == expected
    shown: Counter[str] = Counter()
    for line in metrics.splitlines():
        if line.startswith("trigwatch_rejected_total{"):
            shown[line.split('reason="')[1].split('"')[0]] += int(float(line.rsplit(" ", 1)[1]))
    assert shown == expected

    places = Counter[int]()
    wanted = {}
    for each in tape:
        assert each.partition is not None
        offset, places[each.partition] = places[each.partition], places[each.partition] + 1
        if each in hostile:
            wanted[each.partition, offset] = each
    letters = house.out(tmp_path / "hostile", DEAD_LETTERS)
    assert len(letters) == len(hostile)
    found = {letter_place(letter): letter for letter in letters}
    assert found.keys() == wanted.keys()
    for place, letter in found.items():
        assert_kept(letter, wanted[place])


def letter_place(letter: Record) -> tuple[int, int]:
    headers = dict(letter.headers)
    assert headers["topic"] == TOPIC.encode()
    return int(headers["partition"]), int(headers["offset"])


def assert_kept(letter: Record, original: Outgoing) -> None:
    headers = dict(letter.headers)
    assert letter.value == original.value
    assert letter.key == original.key
    assert headers["sha256"].decode() == hashlib.sha256(original.value).hexdigest()
    assert headers["reason"].decode() == reason(original).value
    assert headers["detail"]
    theirs = [value for name, value in letter.headers if name.startswith("original.")]
    assert theirs == [value for _, value in original.headers]


def test_damaged_copies_of_its_own_records_never_stop_it(tmp_path: Path):
    """Arrow cannot see every flipped bit: what gets through may change a verdict, but never end the daemon."""
    random = np.random.default_rng(5)
    ours = good()
    damaged = [replace(each, value=corpus._damaged(bytearray(each.value), random)) for _ in range(4) for each in ours]
    judged, counters, _ = run(tmp_path / "damaged", between(ours, damaged))
    assert counters["rejected", STREAM, "malformed"] > 50
    # Numbers that were damaged may open lumisections of their own; the real ones are all judged all the same.
    assert {each.lumisection.ls for each in judged} >= set(range(1, LUMISECTIONS + 1))


# Well-formed records of the right stream that nevertheless do not belong


def again(ours: Sequence[Outgoing]) -> Iterator[Outgoing]:
    """Every record a second time, at once."""
    for record in ours:
        yield record
        yield record


def test_every_record_twice_changes_no_verdict(undisturbed: list[Judged], tmp_path: Path):
    ours = good()
    ends = sum(dict(each.headers)["type"] == b"end-of-lumisection" for each in ours)
    judged, counters, _ = run(tmp_path / "twice", list(again(ours)))
    assert said(judged) == said(undisturbed)
    assert counters["rejected", STREAM, "duplicate"] == len(ours) - ends
    assert counters["rejected", STREAM, "late"] == ends
    assert counters["events", STREAM, ""] == LUMISECTIONS * 300


def other(lumisection: int, *, producer: str = "ghost", **changes: Any) -> Outgoing:
    """A batch of a later-born producer: good, but for `changes` of its block or of its batch."""
    block = next(each for each in blocks() if isinstance(each, Block) and each.ls == lumisection)
    own = batch(replace(block, producer=producer, sequence=lumisection))
    headers, value = encode(replace(own, **changes))
    return Outgoing(TOPIC, value, headers, partition=block.partition, timestamp=EPOCH)


def test_lumisections_that_run_backwards_change_no_verdict(undisturbed: list[Judged], tmp_path: Path):
    """Producers that come back with lumisections long closed, last one first."""
    ours = good()
    half = len(ours) // 2
    late = [other(ls, producer=f"ghost-{ls}") for ls in range(8, 0, -1)]
    judged, counters, _ = run(tmp_path / "backwards", [*ours[:half], *late, *ours[half:]])
    assert said(judged) == said(undisturbed)
    assert counters["rejected", STREAM, "late"] == len(late)


def test_a_batch_of_another_width_is_refused_as_such(undisturbed: list[Judged], tmp_path: Path):
    ours = good()
    wide = [
        other(12, producer="narrow", inputs=np.zeros((150, 56), np.int16)),
        other(12, producer="wide", inputs=np.zeros((150, 58), np.int32)),
        other(12, producer="double", score=np.zeros((150, 2), np.int64)),
    ]
    start = next(i for i, each in enumerate(ours) if each.timestamp == EPOCH + 12 * DEFAULT.lumisection_seconds)
    judged, counters, _ = run(tmp_path / "width", [*ours[:start], *wide, *ours[start:]])
    assert counters["rejected", STREAM, "width"] == len(wide)
    assert said(judged) == said(undisturbed)


def test_a_lumisection_far_ahead_does_not_make_the_rest_late(undisturbed: list[Judged], tmp_path: Path):
    """One flipped bit in a lumisection's number must not close all that is still to come."""
    ours = good()
    block = next(each for each in blocks() if isinstance(each, Block))
    events = len(block)
    ahead = other(5, ls=np.full(events, 2**30, np.uint32))
    another_run = other(6, run=np.full(events, 2**31, np.uint32))
    headers, value = encode_end(EndOfLumisection(STREAM, Lumisection(RUN, 2**31), 5))
    end = Outgoing(TOPIC, value, headers, partition=0, timestamp=EPOCH)
    half = len(ours) // 2
    judged, counters, _ = run(tmp_path / "ahead", [*ours[:half], ahead, another_run, end, *ours[half:]])
    assert counters["rejected", STREAM, "values"] == 3
    assert said(judged) == said(undisturbed)


def test_unknown_pileup_everywhere_is_said_aloud_and_agreement_is_still_judged(tmp_path: Path):
    changed = [
        replace(each, pileup=np.full_like(each.pileup, np.nan)) if isinstance(each, Block) else each
        for each in blocks()
    ]
    judged, _, _ = run(tmp_path / "nan", list(produce(changed, site=DEFAULT)))
    assert len(judged) == LUMISECTIONS
    assert all(np.isnan(each.evidence.alarm) for each in judged)
    assert all("pile-up is unknown" in (each.evidence.unjudged or "") for each in judged)
    assert [str(each.verdict.level) for each in judged] == ["unknown"] * (ONSET - 1) + ["act"] * (
        LUMISECTIONS - ONSET + 1
    )
    assert all(each.verdict.blame == "firmware" for each in judged[ONSET - 1 :])


def test_once_pileup_is_known_again_it_is_learnt_from_and_conditions_are_judged(tmp_path: Path):
    dark = 6
    changed = [
        replace(each, pileup=np.full_like(each.pileup, np.nan)) if isinstance(each, Block) and each.ls <= dark else each
        for each in blocks()
    ]
    judged, _, _ = run(tmp_path / "dark", list(produce(changed, site=DEFAULT)))
    first = next(each.lumisection.ls for each in judged if each.evidence.unjudged is None)
    assert first == dark + LEARN + 1


def test_only_events_outside_the_model_s_format_are_left_uncompared(undisturbed: list[Judged], tmp_path: Path):
    """Batches with two impossible events in them: the other events are still compared, bit for bit."""
    changed: list[Block | End] = []
    for each in blocks():
        if isinstance(each, Block) and each.ls == 15:
            inputs = each.inputs.astype(np.int32)
            inputs[[0, 7], [3, 4]] = [2**15, -(2**31)]
            changed.append(replace(each, inputs=inputs))
        else:
            changed.append(each)
    judged, counters, metrics = run(tmp_path / "format", list(produce(changed, site=DEFAULT)))
    odd = next(each for each in judged if each.lumisection.ls == 15)
    assert odd.summary is not None
    assert dict(odd.summary.not_comparable) == {"outside-format": 4}  # two on each of two partitions
    assert (odd.summary.events, odd.summary.compared, odd.summary.mismatched) == (300, 296, 0)
    assert counters["not_comparable", STREAM, "outside-format"] == 4
    assert f'trigwatch_not_comparable_total{{reason="outside-format",stream="{STREAM}"}} 4.0' in metrics
    assert [each.verdict.level for each in judged] == [each.verdict.level for each in undisturbed]


def test_a_stream_whose_every_event_is_outside_the_format_is_unknown_and_says_what_to_check(tmp_path: Path):
    changed = [
        replace(each, inputs=each.inputs.astype(np.int32) + 2**20) if isinstance(each, Block) else each
        for each in blocks()
    ]
    judged, _, _ = run(tmp_path / "format", list(produce(changed, site=DEFAULT)))
    assert {(str(each.verdict.level), str(each.verdict.blame)) for each in judged} == {("unknown", "identity")}
    assert "none of it fits into the model's input bits" in judged[0].verdict.action
