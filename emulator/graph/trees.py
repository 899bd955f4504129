"""Ensembles of decision trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emulator.formats import Format, Raw
from emulator.graph.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """output[j] = start[j] + Σ leaves that the trees of output j end in: the leaves as a tree of sums, then the start.

    Every sum is cast to the output's format. A tree of N sums is a left half, of the largest power of two below N, and
    the rest (conifer's BDT.h). All trees are complete and of one depth; node i has the children 2i+1 and 2i+2.

    Attributes
    ----------
    feature, threshold
        (trees, 2^depth - 1): the element that a node looks at, and the raw number that it is compared with.
    threshold_format
        Its format gives the threshold's point; the comparison is exact whatever both formats are.
    value
        (trees, 2^depth): the leaves from left to right, raw in the output's format.
    owner
        (trees,): which output a tree belongs to.
    start
        (outputs,): raw in the output's format.
    inclusive
        Whether an element equal to the threshold goes left; a smaller one always does.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    feature: Raw
    threshold: Raw
    threshold_format: Format
    value: Raw
    owner: Raw
    start: Raw
    inclusive: bool

    @property
    def depth(self) -> int:
        """How many comparisons lead to a leaf."""
        return int(self.value.shape[1]).bit_length() - 1

    def limits(self, fraction: int) -> Raw:
        """Return (trees, nodes): an element with `fraction` bits right of the point goes left if it is at most this."""
        more = fraction - self.threshold_format.fraction
        strict = int(not self.inclusive)
        if more >= 0:
            return np.asarray((self.threshold << more) - strict)
        floor = self.threshold >> -more
        # Between two raw numbers both comparisons mean the same.
        return np.asarray(floor - strict * ((floor << -more) == self.threshold))

    def check(self, elements: int) -> None:
        """Raise ValueError where the arrays do not fit each other or a source of `elements`."""
        trees, leaves = self.value.shape
        shapes = self.feature.shape, self.threshold.shape, self.owner.shape, self.start.shape
        expected = (trees, leaves - 1), (trees, leaves - 1), (trees,), (self.output.size,)
        if shapes != expected or leaves != 1 << self.depth:
            raise ValueError(f"trees of shapes {shapes} and {leaves} leaves are not complete trees of {expected}")
        if self.feature.min() < 0 or self.feature.max() >= elements:
            raise ValueError(f"a tree looks at element {int(self.feature.max())} of {elements}")
        if self.owner.min() < 0 or self.owner.max() >= self.output.size:
            raise ValueError(f"a tree belongs to output {int(self.owner.max())} of {self.output.size}")
        if len(np.unique(self.owner)) < self.output.size:
            raise ValueError(f"a tree is missing for some of the {self.output.size} outputs")


def completed(nodes: list[tuple[int, int, int, int, int]], depth: int) -> tuple[Raw, Raw, Raw]:
    """Return feature, threshold and value of a tree as `Trees` keeps them.

    `nodes` are (feature, threshold, left, right, value), the root first, -1 instead of the children of a leaf. A leaf
    above the last level becomes comparisons that all lead to it.
    """
    feature, threshold = np.zeros((1 << depth) - 1, np.int64), np.zeros((1 << depth) - 1, np.int64)
    value = np.zeros(1 << depth, np.int64)
    pending = [(0, 0)]  # place in the complete tree, node
    while pending:
        place, node = pending.pop()
        tested, against, left, right, leaf = nodes[node]
        if place >= len(feature):
            if left >= 0:
                raise ValueError(f"the tree is deeper than {depth}")
            value[place - len(feature)] = leaf
            continue
        if left < 0:
            left = right = node
        else:
            feature[place], threshold[place] = tested, against
        pending += [(2 * place + 1, left), (2 * place + 2, right)]
    return feature, threshold, value
