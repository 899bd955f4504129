"""What lumisections are judged with: models, the Book, the battery, the rules."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.decide.case import Rules
from monitor.drift.battery import Battery
from monitor.reference.book import Book
from monitor.trigger.site import Site
from monitor.watch.calendar import Calendar
from monitor.watch.shelf import Shelf


@dataclass(slots=True)
class Court:
    """Shared by all streams; only the Book is ever replaced."""

    shelf: Shelf
    book: Book
    battery: Battery
    rules: Rules
    site: Site
    calendar: Calendar
    learn_lumisections: int
