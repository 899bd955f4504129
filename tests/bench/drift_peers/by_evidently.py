"""evidently: the data drift preset at like pile-up, on every fifth lumisection: a report takes about a second."""

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from streams import Reference, Scores, Stream, answer

EVERY = 5


def judge(reference: Reference, stream: Stream) -> Scores:
    """Return the share of drifted columns over the preset's own 0.5, and whether any column has drifted."""
    found: Scores = {"evidently preset": [], "evidently any column": []}
    for number, (events, pileup) in enumerate(zip(stream.inputs, stream.pileup, strict=True)):
        if number % EVERY:
            found["evidently preset"].append(0.0)
            found["evidently any column"].append(0.0)
            continue
        then = reference.events(reference.bin_of(float(pileup)))
        report = Report([DataDriftPreset()]).run(_frame(events), _frame(then)).dict()
        counted = next(m for m in report["metrics"] if "DriftedColumnsCount" in str(m.get("metric_name", m)))["value"]
        found["evidently preset"].append(counted["share"] / 0.5)
        found["evidently any column"].append(float(counted["count"] > 0))
    return found


def _frame(events) -> pd.DataFrame:
    return pd.DataFrame(events.astype(float), columns=[f"x{i}" for i in range(events.shape[1])])


answer(judge)
