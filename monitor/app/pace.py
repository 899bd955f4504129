"""The daemon's own pace: how fast it reads and how far it is behind, and whether either has changed (ADWIN).

A monitor that slowly falls behind, or whose producers slowly dry up, breaks no rule on any single lumisection. river's
ADWIN (Bifet and Gavaldà, SDM 2007) keeps a window of readings and drops its older part where the two differ. It gives
no promise on false alarms, so a change is counted and shown, and calls nobody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EVERY_SECONDS = 1.0
THROUGHPUT, LAG = "throughput", "lag"


@dataclass(slots=True)
class Pace:
    """Watches records a second, and records waiting, one reading each `EVERY_SECONDS`.

    Both are read as octaves, log2(1 + value), so that what is a change does not depend on how large a stream is. It
    begins anew with every start of the daemon: another machine has another pace.
    """

    changes: dict[str, int] = field(default_factory=lambda: {THROUGHPUT: 0, LAG: 0})
    _detectors: Mapping[str, Any] | None = None
    _records: int = 0
    _since: float | None = None

    def take(self, records: int, *, now: float) -> bool:
        """Count `records` that were read until `now`, in seconds; return whether a reading is due."""
        if self._since is None:
            self._since = now
        self._records += records
        return now - self._since >= EVERY_SECONDS

    def read(self, lag: int, *, now: float) -> tuple[str, ...]:
        """Take a reading; `lag` is the records that wait, on all partitions. Return what has changed, if anything."""
        since = now if self._since is None else self._since
        seconds = max(now - since, EVERY_SECONDS)
        seen = {THROUGHPUT: self._records / seconds, LAG: float(lag)}
        self._records, self._since = 0, now
        if self._detectors is None:
            self._detectors = {name: _detector() for name in seen}
        changed = tuple(name for name, value in seen.items() if _changes(self._detectors[name], value))
        for name in changed:
            self.changes[name] += 1
        return changed


def _changes(detector: Any, value: float) -> bool:
    detector.update(math.log2(1.0 + max(value, 0.0)))
    return bool(detector.drift_detected)


def _detector() -> Any:
    # river takes seconds to import: here, where it is first needed, and not before.
    from river.drift import ADWIN  # noqa: PLC0415

    detector: Any = ADWIN
    return detector()
