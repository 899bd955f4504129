"""What lumisections are judged with: models, the Book, the battery, the rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.decide.case import Rules
from monitor.drift.battery import Battery
from monitor.reference.book import Book
from monitor.trigger.known import KnownConditions
from monitor.trigger.site import Site
from monitor.watch.calendar import Calendar
from monitor.watch.canary import Plan
from monitor.watch.shelf import Shelf


@dataclass(slots=True)
class Court:
    """Shared by all streams; only the Book and what is known are ever replaced."""

    shelf: Shelf
    book: Book
    battery: Battery
    rules: Rules
    site: Site
    calendar: Calendar
    learn_lumisections: int
    known: KnownConditions = field(default_factory=KnownConditions)
    canary: Plan = field(default_factory=lambda: Plan(faults=()))
