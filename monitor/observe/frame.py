"""What some quantities are measured relative to, and no summary knows by itself."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.observe.axes import Axes
from monitor.observe.trains import Trains


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Where the trains of this run lie in the orbit, and the reference's axes; None where it is not known (yet)."""

    trains: Trains | None = None
    axes: Axes | None = None


UNKNOWN = Frame()
