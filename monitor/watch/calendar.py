"""When a lumisection is over: the settings of the calendar and the words for what comes at the wrong time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calendar:
    """How long to wait, and what is too far off to be believed. Seconds.

    Attributes
    ----------
    lateness
        A lumisection is closed without its end record when later lumisections have been seen on its partition for this
        long in record time; the aggregator waits this long in its own time for partitions that are behind.
    silence
        A partition that has sent nothing of a stream for this long closes what it has open; a stream that has closed
        nothing for this long is UNKNOWN.
    ahead_lumisections, ahead_runs
        How far a lumisection may lie ahead of the newest one of its run (in a new run: of its start), and a run ahead
        of the newest run. Beyond that, it takes two records to be believed: a single corrupt number would otherwise
        make everything after it late for ever.
    most_open, most_epochs, most_producers
        How many lumisections a partition may hold open, how many epochs (model, menu, firmware, prescale column) one of
        them, and how many producers' sequences are remembered.
    """

    lateness: float = 60.0
    silence: float = 75.0
    ahead_lumisections: int = 100
    ahead_runs: int = 1_000
    most_open: int = 64
    most_epochs: int = 16
    most_producers: int = 256
