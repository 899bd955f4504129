"""What the sums of a lumisection add to a verdict: capsules, the threshold that would mend the rate, numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.decide.capsule import Capsule
from monitor.decide.numbers import finite
from monitor.drift.evidence import AcceptRate
from monitor.observe.binning import score_edges
from monitor.observe.sample import Sample
from monitor.observe.summary import Summary
from monitor.watch.suspects import Suspects

MOST_FITS = 4
REMEMBERED = 20


def capsules(summary: Summary, hypothesis: str = "") -> tuple[Capsule, ...]:
    """Return the first, the typical (median) and the largest difference of the sample, each once, to be replayed."""
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
            hypothesis=hypothesis,
        )
        for i in _telling(sample)
    )


def _telling(sample: Sample) -> tuple[int, ...]:
    if not len(sample):
        return ()
    order = np.argsort(np.abs(sample.hardware - sample.emulated).max(axis=1), kind="stable")
    return tuple(dict.fromkeys((0, int(order[len(order) // 2]), int(order[-1]))))


@dataclass(slots=True)
class Recent:
    """The scores of the newest judged lumisections of one epoch, and how many of them should have been accepted.

    `scores` are counts (score bins,), `wanted` the expected accepted events; one entry a lumisection.
    """

    scores: list[NDArray[np.int64]] = field(default_factory=list)
    wanted: list[float] = field(default_factory=list)

    def add(self, summary: Summary, accept: AcceptRate | None) -> None:
        """Remember a lumisection for which the reference expects a rate."""
        if accept is not None:
            self.scores = [*self.scores, summary.counts["score"][0]][-REMEMBERED:]
            self.wanted = [*self.wanted, accept.expected * summary.events][-REMEMBERED:]

    def threshold(self) -> int | None:
        """Return the raw threshold that would have accepted the expected number of events, linear within a bin."""
        if not self.scores:
            return None
        counts, wanted = np.sum(self.scores, axis=0), sum(self.wanted)
        above = np.concatenate([np.cumsum(counts[::-1])[::-1], [0]])  # events at or over each edge
        if not 0.0 < wanted < above[0]:
            return None
        edges, chosen = score_edges(), int(np.flatnonzero(above >= wanted)[-1])
        share = (above[chosen] - wanted) / max(int(above[chosen] - above[chosen + 1]), 1)
        return int(np.ceil(edges[chosen] + share * (edges[chosen + 1] - edges[chosen])))


def for_training(summary: Summary, recent: Recent) -> dict[str, Any]:
    """Return what a retraining request says about thresholds, raw."""
    present = summary.shape.threshold
    restoring = None if present is None else recent.threshold()
    return {"threshold": {"present": present, "restoring": restoring, "lumisections": len(recent.scores)}}


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
            "powers_of_two": finite(delta.powers_of_two),
            "saturated": finite(delta.saturated),
            "bits": list(delta.bits),
            "constant": None if delta.constant is None else list(delta.constant),
        }
    }
