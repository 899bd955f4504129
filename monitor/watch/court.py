"""What lumisections are judged with: models, the Book and what was added to it, the battery, the rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.decide.case import Rules
from monitor.drift.battery import Battery
from monitor.reference.book import Book
from monitor.reference.page import Page
from monitor.trigger.header import Epoch
from monitor.trigger.site import Site
from monitor.watch.calendar import Calendar
from monitor.watch.shelf import Shelf


@dataclass(slots=True)
class Court:
    """Shared by all streams. `learnt` holds the pages that were learnt while watching, where `book` has none."""

    shelf: Shelf
    book: Book
    battery: Battery
    rules: Rules
    site: Site
    calendar: Calendar
    learn_lumisections: int
    learnt: Book = field(default_factory=lambda: Book({}))

    def open(self, stream: str, epoch: Epoch) -> Page | None:
        """Return what is normal for an epoch; a page that people promoted comes before one learnt while watching."""
        return self.book.open(stream, epoch) or self.learnt.open(stream, epoch)

    def learn(self, page: Page) -> None:
        """Add a page that was learnt while watching."""
        self.learnt = self.learnt.plus(page)
