"""river: Page-Hinkley and ADWIN on every input's residual; any of the 57 may alarm."""

from river.drift import ADWIN, PageHinkley
from streams import Reference, Scores, Stream, answer


def judge(reference: Reference, stream: Stream) -> Scores:
    """Return how many detectors fire."""
    residuals = reference.residuals(stream)
    found: Scores = {}
    for name, make in (("river Page-Hinkley", PageHinkley), ("river ADWIN", ADWIN)):
        detectors = [make() for _ in range(residuals.shape[1])]
        found[name] = []
        for row in residuals.tolist():
            for detector, value in zip(detectors, row, strict=True):
                detector.update(value)
            found[name].append(float(sum(detector.drift_detected for detector in detectors)))
    return found


answer(judge)
