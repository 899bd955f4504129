"""What the battery remembers of one stream between lumisections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.pack import Unreadable, pack, unpack
from monitor.drift.edetector import fresh
from monitor.drift.mismatch import Mismatch
from monitor.drift.second_opinion import Opinion
from monitor.drift.trail import Trail
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection


@dataclass(frozen=True, slots=True, eq=False)
class BatteryState:
    """One stream's detectors; a value, canonical in bytes: a restart goes on where it stopped, bit for bit.

    Attributes
    ----------
    epoch
        The epoch that the detectors belong to, None before the first lumisection. A new one starts them anew.
    page
        Id of the page that they were run against, or None.
    age
        Lumisections judged against that page.
    log_m : float32 (b, 2, q)
        ln of the e-detectors, for the page's live quantities.
    """

    epoch: Epoch | None
    page: str | None
    age: int
    log_m: NDArray[np.float32]
    trail: Trail
    mismatch: Mismatch
    opinion: Opinion

    @classmethod
    def begin(cls, epoch: Epoch | None = None, *, watched: int = 0) -> BatteryState:
        """Return the state before the first lumisection of an epoch; river will watch `watched` quantities."""
        return cls(epoch, None, 0, fresh(0), Trail.fresh(0), Mismatch.fresh(), Opinion.fresh(watched))

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        epoch, since = self.epoch, self.mismatch.since
        names = {
            "epoch": epoch and [epoch.model, epoch.digest, epoch.menu, epoch.firmware, epoch.prescale_column],
            "page": self.page,
            "age": self.age,
            "mismatch": [since and list(since), self.mismatch.compared, self.mismatch.mismatched],
        }
        return pack(
            names,
            {
                "log_m": self.log_m,
                "start": self.trail.start,
                "length": self.trail.length,
                "total": self.trail.total,
                "cusum": self.trail.cusum,
                "back": self.trail.back,
                "mismatch.log_m": self.mismatch.log_m,
                "mismatch.back": np.asarray([self.mismatch.back]),
                "residuals": self.opinion.residuals,
                "mismatches": self.opinion.mismatches,
            },
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> BatteryState:
        """Read what `to_bytes` wrote; raises `Unreadable`."""
        names, arrays = unpack(content)
        try:
            since, compared, mismatched = names["mismatch"]
            mark = None if since is None else Lumisection(*since)
            back = float(arrays["mismatch.back"][0])
            return cls(
                epoch=None if names["epoch"] is None else Epoch(*names["epoch"]),
                page=names["page"],
                age=names["age"],
                log_m=arrays["log_m"],
                trail=Trail(*(arrays[name] for name in ("start", "length", "total", "cusum", "back"))),
                mismatch=Mismatch(arrays["mismatch.log_m"], mark, compared, mismatched, back),
                opinion=Opinion(arrays["residuals"], arrays["mismatches"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"{len(content)} bytes are packed, but are not a battery's state: {error}") from error
