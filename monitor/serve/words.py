"""The page's sentences: a verdict and its numbers in the words of a control room."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from monitor.decide.verdict import Blame, Level
from monitor.drift.evidence import Completeness, Evidence, Shift, Where
from monitor.serve.axis import number
from monitor.serve.light import Light
from monitor.serve.view import StreamView
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import Site

PLACE = re.compile(r"\s*\b(eta|phi) [\[(][^\])]*[\])]")
THIN = "\N{NARROW NO-BREAK SPACE}"


def clock(seconds: float) -> str:
    """Return the time of day in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def moment(seconds: float) -> str:
    """Return date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Return a time span as people say it."""
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 120:
        return f"{max(seconds, 0):.0f}{THIN}s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f}{THIN}min"
    return f"{seconds / 3600:.1f}{THIN}h"


def since(begun: Lumisection, latest: Lumisection, site: Site) -> str:
    """Return since when, in lumisections and, within one run, in minutes."""
    short = site.lumisection_short
    if begun.run != latest.run:
        return f"run {begun.run}, {short} {begun.ls} (an earlier run)"
    elapsed = latest.ls - begun.ls + 1
    about = duration(elapsed * site.lumisection_seconds)
    return f"{short} {begun.ls} of run {begun.run}: {elapsed} {short}, about {about}"


def where(place: Where) -> str:
    """Return the place in the detector or the record; "" if it is not localised."""
    parts = []
    if place.object is not None:
        parts.append(place.object)
    if place.eta is not None:
        parts.append(f"η {_signed(place.eta[0])} to {_signed(place.eta[1])}")
    if place.phi is not None:
        parts.append(f"φ {_signed(place.phi[0])} to {_signed(place.phi[1])} rad")
    if place.bit is not None:
        parts.append(f"output bit {place.bit}")
    return ", ".join(parts)


def quantity(name: str) -> str:
    """Return a quantity's name without its place, which is said beside it: "jet region" for "jet region eta […)"."""
    return PLACE.sub("", name).strip() or name


def moved(shift: Shift) -> str:
    """Return one quantity's shift: what it is, what was expected, and by how much it moved.

    Of what is expected to be about nothing no share is told: it would be thousands of per cent.
    """
    text = f"{number(shift.observed)} instead of {number(shift.expected)}"
    if shift.sigma > 0 and math.isfinite(shift.sigma):
        text += f" ± {number(shift.sigma)}"
    if abs(shift.expected) > (shift.sigma if math.isfinite(shift.sigma) else 0.0):
        text += f" ({_percent(shift.observed / shift.expected - 1.0)})"
    return text


def why(stream: StreamView, shown: Light) -> str:
    """Return what the light stands on, in one sentence with numbers."""
    evidence = stream.evidence
    if evidence is None or stream.verdict is None or shown.level is not stream.verdict.level:
        return ""
    agreement = evidence.agreement
    if shown.blame in {Blame.FIRMWARE, Blame.IDENTITY} and agreement.compared:
        return f"{agreement.mismatched:,} of {agreement.compared:,} compared scores differ in the latest lumisection."
    if shown.blame is Blame.STREAM:
        return completeness(evidence.completeness)
    if shown.level is Level.OK or not stream.verdict.what:
        return ""
    return "Moved: " + ", ".join([*dict.fromkeys(quantity(name) for name in stream.verdict.what)][:4]) + "."


def completeness(arrived: Completeness) -> str:
    """Return what arrived of what was declared."""
    if arrived.declared is None:
        text = f"{arrived.received:,} events arrived; the producer declared no number"
    else:
        share = 100.0 * arrived.received / arrived.declared if arrived.declared else 100.0
        text = f"{arrived.received:,} of {arrived.declared:,} declared events arrived ({share:.4g}{THIN}%)"
    if arrived.lost_batches:
        text += (
            f"; missing in the sequence: {arrived.lost_batches} {'batch' if arrived.lost_batches == 1 else 'batches'}"
        )
    if arrived.missing_partitions:
        text += f"; nothing from partition {', '.join(map(str, arrived.missing_partitions))}"
    return text + "."


def agreement_rate(compared: int, mismatched: int) -> str:
    """Return the share of compared events that differ."""
    if not compared:
        return "nothing compared"
    if not mismatched:
        return "all agree, bit for bit"
    return f"{100.0 * mismatched / compared:.3g}{THIN}% differ"


def unjudged(evidence: Evidence) -> str:
    """Return why conditions are not judged; "" if they are."""
    return evidence.unjudged or ("" if evidence.reference else "there is no reference for these conditions")


def listed(value: object) -> str:
    """Return a JSON value of a dossier as a person reads it: `run 398183, ls 229`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{str(name).replace('_', ' ')} {listed(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(listed(item) for item in value)
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else "not known"
    return "not known" if value is None else str(value)


def percent(share: float) -> str:
    """Return a share as a percentage with three digits."""
    return f"{100.0 * share:.3g}{THIN}%"


def _percent(change: float) -> str:
    return f"{100.0 * change:+.3g}{THIN}%".replace("-", "\N{MINUS SIGN}")


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
