"""nannyml: Jensen-Shannon distance of every column, and PCA reconstruction; a chunk is a lumisection."""

import nannyml
import numpy as np
import pandas as pd
from streams import Reference, Scores, Stream, answer

NARROWEST = 1e-9
_KNOWN: dict = {}


def judge(reference: Reference, stream: Stream) -> Scores:
    """Return how far off the chunk is, in units of nannyml's own thresholds, learnt from the reference's chunks."""
    found: Scores = {"nannyml JS": [0.0] * len(stream.pileup), "nannyml PCA": [0.0] * len(stream.pileup)}
    bins = np.array([reference.bin_of(float(pileup)) for pileup in stream.pileup])
    for number in np.unique(bins).tolist():
        rows = np.flatnonzero(bins == number)
        chunks = _frame(stream.inputs[rows].reshape(-1, stream.inputs.shape[2]))
        for name, calculator in zip(found, _fitted(reference, number, stream.inputs.shape[1]), strict=True):
            result = calculator.calculate(chunks).filter(period="analysis").to_df()
            for row, score in zip(rows, _scores(result), strict=True):
                found[name][row] = score
    return found


def _scores(result: pd.DataFrame) -> list[float]:
    """Return the largest distance of all columns from the middle of their thresholds, in half widths.

    A column that never differed within the reference has thresholds of no width: any value would be infinitely far off.
    """

    def part(name: str) -> np.ndarray:
        return result[[column for column in result.columns if column[-1] == name]].to_numpy(float)

    upper, lower = part("upper_threshold"), np.nan_to_num(part("lower_threshold"))
    half = (upper - lower) / 2
    far = np.abs(part("value") - (upper + lower) / 2) / np.where(half > NARROWEST, half, np.inf)
    return far.max(axis=1).tolist()


def _fitted(reference: Reference, number: int, size: int) -> tuple:
    if number not in _KNOWN:
        frame = _frame(reference.events(number))
        names = list(frame.columns)
        univariate = nannyml.UnivariateDriftCalculator(
            column_names=names, continuous_methods=["jensen_shannon"], chunk_size=size
        )
        reconstruction = nannyml.DataReconstructionDriftCalculator(column_names=names, chunk_size=size)
        _KNOWN[number] = univariate.fit(frame), reconstruction.fit(frame)
    return _KNOWN[number]


def _frame(events: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(events.astype(float), columns=[f"x{i}" for i in range(events.shape[1])])


answer(judge)
