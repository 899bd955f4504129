"""nannyml: Jensen-Shannon distance of every column, and PCA reconstruction; a chunk is a lumisection."""

import nannyml
import numpy as np
import pandas as pd
from streams import Reference, Scores, Stream, answer

_KNOWN: dict = {}


def judge(reference: Reference, stream: Stream) -> Scores:
    """Return 1 where nannyml's own thresholds, learnt from the reference's chunks, alert."""
    found: Scores = {"nannyml JS": [0.0] * len(stream.pileup), "nannyml PCA": [0.0] * len(stream.pileup)}
    bins = np.array([reference.bin_of(float(pileup)) for pileup in stream.pileup])
    for number in np.unique(bins).tolist():
        rows = np.flatnonzero(bins == number)
        univariate, reconstruction = _fitted(reference, number, stream.inputs.shape[1])
        chunks = _frame(stream.inputs[rows].reshape(-1, stream.inputs.shape[2]))
        alerts = univariate.calculate(chunks).filter(period="analysis").to_df()
        columns = [column for column in alerts.columns if column[-1] == "alert"]
        for row, alert in zip(rows, alerts[columns].any(axis=1), strict=True):
            found["nannyml JS"][row] = float(alert)
        alerts = reconstruction.calculate(chunks).filter(period="analysis").to_df()
        columns = [column for column in alerts.columns if column[-1] == "alert"]
        for row, alert in zip(rows, alerts[columns].any(axis=1), strict=True):
            found["nannyml PCA"][row] = float(alert)
    return found


def _fitted(reference: Reference, number: int, size: int):
    if number not in _KNOWN:
        frame = _frame(reference.events(number))
        names = list(frame.columns)
        univariate = nannyml.UnivariateDriftCalculator(
            column_names=names, continuous_methods=["jensen_shannon"], chunk_size=size
        )
        reconstruction = nannyml.DataReconstructionDriftCalculator(column_names=names, chunk_size=size)
        _KNOWN[number] = univariate.fit(frame), reconstruction.fit(frame)
    return _KNOWN[number]


def _frame(events) -> pd.DataFrame:
    return pd.DataFrame(events.astype(float), columns=[f"x{i}" for i in range(events.shape[1])])


answer(judge)
