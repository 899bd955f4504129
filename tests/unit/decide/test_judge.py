"""The judge: the table in its order, episodes that hold, and only changes spoken."""

from __future__ import annotations

import json

import pytest

from monitor.decide.action import Kind
from monitor.decide.announce import conclude
from monitor.decide.case import Case, Rules
from monitor.decide.judge import Judgement
from monitor.decide.table import TABLE, as_markdown
from monitor.decide.verdict import Level
from monitor.drift.evidence import Completeness
from monitor.trigger.lumisection import Lumisection
from tests.unit.decide.cases import ETA, FED_WRONGLY, OTHER, Bench, at, case, shift

LOST = Completeness(900, 1000)
NO_PARTITION = Completeness(500, 500, missing_partitions=(1,))
FAILED = {"compared": 0, "not_comparable": {"emulator-failed": 1000}}
NOBODY = {"compared": 0, "not_comparable": {"unknown-model": 1000}}
LOCAL = (shift(eta=ETA),)
GENERAL = (shift(), shift("muon[0] pt", "muon"))


def kinds(done: Judgement) -> list[Kind]:
    return [action.kind for action in done.actions]


@pytest.mark.parametrize(
    ("given", "level", "blame"),
    [
        (case(), "ok", "none"),
        (case(reference=None), "unknown", "none"),
        (case(mismatch=1.0), "act", "firmware"),
        (case(mismatch=1.0, culprit=OTHER), "act", "identity"),
        (case(mismatch=1.0, culprit=FED_WRONGLY), "act", "firmware"),
        (case(mismatch=0.5), "watch", "firmware"),
        (case(mismatch=0.49), "ok", "none"),
        (case(alarm=1.0, shifts=GENERAL), "act", "conditions"),
        (case(alarm=1.0, shifts=LOCAL), "act", "detector"),
        (case(alarm=1.0, shifts=(shift(), shift("met pt", "met"))), "act", "detector"),
        (case(alarm=1.0, shifts=(shift("accept rate", None),)), "act", "conditions"),
        (case(alarm=0.5, shifts=GENERAL), "watch", "conditions"),
        (case(arrived=LOST), "unknown", "stream"),
        (case(arrived=NO_PARTITION), "unknown", "stream"),
        (case(arrived=Completeness(999, 1000)), "watch", "stream"),
        (case(arrived=Completeness(1001, 1000)), "watch", "stream"),
        (case(arrived=Completeness(1000, None, lost_batches=1)), "watch", "stream"),
        (case(skipped=2), "watch", "stream"),
        (case(**NOBODY), "unknown", "identity"),
        (case(**FAILED), "unknown", "monitor"),
        (case(not_comparable={"emulator-failed": 3}), "watch", "monitor"),
        (case(events=0, compared=0), "unknown", "none"),
        (case(events=0, compared=0, silent_since=Lumisection(1, 1)), "unknown", "stream"),
    ],
)
def test_evidence_leads_to_its_row(given: Case, level: str, blame: str) -> None:
    assert Bench().level(given) == (level, blame)


@pytest.mark.parametrize(
    ("given", "level", "blame"),
    [
        (case(mismatch=2.0, alarm=2.0, shifts=GENERAL), "act", "firmware"),
        (case(mismatch=2.0, arrived=NO_PARTITION), "act", "firmware"),
        (case(alarm=2.0, shifts=GENERAL, arrived=NO_PARTITION), "unknown", "stream"),
        (case(alarm=2.0, shifts=GENERAL, **NOBODY), "act", "conditions"),
        (case(mismatch=0.7, alarm=2.0, shifts=GENERAL), "act", "conditions"),
        (case(mismatch=0.7, reference=None), "watch", "firmware"),
        (case(mismatch=0.7, alarm=0.7, shifts=GENERAL), "watch", "firmware"),
        (case(reference=None, arrived=Completeness(999, 1000)), "watch", "stream"),
    ],
)
def test_the_questions_keep_their_order_and_doubt_never_hides_proof(given: Case, level: str, blame: str) -> None:
    assert Bench().level(given) == (level, blame)


