"""Warm-up: with no page in the Book, one is learnt from the first lumisections of the live stream itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, nan

import numpy as np

from emulator.pack import Unreadable, pack, unpack
from monitor.observe.summary import Summary
from monitor.reference.learn import FEWEST_LUMISECTIONS, learn_page
from monitor.reference.page import FEWEST_EVENTS, Page, PageKey

WANTED = 40
CLEAN = 0.5
"""Alarm ratio from which on a lumisection is not taken for normal."""
EDGE = 0.25
"""Share of the learnt pile-up range, beyond it, at which the page is learnt anew with what came since."""


@dataclass(frozen=True, slots=True, eq=False)
class Apprentice:
    """Learns one page from a live stream; a value that `taught` turns into the next.

    What it saw first it must call normal: a page that was learnt live knows one fill only, and assumes the wobble that
    it could not see. Pile-up moves on during a fill: lumisections without an alarm are taken in, and when they reach
    beyond the learnt range, the page is learnt anew. What grows more slowly than the range does is learnt too: a Book
    of reference fills has no such blind spot.

    Attributes
    ----------
    wanted
        Lumisections to learn before the first page.
    seen
        Clean summaries in the order of arrival, at most half as many again; then every second one is dropped.
    page
        The page so far, or None.
    doubtful
        True after an alarm: then nothing beyond the learnt range is taken for normal.
    """

    wanted: int = WANTED
    seen: tuple[Summary, ...] = ()
    page: Page | None = None
    doubtful: bool = False

    def __post_init__(self) -> None:
        if self.wanted < FEWEST_LUMISECTIONS:
            raise ValueError(f"{self.wanted} lumisections to learn: a page needs at least {FEWEST_LUMISECTIONS}")

    def taught(self, summary: Summary, *, alarm: float = nan) -> Apprentice:
        """Return the apprentice after one lumisection, of which its page said `alarm` (NaN: not judged).

        Another stream, model, menu or prescale column, or another shape, starts from nothing.
        """
        if summary.events < FEWEST_EVENTS or not isfinite(summary.pileup):
            return self  # without pile-up, its decay would be learnt as what is normal, or found as a drift
        if self.seen and _subject(summary) != _subject(self.seen[-1]):
            return Apprentice(wanted=self.wanted).taught(summary)
        doubtful = alarm >= CLEAN if isfinite(alarm) else self.doubtful
        judged = replace(self, doubtful=doubtful)
        return judged if doubtful else judged.grown(summary)

    def grown(self, summary: Summary) -> Apprentice:
        """Return the apprentice with one clean lumisection more, and with a new page where it is time for one."""
        grown = replace(self, seen=_thinned((*self.seen, summary), most=self.wanted * 3 // 2))
        due = len(grown.seen) >= self.wanted if self.page is None else _beyond(self.page, summary.pileup)
        return replace(grown, page=learn_page(grown.seen)) if due else grown

    @property
    def words(self) -> str | None:
        """Why a lumisection is not judged: `learning 17 of 40`; None once there is a page."""
        return None if self.page is not None else f"learning {len(self.seen)} of {self.wanted}"

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        parts = {f"{i:04}": np.frombuffer(summary.to_bytes(), np.uint8) for i, summary in enumerate(self.seen)}
        if self.page is not None:
            parts["page"] = np.frombuffer(self.page.to_bytes(), np.uint8)
        return pack({"apprentice": self.wanted, "doubtful": self.doubtful}, parts)

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
            page=None if page is None else Page.from_bytes(page.tobytes()),
            doubtful=names["doubtful"],
        )


def _subject(summary: Summary) -> tuple[PageKey, str]:
    return PageKey.of(summary.key.stream, summary.key.epoch), summary.shape.digest()


def _beyond(page: Page, pileup: float) -> bool:
    edge = EDGE * (page.high - page.low)
    return not page.low - edge <= pileup <= page.high + edge if isfinite(pileup) and isfinite(edge) else False


def _thinned(seen: tuple[Summary, ...], *, most: int) -> tuple[Summary, ...]:
    # The newest stays: it is the one that reaches furthest.
    return seen if len(seen) <= most else seen[-1::-2][::-1]
