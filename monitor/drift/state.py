"""What the battery remembers of one stream between lumisections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.pack import Unreadable, pack, unpack
from monitor.drift.anchor import Anchor
from monitor.drift.bench import Bench
from monitor.drift.filling import Filling
from monitor.drift.mismatch import Mismatch
from monitor.drift.scan import Scan, Sightings
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
    steady, anchored
        Detectors of the page's live quantities: against the page, and against where the run has been (`anchor`).
    scan
        Detectors of the windows of the eta-phi grids.
    filling
        Where in the orbit this run's events lie; an epoch's end leaves it as it is.
    """

    epoch: Epoch | None
    page: str | None
    age: int
    steady: Bench
    anchored: Bench
    anchor: Anchor
    scan: Scan
    mismatch: Mismatch
    opinion: Opinion
    filling: Filling

    @classmethod
    def begin(cls, epoch: Epoch | None = None, *, watched: int = 0, filling: Filling | None = None) -> BatteryState:
        """Return the state before the first lumisection of an epoch; river will watch `watched` quantities."""
        return cls(
            epoch=epoch,
            page=None,
            age=0,
            steady=Bench.fresh(0),
            anchored=Bench.fresh(0),
            anchor=Anchor.fresh(0),
            scan=Scan.fresh(0),
            mismatch=Mismatch.fresh(),
            opinion=Opinion.fresh(watched),
            filling=filling or Filling.fresh(),
        )

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        epoch, since = self.epoch, self.mismatch.since
        names = {
            "epoch": epoch and [epoch.model, epoch.digest, epoch.menu, epoch.firmware, epoch.prescale_column],
            "page": self.page,
            "age": self.age,
            "run": self.anchor.run,
            "filling": self.filling.run,
            "mismatch": [since and list(since), self.mismatch.compared, self.mismatch.mismatched],
        }
        return pack(
            names,
            {
                **_bench(self.steady, "steady"),
                **_bench(self.anchored, "anchored"),
                "anchor.length": self.anchor.length,
                "anchor.precision": self.anchor.precision,
                "anchor.total": self.anchor.total,
                "scan.m": self.scan.m,
                **{f"scan.{name}": getattr(self.scan.sightings, name) for name in Sightings.__slots__},
                "mismatch.log_m": self.mismatch.log_m,
                "mismatch.back": np.asarray([self.mismatch.back]),
                "residuals": self.opinion.residuals,
                "mismatches": self.opinion.mismatches,
                "filling": self.filling.events,
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
                steady=_read_bench(arrays, "steady"),
                anchored=_read_bench(arrays, "anchored"),
                anchor=Anchor(names["run"], *(arrays[f"anchor.{name}"] for name in ("length", "precision", "total"))),
                scan=Scan(arrays["scan.m"], Sightings(*(arrays[f"scan.{name}"] for name in Sightings.__slots__))),
                mismatch=Mismatch(arrays["mismatch.log_m"], mark, compared, mismatched, back),
                opinion=Opinion(arrays["residuals"], arrays["mismatches"]),
                filling=Filling(names["filling"], arrays["filling"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"{len(content)} bytes are packed, but are not a battery's state: {error}") from error


_TRAIL = ("start", "length", "total", "moment", "cusum", "back")


def _bench(bench: Bench, name: str) -> dict[str, NDArray[Any]]:
    return {f"{name}.log_m": bench.log_m, **{f"{name}.{part}": getattr(bench.trail, part) for part in _TRAIL}}


def _read_bench(arrays: dict[str, NDArray[Any]], name: str) -> Bench:
    return Bench(arrays[f"{name}.log_m"], Trail(*(arrays[f"{name}.{part}"] for part in _TRAIL)))
