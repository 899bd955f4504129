"""The streams as files, for programs that know nothing of ours.

A stream is an .npz with `inputs` int16 (t, events, 57), raw, and `pileup` (t,) as the luminometer reports it. In the
folder lie `reference.npz` (clean fills), `calibration.npz` and `clean.npz` (one clean fill each), and one per fault.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = "reference"
BINS = 10

Scores = dict[str, list[float]]


class Stream:
    """One stream, with its lumisections in order; `means` are what streaming detectors look at."""

    def __init__(self, path: Path) -> None:
        content = np.load(path)
        self.inputs, self.pileup = content["inputs"], content["pileup"]

    @property
    def means(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Mean of every input in every lumisection (t, 57), in log2(1 + |x|) for the scales."""
        compressed = np.sign(self.inputs) * np.log2(1.0 + np.abs(self.inputs.astype(np.float64)))
        return np.asarray(compressed.mean(axis=1))


class Reference(Stream):
    """Clean fills, in bins of pile-up: a lumisection is compared with those of like pile-up."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._edges = np.quantile(self.pileup, np.linspace(0, 1, BINS + 1)[1:-1])
        self._bin = np.digitize(self.pileup, self._edges)
        self._curves = np.polynomial.polynomial.polyfit(self.pileup, self.means, 2)
        self._width = (self.means - self._expected(self.pileup)).std(axis=0)

    def bin_of(self, pileup: float) -> int:
        """Return the bin of a lumisection."""
        return int(np.digitize(pileup, self._edges))

    def events(self, number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
        """Return the reference events of a bin (n, 57)."""
        return np.asarray(self.inputs[self._bin == number].reshape(-1, self.inputs.shape[2]))

    def residuals(self, stream: Stream) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return how many standard deviations the means lie off a quadratic in pile-up (t, 57)."""
        off = stream.means - self._expected(stream.pileup)
        return np.asarray(off / np.where(self._width > 0, self._width, 1.0))

    def _expected(self, pileup: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(np.polynomial.polynomial.polyval(pileup, self._curves).T)


def answer(judge: Callable[[Reference, Stream], Scores]) -> None:
    """Judge every stream of the folder named on the command line; print {method: {stream: scores}} as JSON.

    A score of 1 is the method's own default line.
    """
    folder = Path(sys.argv[1])
    reference = Reference(folder / f"{REFERENCE}.npz")
    found: dict[str, dict[str, list[float]]] = {}
    for path in _streams(folder):
        for method, scores in judge(reference, Stream(path)).items():
            found.setdefault(method, {})[path.stem] = [float(score) for score in scores]
    json.dump(found, sys.stdout)


def _streams(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.glob("*.npz")) if path.stem != REFERENCE)
