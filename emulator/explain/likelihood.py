"""Which explanation is most likely, given how many events each reproduces and how much each has to assume."""

from __future__ import annotations

from math import log, log2

ERROR_RATE = 0.01
"""Share of events on which even the true explanation may miss: a second fault, an event read out wrongly."""


def log_likelihood(fits: int, of: int, *, alternatives: int, assumptions: int) -> float:
    """Return the natural logarithm of an explanation's posterior weight, up to a constant.

        log L = k ln(1 - e) + (n - k) ln(e) - (b + log2(a)) ln 2

    Assumed: given the true explanation, events match independently, each with probability 1 - e (Bernoulli,
    e = `ERROR_RATE`). The prior is a description length in bits (Rissanen 1978, Automatica 14, 465): `assumptions` for
    the kind of explanation, and log2 of the number of `alternatives` of that kind, all equally likely beforehand.
    So of two explanations that fit alike the simpler wins, and one event more is worth log2((1 - e) / e) = 6.6 bits.

    Parameters
    ----------
    fits, of
        k of n events are reproduced in every output.
    alternatives
        How many explanations of this kind were tried, at least 1.
    assumptions
        b, bits.
    """
    return (
        fits * log(1 - ERROR_RATE) + (of - fits) * log(ERROR_RATE) - (assumptions + log2(max(alternatives, 1))) * log(2)
    )
