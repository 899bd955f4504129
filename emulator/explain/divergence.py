"""The first layer at which a hardware trace leaves the emulated one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emulator.formats import Integers

Trace = Sequence[tuple[str, Integers]]


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where hardware and emulation part.

    Attributes
    ----------
    layer
        The first layer, in the order of the emulation, whose raw values differ in any event.
    elements
        Which elements of its output differ in any event, flat numbers, lowest first.
    events
        In how many events they differ there.
    """

    layer: str
    elements: tuple[int, ...]
    events: int


def first_divergence(emulated: Trace, hardware: Trace) -> Divergence | None:
    """Return the first layer that differs, None if none does; layers that the hardware does not show are passed over.

    Raises
    ------
    ValueError
        The hardware names a layer that the model does not have or names one twice, no layer at all, or another shape.
    """
    shown = dict(hardware)
    unknown = [name for name in shown if name not in dict(emulated)]
    if unknown or not shown or len(shown) != len(hardware):
        names = ", ".join(name for name, _ in emulated)
        raise ValueError(f"a trace of {[name for name, _ in hardware]} does not name layers of the model once: {names}")
    for name, ours in emulated:
        theirs = shown.get(name)
        if theirs is None:
            continue
        if theirs.size != ours.size or len(theirs) != len(ours):
            raise ValueError(f"layer {name!r} is {theirs.shape} in the hardware's trace, {ours.shape} in the model")
        differs = theirs.reshape(len(ours), -1) != ours.reshape(len(ours), -1)
        if differs.any():
            places = np.flatnonzero(differs.any(axis=0)).tolist()
            return Divergence(name, tuple(places), int(differs.any(axis=1).sum()))
    return None
