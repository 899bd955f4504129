"""frouros: Kolmogorov-Smirnov test and population stability index, column by column, at like pile-up."""

import numpy as np
from frouros.detectors.data_drift import PSI, KSTest
from streams import Reference, Scores, Stream, answer

ALPHA, STABLE = 0.05, 0.2


def judge(reference: Reference, stream: Stream) -> Scores:
    """Return ln p over ln of Bonferroni's alpha, and the largest index over 0.2."""
    found: Scores = {"frouros KS": [], "frouros PSI": []}
    known: dict[int, tuple[list[KSTest], list[PSI]]] = {}
    for events, pileup in zip(stream.inputs, stream.pileup, strict=True):
        number = reference.bin_of(float(pileup))
        if number not in known:
            columns = reference.events(number).T.astype(float)
            known[number] = (
                [_fitted(KSTest, column) for column in columns],
                [_fitted(PSI, column) for column in columns],
            )
        tests, indices = known[number]
        now = events.T.astype(float)
        p = min(test.compare(X=column)[0].p_value for test, column in zip(tests, now, strict=True))
        psi = max(index.compare(X=column)[0].distance for index, column in zip(indices, now, strict=True))
        found["frouros KS"].append(np.log(max(p, 1e-300)) / np.log(ALPHA / len(now)))
        found["frouros PSI"].append(psi / STABLE)
    return found


def _fitted(kind, column):
    detector = kind()
    detector.fit(X=column)
    return detector


answer(judge)
