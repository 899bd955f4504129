"""Whatever comes in whatever order: no firmware fault, no wrong model and no local fault is answered with training."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.decide.case import Case, Culprit, Rules
from monitor.decide.judge import Judgement
from monitor.decide.verdict import Blame
from monitor.drift.evidence import AcceptRate, Completeness, Shift, Where
from monitor.trigger.lumisection import Lumisection
from tests.unit.decide.cases import FED_WRONGLY, OTHER, Bench, at, case

RULES = Rules(persistent_after=3, clear_after=3)
MOVED = AcceptRate(0.02, 0.01, 0.0005)

ratios = st.sampled_from([0.0, 0.3, 0.6, 0.99, 1.0, 1.5, 4.0])
spans = st.tuples(st.floats(-3, 0), st.floats(0.1, 3))
places = st.builds(
    Where,
    object=st.sampled_from([None, "jet", "muon", "met"]),
    eta=st.none() | spans,
    phi=st.none() | spans,
)
nowhere = st.builds(Where, object=st.sampled_from([None, "jet", "muon", "met"]))
somewhere = places.filter(lambda place: place.eta is not None or place.phi is not None)


def shifts(first: st.SearchStrategy[Where], rest: st.SearchStrategy[Where]) -> st.SearchStrategy[tuple[Shift, ...]]:
    some = st.tuples(first, st.lists(rest, max_size=4))
    return some.map(lambda found: shifts_at(found[0], *found[1]))


def shifts_at(*where: Where) -> tuple[Shift, ...]:
    return tuple(
        Shift("jet[0] pt", "response", 2.0, 1, 2.0, 1.0, 0.1, 0.05, Lumisection(1, 1), place) for place in where
    )


@st.composite
def stories(
    draw: st.DrawFn,
    *,
    mismatch: st.SearchStrategy[float] = ratios,
    moved: st.SearchStrategy[tuple[Shift, ...]] = shifts(places, places),  # noqa: B008 - a strategy is a value
    compared: st.SearchStrategy[int] = st.sampled_from([1000, 1000, 1000, 0]),  # noqa: B008 - as above
) -> list[Case]:
    """Return a run of lumisections in which anything may happen at any time."""
    return [
        case(
            ls,
            mismatch=draw(mismatch),
            alarm=draw(ratios),
            shifts=draw(moved),
            accept=draw(st.sampled_from([None, MOVED])),
            culprit=draw(st.sampled_from([None, OTHER, FED_WRONGLY, Culprit("v1", "", "", 1, 9)])),
            compared=draw(compared),
            arrived=draw(
                st.sampled_from([Completeness(1000, 1000), Completeness(1000, 1000), Completeness(500, 1000)])
            ),
        )
        for ls in range(1, draw(st.integers(3, 25)))
    ]


def judged(story: list[Case]) -> list[tuple[Case, Judgement]]:
    bench = Bench(RULES)
    return [(each, bench.take(each)) for each in story]


@settings(max_examples=300, deadline=None)
@given(stories())
def test_whoever_is_to_blame_when_training_is_proposed_it_is_neither_firmware_nor_identity(story: list[Case]) -> None:
    for each, done in judged(story):
        if done.request is not None:
            assert done.verdict.blame in {Blame.DETECTOR, Blame.CONDITIONS}
            assert each.evidence.agreement.ratio < RULES.warning or not each.evidence.agreement.compared
            assert done.verdict.where.eta is None
            assert done.verdict.where.phi is None


@settings(max_examples=200, deadline=None)
@given(stories(mismatch=st.sampled_from([0.5, 1.0, 3.0]), compared=st.just(1000)))
def test_while_scores_differ_nothing_is_proposed(story: list[Case]) -> None:
    assert [done.request for _, done in judged(story) if done.request] == []


@settings(max_examples=200, deadline=None)
@given(stories(mismatch=st.just(0.0), moved=shifts(somewhere, places)))
def test_a_fault_with_a_place_is_never_answered_with_training(story: list[Case]) -> None:
    assert [done.request for _, done in judged(story) if done.request] == []


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_nor_is_one_whose_place_is_lost_now_and_then(data: st.DataObject) -> None:
    """Every second lumisection at most says nothing of the place, and the first says where it is."""
    local = st.just(0.0), shifts(somewhere, places)
    lost = st.just(0.0), shifts(nowhere, nowhere)
    story = []
    for ls in range(1, data.draw(st.integers(4, 16))):
        mismatch, moved = lost if ls % 2 == 0 and data.draw(st.booleans()) else local
        story.append(case(ls, mismatch=data.draw(mismatch), alarm=2.0, shifts=data.draw(moved), accept=MOVED))
    assert [done.request for _, done in judged(story) if done.request] == []


def test_nothing_is_proposed_in_the_very_lumisection_that_shows_a_place() -> None:
    """The place goes again, so that everything that had moved has: what is left must last anew."""
    general, placed = case(1, alarm=2.0, accept=MOVED), shifts_at(Where(phi=(1.0, 2.0)))
    story = [
        at(replace(general, evidence=replace(general.evidence, shifts=placed * (ls == 3))), ls) for ls in range(1, 9)
    ]
    assert [each.evidence.lumisection.ls for each, done in judged(story) if done.request] == [6]


@settings(max_examples=200, deadline=None)
@given(stories(mismatch=st.just(0.0), moved=shifts(nowhere, nowhere)))
def test_an_episode_is_answered_once(story: list[Case]) -> None:
    ids = [done.request.id for _, done in judged(story) if done.request]
    assert len(ids) == len(set(ids))


def test_the_stories_do_lead_to_proposals() -> None:
    """Else all of the above would hold for nothing."""
    story = [case(ls, alarm=2.0, accept=MOVED) for ls in range(1, 9)]
    assert [done.request is not None for _, done in judged(story)].count(True) == 1