def test_an_episode_holds_until_the_evidence_has_been_away_for_long_enough() -> None:
    bench = Bench(Rules(clear_after=3))
    levels = [bench.level(case(1, alarm=1.2, shifts=LOCAL))]
    levels += [bench.level(case(ls)) for ls in (2, 3, 4)]
    assert levels == [("act", "detector")] * 3 + [("ok", "none")]


def test_an_episode_falls_to_watch_before_it_ends() -> None:
    bench = Bench(Rules(clear_after=2))
    bench.level(case(1, alarm=1.2, shifts=LOCAL))
    levels = [bench.level(case(ls, alarm=0.7, shifts=LOCAL)) for ls in (2, 3)]
    levels += [bench.level(case(ls)) for ls in (4, 5)]
    assert levels == [("act", "detector"), ("watch", "detector"), ("watch", "detector"), ("ok", "none")]


def test_what_cannot_be_answered_is_taken_back_at_once() -> None:
    bench = Bench()
    assert bench.level(case(1, arrived=NO_PARTITION)) == ("unknown", "stream")
    assert bench.level(case(2)) == ("watch", "stream")
    assert bench.level(case(3, reference=None)) == ("watch", "stream")


def test_a_lossy_stream_does_not_flap() -> None:
    bench = Bench()
    levels = {bench.level(case(ls, arrived=LOST if ls % 2 else Completeness(999, 1000))) for ls in range(1, 9)}
    assert levels == {("unknown", "stream")}


def test_an_alarm_outlasts_lumisections_that_cannot_be_judged() -> None:
    bench = Bench(Rules(clear_after=2))
    first = bench.take(case(1, alarm=1.2, shifts=LOCAL)).verdict
    assert [bench.level(case(ls, arrived=NO_PARTITION)) for ls in (2, 3, 4)] == [("unknown", "stream")] * 3
    again = bench.take(case(5, alarm=1.1, shifts=LOCAL)).verdict
    assert (again.id, again.since) == (first.id, first.since)


def test_the_change_point_is_kept_for_the_whole_episode() -> None:
    bench = Bench()
    bench.take(case(7, alarm=0.6, shifts=(shift(since=6, eta=ETA),)))
    risen = bench.take(case(8, alarm=1.2, shifts=(shift(since=4, eta=ETA),))).verdict
    later = bench.take(case(9, alarm=1.4, shifts=(shift(since=8, eta=ETA),))).verdict
    assert (risen.since.ls, later.since.ls) == (4, 4)
    assert Bench().take(case(9, mismatch=2.0, mismatch_since=5)).verdict.since.ls == 5


def test_a_change_point_is_never_in_the_future() -> None:
    assert Bench().take(case(3, alarm=1.2, shifts=(shift(since=9),))).verdict.since.ls == 3


def test_the_blame_changes_only_when_the_evidence_insists() -> None:
    bench = Bench(Rules(clear_after=3))
    blames = [bench.level(case(ls, alarm=1.2, shifts=LOCAL if ls < 3 else GENERAL))[1] for ls in range(1, 7)]
    assert blames == ["detector"] * 4 + ["conditions"] * 2


