"""What the sums of a lumisection add to a verdict: capsules, and what the mismatches look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.decide.capsule import Capsule
from monitor.decide.numbers import finite
from monitor.observe.sample import Sample
from monitor.observe.summary import Summary
from monitor.watch.suspects import Suspects

MOST_FITS = 4


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
