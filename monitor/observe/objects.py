"""Quantities of single inputs and objects: how often, how hard, where on average."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emulator.layout import ObjectGroup
from monitor.observe.binning import BINS, STEPS
from monitor.observe.events import EVERYWHERE, averaged, counted
from monitor.observe.section import Floats, Measured, Region, Section, alone
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

TAIL_STEP = STEPS // 2
PLAIN_TAIL_STEP = 8


def object_sections(shape: Shape) -> tuple[Section, ...]:
    """Return the sections of every object group; of every input where there is no layout."""
    if shape.layout is None:
        return _plain(shape)
    per_group = (section for group in shape.groups for section in (*_spectrum(group), *_position(group)))
    return (_presence(shape), _response(shape), *per_group)


def _columns(group: ObjectGroup) -> slice:
    return slice(group.offset, group.stop, len(group.axes))


def _member(group: ObjectGroup, index: int) -> str:
    return f"{group.name}[{index}]" if group.count > 1 else group.name


def _presence(shape: Shape) -> Section:
    members = [(group, index) for group in shape.groups for index in range(group.count)]
    columns = np.asarray([group.column(index, 0) for group, index in members])

    def measure(summary: Summary) -> Measured:
        return counted(summary.events - summary.counts["inputs"][columns, BINS], summary.events)

    return Section(
        "occupancy",
        counted=True,
        names=tuple(f"{_member(group, index)} present" for group, index in members),
        regions=tuple(Region(object=group.name) for group, _ in members),
        measure=alone(measure),
        once=True,
    )


def _response(shape: Shape) -> Section:
    """Return the mean logarithm of the pt of every object that is there, in octaves, and of all of a group together."""
    members = [(group, index) for group in shape.groups for index in range(group.count)]
    columns = np.asarray([group.column(index, 0) for group, index in members])
    several = [group for group in shape.groups if group.count > 1]
    octaves = np.arange(BINS) / STEPS

    def measure(summary: Summary) -> Measured:
        single = summary.counts["inputs"][columns, :BINS]
        together = [summary.counts["inputs"][_columns(group), :BINS].sum(axis=0) for group in several]
        return averaged(np.vstack([single, *together]), octaves)

    names = [_member(group, index) for group, index in members] + [group.name for group in several]
    regions = [group.name for group, _ in members] + [group.name for group in several]
    return Section(
        "response",
        counted=False,
        names=tuple(f"{name} pt (log mean)" for name in names),
        regions=tuple(Region(object=name) for name in regions),
        measure=alone(measure),
    )


def _spectrum(group: ObjectGroup) -> tuple[Section, ...]:
    """Return the objects at or over every half octave of pt: the hardest one's, and those of the whole group."""
    axis = group.axes[0]
    if axis.low < 0 or axis.periodic:
        return ()
    cuts = np.arange(1 + TAIL_STEP, BINS, TAIL_STEP)
    edges: Floats = axis.lsb * np.exp2((cuts - 1) // STEPS) * (1 + (cuts - 1) % STEPS / STEPS)
    inside = edges < axis.lsb * axis.high
    cuts, heights = cuts[inside], edges[inside].tolist()
    hardest = _over(group, _member(group, 0), cuts=cuts, heights=heights, members=slice(1))
    if group.count == 1:
        return (hardest,)
    return (hardest, _over(group, group.name, cuts=cuts, heights=heights, members=slice(None)))


def _over(group: ObjectGroup, name: str, *, cuts: NDArray[np.int64], heights: list[float], members: slice) -> Section:
    """Return how many of some members of a group are at or over each of the cuts."""

    def measure(summary: Summary) -> Measured:
        counts = summary.counts["inputs"][_columns(group), :BINS][members].sum(axis=0)
        return counted(counts[::-1].cumsum()[::-1][cuts], summary.events)

    axis = group.axes[0]
    return Section(
        "spectrum",
        counted=True,
        names=tuple(f"{name} {axis.name} >= {edge:g} {axis.unit}".strip() for edge in heights),
        regions=(Region(object=group.name),) * len(heights),
        measure=alone(measure),
        once=members == slice(1),
    )


def _position(group: ObjectGroup) -> tuple[Section, ...]:
    """Return the mean and the mean absolute eta of the objects of a group, in physical units."""
    number = group.axis("eta")
    if number is None or group.axes[number].high - group.axes[number].low <= 1:
        return ()
    axis = group.axes[number]
    width = max(1, -(-(axis.high - axis.low) // BINS))
    centres = np.asarray(axis.lsb * (axis.low + width * (np.arange(BINS) + 0.5) - 0.5), np.float64)
    columns = slice(group.offset + number, group.stop, len(group.axes))

    def measure(summary: Summary) -> Measured:
        counts = summary.counts["inputs"][columns, :BINS].sum(axis=0)[None]
        signed, absolute = averaged(counts, centres), averaged(counts, np.abs(centres))
        value, entries, spread = (np.concatenate(pair) for pair in zip(signed, absolute, strict=True))
        return value, entries, spread

    return (
        Section(
            "position",
            counted=False,
            names=(f"{group.name} mean eta", f"{group.name} mean |eta|"),
            regions=(Region(object=group.name),) * 2,
            measure=alone(measure),
        ),
    )


def _plain(shape: Shape) -> tuple[Section, ...]:
    """Return what can be said of inputs without meaning: not zero, mean of the log-like bin, a few tail fractions."""
    names = shape.names()
    middle = (BINS - 2) // 2
    cuts = np.arange(PLAIN_TAIL_STEP - 1, BINS, PLAIN_TAIL_STEP)
    octaves = (np.arange(BINS) - middle) / (STEPS // 2)

    def present(summary: Summary) -> Measured:
        return counted(summary.events - summary.counts["inputs"][:, middle], summary.events)

    def mean(summary: Summary) -> Measured:
        return averaged(summary.counts["inputs"][:, :BINS], octaves)

    def tails(summary: Summary) -> Measured:
        over = summary.counts["inputs"][:, BINS - 1 :: -1].cumsum(axis=1)[:, ::-1]
        return counted(over[:, cuts].ravel(), summary.events)

    tailed = tuple(f"{name} >= bin {cut}" for name in names for cut in cuts)

    def section(family: str, counts: bool, called: tuple[str, ...], how: Callable[[Summary], Measured]) -> Section:  # noqa: FBT001 -- a table of three
        regions = (EVERYWHERE,) * len(called)
        return Section(family, counted=counts, names=called, regions=regions, measure=alone(how), once=counts)

    return (
        section("occupancy", True, tuple(f"{name} not zero" for name in names), present),  # noqa: FBT003
        section("response", False, tuple(f"{name} (log mean)" for name in names), mean),  # noqa: FBT003
        section("spectrum", True, tailed, tails),  # noqa: FBT003
    )
