"""Summary -> a vector of named scalar quantities: what drift is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from monitor.observe.components import component_sections
from monitor.observe.crossings import crossing_sections
from monitor.observe.events import event_sections
from monitor.observe.frame import UNKNOWN, Frame
from monitor.observe.maps import map_sections
from monitor.observe.objects import object_sections
from monitor.observe.section import Floats, Region, Section
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All quantities of a shape, in the order of every vector that is about them.

    Attributes
    ----------
    names, regions
        (q,)
    family : int64 (q,)
        Index into `families`.
    counted : bool (q,)
        True for counts with exposure, False for means.
    once : bool (q,)
        Counts to which an event adds one or nothing.
    rare : bool (q,)
        Counts that are judged although a reference may never have seen any.
    wobble : float64 (q,)
        What fills are taken to differ by at least, as `Page.wobble`.
    mixed : bool (q,)
        Quantities that mix all inputs: judged against their page alone, and covered by any known place.
    alike : int64 (q,)
        Equal for quantities that see one thing from different directions.
    sections, parts
        What measures them, and which of the vector each section does.
    """

    families: tuple[str, ...]
    names: tuple[str, ...]
    regions: tuple[Region, ...]
    family: NDArray[np.int64]
    counted: NDArray[np.bool_]
    once: NDArray[np.bool_]
    rare: NDArray[np.bool_]
    wobble: Floats
    mixed: NDArray[np.bool_]
    alike: NDArray[np.int64]
    sections: tuple[Section, ...]
    parts: tuple[slice, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Quantities:
    """What one lumisection measured, float64 (q,) each; an exposure of 0 means: not measured here.

    `spread` is the variance of a single entry, for means; the statistical variance of a mean is spread / exposure.
    """

    value: Floats
    exposure: Floats
    spread: Floats

    def turned(self, usual: NDArray[np.bool_]) -> Quantities:
        """Return the quantities with the events that do not count in place of those that do, where these are `usual`.

        Nine hundred and ninety of a thousand are not Poisson, the ten that are missing are.
        """
        return Quantities(np.where(usual, self.exposure - self.value, self.value), self.exposure, self.spread)


def assemble(sections: tuple[Section, ...]) -> Catalogue:
    """Return the catalogue of `sections`, in their order."""
    families = tuple(dict.fromkeys(section.family for section in sections))
    sizes = [len(section.names) for section in sections]
    return Catalogue(
        families=families,
        names=tuple(name for section in sections for name in section.names),
        regions=tuple(region for section in sections for region in section.regions),
        family=np.repeat([families.index(section.family) for section in sections], sizes),
        counted=np.repeat([section.counted for section in sections], sizes),
        once=np.repeat([section.once for section in sections], sizes),
        rare=np.repeat([section.rare for section in sections], sizes),
        wobble=np.repeat([section.wobble for section in sections], sizes),
        mixed=np.repeat([section.mixed for section in sections], sizes),
        alike=np.cumsum([i % section.alike == 0 for section in sections for i in range(len(section.names))]) - 1,
        sections=sections,
        parts=tuple(slice(stop - size, stop) for size, stop in zip(sizes, accumulate(sizes), strict=True)),
    )


@lru_cache(maxsize=64)
def catalogue(shape: Shape) -> Catalogue:
    """Return the quantities of `shape`.

    Remembered, because it is asked for in every lumisection and takes longer to build than to use; shapes are
    immutable.
    """
    return assemble(
        (
            *event_sections(shape),
            *object_sections(shape),
            *map_sections(shape),
            *crossing_sections(),
            *component_sections(shape),
        )
    )


def measure(summary: Summary, frame: Frame = UNKNOWN) -> Quantities:
    """Return the value, exposure and spread of every quantity of `catalogue(summary.shape)`."""
    quantities = catalogue(summary.shape)
    value, exposure, spread = np.empty((3, len(quantities)))
    for section, part in zip(quantities.sections, quantities.parts, strict=True):
        value[part], exposure[part], spread[part] = section.measure(summary, frame)
    return Quantities(value, exposure, spread)
