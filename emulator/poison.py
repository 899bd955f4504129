"""Events that an emulator cannot be asked: it crashes, hangs or throws on them, whatever came before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

_NAMED = 3


class Poison(RuntimeError):
    """The emulator failed on some events of a call; all others are scored.

    Attributes
    ----------
    why
        Event (its row in the call) -> what happened.
    scores
        Raw scores int64 (n, outputs); the rows of `why` mean nothing.
    """

    def __init__(self, name: str, *, why: Mapping[int, str], scores: NDArray[np.int64]) -> None:
        self.why = dict(sorted(why.items()))
        self.scores = scores
        told = "; ".join(f"event {event}: {text}" for event, text in list(self.why.items())[:_NAMED])
        more = "" if len(why) <= _NAMED else "; …"
        super().__init__(f"{name} failed on {len(why)} of {len(scores)} events: {told}{more}")

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Bool (n,): which events have scores."""
        answered = np.ones(len(self.scores), np.bool_)
        answered[list(self.why)] = False
        return answered
