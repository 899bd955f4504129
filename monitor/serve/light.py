"""The level that may be shown now: a verdict that nobody renews ages into UNKNOWN, never stays OK."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.decide.verdict import Blame, Level
from monitor.serve.view import Snapshot, StreamView

MEANING = {
    Blame.NONE: "Model, hardware and detector agree with what is expected.",
    Blame.IDENTITY: "The model that ran is not the model that was announced.",
    Blame.FIRMWARE: "Hardware and emulation disagree on the same inputs.",
    Blame.DETECTOR: "The detector's inputs moved; hardware and emulation agree.",
    Blame.CONDITIONS: "Beam or running conditions moved; hardware and emulation agree.",
    Blame.STREAM: "The data stream is incomplete or silent.",
    Blame.MONITOR: "trigwatch itself cannot judge this stream.",
}


@dataclass(frozen=True, slots=True)
class Light:
    """What one stream's light shows; `reason` is one sentence."""

    level: Level
    blame: Blame
    reason: str


def stale(snapshot: Snapshot, now: float) -> bool:
    """Return whether the loop has stopped making snapshots; `now` in seconds since the epoch."""
    return not now - snapshot.now <= snapshot.stale_after


def light(snapshot: Snapshot, stream: StreamView, *, now: float) -> Light:
    """Return what `stream` shows at `now`, seconds since the epoch: its verdict, or UNKNOWN where that is too old."""
    if stale(snapshot, now):
        age = now - snapshot.now
        return Light(Level.UNKNOWN, Blame.MONITOR, f"The daemon's loop has not answered for {age:.0f} seconds.")
    if stream.verdict is None or stream.judged_at is None:
        word = snapshot.site.lumisection_word
        return Light(Level.UNKNOWN, Blame.MONITOR, f"No {word} of this stream has been judged yet.")
    if not now - stream.judged_at <= stream.silent_after:
        age = now - stream.judged_at
        return Light(Level.UNKNOWN, Blame.STREAM, f"No new verdict for {age:.0f} seconds: the stream is silent.")
    return Light(stream.verdict.level, stream.verdict.blame, MEANING[stream.verdict.blame])


def healthy(snapshot: Snapshot, now: float) -> tuple[str, ...]:
    """Return why the daemon is not healthy at `now`; empty if it is."""
    if stale(snapshot, now):
        return (f"the loop has not answered for {now - snapshot.now:.0f} seconds", *snapshot.problems)
    return snapshot.problems
