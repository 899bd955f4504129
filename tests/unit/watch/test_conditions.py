"""What one stream's conditions remember from one epoch to the next."""

from __future__ import annotations

from dataclasses import replace

from monitor.decide.case import Rules
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.evidence import Completeness
from monitor.observe.summary import Summary
from monitor.reference.book import Book
from monitor.trigger.known import Known, KnownConditions
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import DEFAULT
from monitor.watch.conditions import Conditions
from monitor.watch.court import Court
from tests.unit.reference.fills import fill
from tests.unit.watch.benches import CALENDAR
from tests.unit.watch.plays import Library


def court() -> Court:
    battery = Battery(Budget(lumisection_seconds=DEFAULT.lumisection_seconds))
    return Court(Library(), Book({}), battery, Rules(), DEFAULT, CALENDAR, learn_lumisections=40)


def whole(summary: Summary) -> Completeness:
    return Completeness(summary.events, summary.events)


def of_column(summary: Summary, column: str) -> Summary:
    return replace(summary, key=replace(summary.key, epoch=replace(summary.key.epoch, prescale_column=column)))


def test_a_new_prescale_column_goes_on_with_what_is_known_of_how_the_machine_is_filled():
    conditions, judges, rows = Conditions("scout", None), court(), list(fill(7, lumisections=9))
    for row, column in zip(rows, "aaabbbacc", strict=True):
        conditions.step(of_column(row, column), whole(row), judges)
    newest = list(conditions._states.values())[-1]
    before_it = rows[6].events + 3 * rows[0].events  # column a has seen its own lumisections, and c goes on from there
    assert newest.filling.run == 7
    assert newest.filling.events.sum() == before_it + rows[7].events + rows[8].events


def test_another_run_begins_anew():
    conditions, judges = Conditions("scout", None), court()
    for row in (*fill(7, lumisections=2), *(of_column(each, "b") for each in fill(8, lumisections=1))):
        conditions.step(row, whole(row), judges)
    (_, newest) = conditions._states.values()
    assert (newest.filling.run, newest.filling.events.sum()) == (8, 400)


def test_while_something_is_known_nothing_is_learnt_and_that_is_said():
    mask = Known("HEM15 off", Lumisection(7, 3), Lumisection(7, 4), object="jet")
    conditions, judges = Conditions("scout", None), court()
    judges.known = KnownConditions((mask,))
    said = [conditions.step(row, whole(row), judges).unjudged or "" for row in fill(7, lumisections=6)]
    assert [each.split(";")[0].split(",")[0] for each in said] == [f"learning {n} of 40" for n in (0, 1, 2, 2, 2, 3)]
    reason = "nothing is learnt while HEM15 off is known: build a Book from recorded fills"
    assert [reason in each for each in said] == [False, False, True, True, False, False]
