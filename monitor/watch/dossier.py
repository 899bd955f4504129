"""What the sums of a lumisection add to a verdict: capsules, the threshold that would mend the rate, numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.decide.capsule import Capsule
from monitor.decide.numbers import finite
from monitor.drift.evidence import AcceptRate
from monitor.observe.binning import score_edges
from monitor.observe.summary import Summary
from monitor.watch.suspects import Suspects

MOST_CAPSULES = 3
MOST_FITS = 4


def capsules(summary: Summary) -> tuple[Capsule, ...]:
    """Return the earliest mismatching events, ready to be replayed anywhere."""
    sample, epoch = summary.sample, summary.key.epoch
    return tuple(
        Capsule(
            stream=summary.key.stream,
            label=epoch.model,
            digest=epoch.digest,
            lumisection=summary.key.lumisection,
            orbit=int(sample.orbit[i]),
            bx=int(sample.bx[i]),
            event=int(sample.event[i]),
            inputs=tuple(sample.inputs[i].tolist()),
            hardware=tuple(sample.hardware[i].tolist()),
            emulated=tuple(sample.emulated[i].tolist()),
        )
        for i in range(min(MOST_CAPSULES, len(sample)))
    )


def threshold(summary: Summary, rate: float) -> int | None:
    """Return the raw threshold at which `rate` of these events would be accepted, read off the score's histogram.

    Linear within a bin. None where the stream has no threshold, no events, or the rate cannot be reached.
    """
    counts = summary.counts["score"][0]
    total = int(counts.sum())
    if summary.shape.threshold is None or total == 0 or not 0.0 < rate < 1.0:
        return None
    above = np.concatenate([np.cumsum(counts[::-1])[::-1], [0]])  # events at or over each edge
    wanted, edges = rate * total, score_edges()
    bin_ = int(np.flatnonzero(above >= wanted)[-1])
    share = (above[bin_] - wanted) / max(int(above[bin_] - above[bin_ + 1]), 1)
    return int(np.ceil(edges[bin_] + share * (edges[bin_ + 1] - edges[bin_])))


def for_training(summary: Summary, accept: AcceptRate | None) -> dict[str, Any]:
    """Return what a retraining request says about thresholds."""
    return {
        "threshold": {
            "present": summary.shape.threshold,
            "restoring": None if accept is None else threshold(summary, accept.expected),
        }
    }


def details(suspects: Suspects | None) -> dict[str, Any]:
    """Return what the mismatches look like, JSON values only."""
    if suspects is None:
        return {}
    delta = suspects.delta
    return {
        "mismatches": {
            "fits": [
                {"label": f.label, "digest": f.digest, "hypothesis": f.hypothesis, "fits": f.fits, "of": f.of}
                for f in suspects.fits[:MOST_FITS]
            ],
            "delta": {"least": delta.least, "median": delta.median, "most": delta.most},
            "off_by_one": finite(delta.off_by_one),
            "bits": list(delta.bits),
            "constant": None if delta.constant is None else list(delta.constant),
        }
    }