def test_nobody_is_called_to_and_fro() -> None:
    bench = Bench(Rules(clear_after=3))
    stories = [case(ls, alarm=1.2, shifts=GENERAL if ls // 8 % 2 else LOCAL) for ls in range(1, 60)]
    pages = [action for each in stories for action in bench.take(each).actions if action.kind is Kind.PAGE]
    assert [page.payload["blame"] for page in pages] == ["detector", "conditions"]


def test_only_changes_are_spoken() -> None:
    bench = Bench(Rules(clear_after=2))
    spoken = [kinds(bench.take(each)) for each in (case(1), case(2), case(3, mismatch=2.0), case(4, mismatch=2.0))]
    assert spoken == [[], [], [Kind.VERDICT, Kind.ANNOTATE, Kind.PAGE], []]
    assert [kinds(bench.take(case(ls))) for ls in (5, 6)] == [[], [Kind.PAGE, Kind.VERDICT, Kind.ANNOTATE]]
    resolved, ended, _ = bench.said[-1].actions
    assert (resolved.payload["status"], ended.payload["change"]) == ("resolved", "ended")
    assert resolved.payload["id"] == bench.said[2].verdict.id == ended.payload["previous"]["id"]


def test_a_page_is_not_resolved_because_the_stream_died() -> None:
    bench = Bench(Rules(clear_after=2))
    bench.take(case(1, alarm=1.2, shifts=LOCAL))
    spoken = [kinds(bench.take(case(ls, arrived=NO_PARTITION))) for ls in range(2, 9)]
    assert Kind.PAGE not in {kind for each in spoken for kind in each}


def test_a_page_of_conditions_is_over_once_the_firmware_is_known_to_be_broken() -> None:
    bench = Bench(Rules(clear_after=2))
    bench.take(case(1, alarm=1.2, shifts=GENERAL))
    done = [bench.take(case(ls, mismatch=3.0, alarm=1.2, shifts=GENERAL)) for ls in (2, 3)]
    pages = [(a.payload["status"], a.payload["blame"]) for each in done for a in each.actions if a.kind is Kind.PAGE]
    assert sorted(pages) == [("firing", "firmware"), ("resolved", "conditions")]


def test_a_model_that_is_gone_resolves_its_pages() -> None:
    bench = Bench()
    first = bench.take(case(1, mismatch=2.0)).verdict
    (page,) = conclude(bench.standing, Lumisection(1, 9))
    assert (page.payload["id"], page.payload["status"]) == (first.id, "resolved")


def test_ids_are_the_same_in_every_replay_and_differ_between_episodes() -> None:
    story = [case(1), case(2, mismatch=2.0), *[case(ls) for ls in range(3, 9)], case(9, mismatch=2.0)]
    one, other = Bench(), Bench()
    ids = [one.take(each).verdict.id for each in story]
    assert ids == [other.take(each).verdict.id for each in story]
    assert ids[1] == ids[2] != ids[-1]
    actions = [action.id for done in one.said for action in done.actions]
    assert len(actions) == len(set(actions))


def test_a_verdict_is_json() -> None:
    for given in (case(alarm=1.2, shifts=LOCAL), case(mismatch=2.0, culprit=OTHER), case(reference=None)):
        done = Bench().take(given)
        json.dumps([done.verdict.to_json(), *[dict(a.payload) for a in done.actions]], allow_nan=False)


def test_every_row_has_a_sentence_for_the_person_on_shift() -> None:
    reached = {
        "mismatch": case(mismatch=1.0),
        "silent": case(events=0, compared=0, silent_since=Lumisection(1, 1)),
        "incomplete": case(arrived=LOST),
        "drift": case(alarm=1.0, shifts=LOCAL),
        "unidentified": case(**NOBODY),
        "not emulated": case(**FAILED),
        "no events": case(events=0, compared=0),
        "flawed": case(skipped=1),
        "partly emulated": case(not_comparable={"emulator-failed": 3}),
        "suspicion": case(mismatch=0.6),
        "no reference": case(reference=None),
        "drifting": case(alarm=0.6, shifts=GENERAL),
    }
    assert list(reached) == [row.name for row in TABLE]
    sentences = [Bench().take(at(given, 5)).verdict.action for given in reached.values()]
    assert len(set(sentences)) == len(TABLE)
    assert all(sentence.endswith(".") for sentence in sentences)


def test_the_table_draws_itself() -> None:
    lines = as_markdown(Rules(incomplete=0.05)).splitlines()
    assert len(lines) == 2 + len(TABLE) + 1
    assert "5 % or more of the declared events" in lines[4]
    assert all(line.count("|") == 7 for line in lines)
    assert {row.level for row in TABLE} == {Level.ACT, Level.WATCH, Level.UNKNOWN}
