"""Warm-up: with no page in the Book, one is learnt from the first lumisections of the live stream itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from monitor.observe.summary import Summary
from monitor.reference.learn import FEWEST_LUMISECTIONS, learn_page
from monitor.reference.page import FEWEST_EVENTS, Page, PageKey
from monitor.trigger.pack import Unreadable, pack, unpack

WANTED = 40
REFRESH = 8
"""Lumisections beyond the learnt pile-up range after which the page is learnt anew, with them."""


@dataclass(frozen=True, slots=True, eq=False)
class Apprentice:
    """Learns one page from a live stream; a value that `taught` turns into the next.

    What it saw first it must call normal: a page that was learnt live knows one fill only, and assumes the wobble that
    it could not see. While pile-up moves out of the learnt range, those lumisections are learnt too, unjudged.

    Attributes
    ----------
    wanted
        Lumisections to learn before the first page.
    seen
        The summaries in the order of arrival, at most twice `wanted`; every second one is dropped when it gets longer.
    fresh
        How many of them the page does not know yet.
    page
        The page so far, or None.
    """

    wanted: int = WANTED
    seen: tuple[Summary, ...] = ()
    fresh: int = 0
    page: Page | None = None

    def __post_init__(self) -> None:
        if self.wanted < FEWEST_LUMISECTIONS:
            raise ValueError(f"{self.wanted} lumisections to learn: a page needs at least {FEWEST_LUMISECTIONS}")

    def taught(self, summary: Summary) -> Apprentice:
        """Return the apprentice after one lumisection. Another epoch's page, or another shape, starts from nothing."""
        if summary.events < FEWEST_EVENTS:
            return self
        if self.seen and _subject(summary) != _subject(self.seen[-1]):
            return Apprentice(wanted=self.wanted).taught(summary)
        if self.page is not None and self.page.unjudged(summary) is None:
            return self
        grown = replace(self, seen=_thinned((*self.seen, summary), most=2 * self.wanted), fresh=self.fresh + 1)
        due = REFRESH if self.page is not None else self.wanted
        if grown.fresh < due:
            return grown
        return replace(grown, page=learn_page(grown.seen), fresh=0)

    @property
    def words(self) -> str | None:
        """Why a lumisection is not judged: `learning 17 of 40`; None once there is a page."""
        return None if self.page is not None else f"learning {len(self.seen)} of {self.wanted}"

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        parts = {f"{i:04}": np.frombuffer(summary.to_bytes(), np.uint8) for i, summary in enumerate(self.seen)}
        if self.page is not None:
            parts["page"] = np.frombuffer(self.page.to_bytes(), np.uint8)
        return pack({"apprentice": self.wanted, "fresh": self.fresh}, parts)

    @classmethod
    def from_bytes(cls, content: bytes) -> Apprentice:
        """Read what `to_bytes` wrote; raises `Unreadable`."""
        names, parts = unpack(content)
        if "apprentice" not in names:
            raise Unreadable(f"{len(content)} bytes are packed, but are not an apprentice's state")
        page = parts.pop("page", None)
        return cls(
            wanted=names["apprentice"],
            seen=tuple(Summary.from_bytes(parts[name].tobytes()) for name in sorted(parts)),
            fresh=names["fresh"],
            page=None if page is None else Page.from_bytes(page.tobytes()),
        )


def _subject(summary: Summary) -> tuple[PageKey, str]:
    return PageKey.of(summary.key.stream, summary.key.epoch), summary.shape.digest()


def _thinned(seen: tuple[Summary, ...], *, most: int) -> tuple[Summary, ...]:
    # The newest stays: it is the one that reaches furthest.
    return seen if len(seen) <= most else seen[-1::-2][::-1]
