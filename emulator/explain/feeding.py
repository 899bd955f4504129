"""Ways in which a model may have been fed wrongly, each with the inputs that it would then have seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Layout, ObjectGroup

Inputs = NDArray[np.int32]
Fed = Iterator[tuple[str, Inputs]]
INT16, INT32 = np.iinfo(np.int16), np.iinfo(np.int32)
_LOST_BITS = (1, 2, 4)


def feedings(raw: Inputs, layout: Layout | None) -> Fed:
    """Yield (words, inputs int32 (n, inputs)) of every hypothesis; those about objects need the layout.

    An empty slot is an object whose fields are all zero.
    """
    limits = INT16 if is_narrow(raw) else INT32
    yield "all inputs doubled", np.clip(raw.astype(np.int64) * 2, limits.min, limits.max).astype(np.int32)
    yield "all inputs halved", raw >> 1
    if layout is None:
        return
    for group in layout:
        yield from _momenta(raw, group)
        if group.count > 1:
            yield from _order(raw, group)
            yield from _slots(raw, group)
    yield from _swapped_groups(raw, layout)


def is_narrow(inputs: Inputs) -> bool:
    """Say whether all inputs fit into 16 bits."""
    return bool(inputs.size == 0 or (inputs.min() >= INT16.min and inputs.max() <= INT16.max))


def objects(raw: Inputs, group: ObjectGroup) -> Inputs:
    """Return a copy of a group's inputs as (n, count, axes)."""
    return raw[:, group.offset : group.stop].reshape(len(raw), group.count, -1).copy()


def _momenta(raw: Inputs, group: ObjectGroup) -> Fed:
    axis = group.axis("pt")
    if axis is None:
        return
    pt = objects(raw, group)[:, :, axis]
    yield f"the pt of {group.name} halved", _with_axis(raw, group, axis, pt >> 1)
    yield f"the pt of {group.name} cut to even numbers", _with_axis(raw, group, axis, pt >> 1 << 1)
    for lost in _LOST_BITS[1:]:
        yield f"the lowest {lost} bits of the pt of {group.name} lost", _with_axis(raw, group, axis, pt >> lost << lost)
    width = (group.axes[axis].high - 1).bit_length()
    for lost in _LOST_BITS:
        if lost < width:
            cut = pt & ((1 << (width - lost)) - 1)
            words = "highest bit" if lost == 1 else f"highest {lost} bits"
            yield f"the {words} of the pt of {group.name} lost", _with_axis(raw, group, axis, cut)


def _order(raw: Inputs, group: ObjectGroup) -> Fed:
    these = objects(raw, group)
    for i in range(group.count - 1):
        swapped = these.copy()
        swapped[:, [i, i + 1]] = these[:, [i + 1, i]]
        yield f"{group.name} {i} and {i + 1} swapped", _with(raw, group, swapped)
    yield f"the {group.name} in reverse order", _with(raw, group, these[:, ::-1])
    axis = group.axis("pt")
    if axis is not None:
        order = np.argsort(-these[:, :, axis].astype(np.int64), axis=1, kind="stable")
        yield f"the {group.name} sorted by pt", _with(raw, group, np.take_along_axis(these, order[:, :, None], axis=1))


def _slots(raw: Inputs, group: ObjectGroup) -> Fed:
    these = objects(raw, group)
    for lost in range(1, group.count):
        cut = these.copy()
        cut[:, group.count - lost :] = 0
        yield f"the last {lost} {group.name} lost", _with(raw, group, cut)
    empty = (these == 0).all(axis=2)
    filled = these.copy()
    for i in range(1, group.count):
        filled[:, i] = np.where(empty[:, i, None], filled[:, i - 1], these[:, i])
    yield f"empty slots of {group.name} filled with the last object", _with(raw, group, filled)
    same = np.zeros_like(empty)
    same[:, 1:] = (these[:, 1:] == these[:, :-1]).all(axis=2)
    yield f"repeated {group.name} zeroed", _with(raw, group, np.where(same[:, :, None], 0, these))


def _swapped_groups(raw: Inputs, layout: Layout) -> Fed:
    groups = tuple(layout)
    for i, one in enumerate(groups):
        for other in groups[i + 1 :]:
            if (one.stop - one.offset, len(one.axes)) == (other.stop - other.offset, len(other.axes)):
                changed = _with(raw, one, objects(raw, other))
                yield f"{one.name} and {other.name} swapped", _with(changed, other, objects(raw, one))


def _with(raw: Inputs, group: ObjectGroup, these: Inputs) -> Inputs:
    changed = raw.copy()
    changed[:, group.offset : group.stop] = these.reshape(len(raw), -1)
    return changed


def _with_axis(raw: Inputs, group: ObjectGroup, axis: int, values: Inputs) -> Inputs:
    these = objects(raw, group)
    these[:, :, axis] = values
    return _with(raw, group, these)
