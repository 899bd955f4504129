"""From conifer's JSON of an ensemble of decision trees to an integer program, as its HLS backend computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format, quantise
from emulator.graph import NotExact, Program, Scale, Tensor, Trees
from emulator.graph.trees import completed
from emulator.importers.ensemble import LEAF, BadEnsemble, outputs_of, refuse_damaged

_LARGEST = 2**22
"""Leaves of complete trees that a program holds: each level that a tree has more doubles them."""


def import_ensemble(document: Mapping[str, Any]) -> Program:
    """Translate what conifer's `model.save` wrote.

    Raises
    ------
    NotExact
        Trees that have no exact program, though conifer's C++ computes them; says why.
    BadEnsemble
        A part that is missing, out of range, no number, or of a type that is not fixed-point.
    """
    refuse_damaged(document)
    formats = {name: _format(document["config"], name) for name in ("input", "threshold", "weight", "score")}
    score, outputs = formats["score"], outputs_of(document)
    x = Tensor("x", (int(document["n_features"]),), formats["input"])
    summed = Tensor("sum", (outputs,), score)
    trees = [_Tree(tree, formats) for several in document["trees"] for tree in several]
    owner = list(range(outputs)) * len(document["trees"])
    depth = max(1, *(tree.depth for tree in trees))
    if len(trees) << depth > _LARGEST:
        raise NotExact("trees", f"{len(trees)} trees of depth {depth}, which would have over {_LARGEST} leaves")
    feature, threshold, value = (
        np.stack(part) for part in zip(*(completed(t.nodes, depth) for t in trees), strict=True)
    )
    layer = Trees(
        name="trees",
        sources=(x.name,),
        output=summed,
        feature=feature,
        threshold=threshold,
        threshold_format=formats["threshold"],
        value=value,
        owner=np.array(owner, dtype=np.int64),
        start=quantise(_numbers(document["init_predict"][:outputs]), score),
        inclusive=document["splitting_convention"] == "<=",
    )
    norm = quantise(np.array([float(document["norm"])]), score)
    if int(norm[0]) * score.lsb == 1:
        return Program((x,), (layer,), (summed.name,))
    scaled = Tensor("score", (outputs,), score)
    scale = Scale("norm", (summed.name,), scaled, norm, score, np.zeros(1, np.int64), score)
    return Program((x,), (layer, scale), (scaled.name,))


class _Tree:
    """One tree's nodes as raw numbers, and how deep it is."""

    def __init__(self, tree: Mapping[str, Any], formats: Mapping[str, Format]) -> None:
        self._check_weights(tree, formats["weight"])
        leaf = np.array(tree["feature"]) == LEAF  # the threshold of a leaf and the value of a node mean nothing
        thresholds = quantise(np.where(leaf, 0.0, _numbers(tree["threshold"])), formats["threshold"]).tolist()
        values = quantise(np.where(leaf, _numbers(tree["value"]), 0.0), formats["score"]).tolist()
        children = zip(tree["children_left"], tree["children_right"], strict=True)
        self.nodes = [
            (feature, threshold, left, right, value)
            for feature, threshold, (left, right), value in zip(
                tree["feature"], thresholds, children, values, strict=True
            )
        ]
        self.depth = self._depth(0)

    def _depth(self, node: int) -> int:
        """Return how many comparisons lie below a node."""
        _, _, left, right, _ = self.nodes[node]
        return 0 if left < 0 else 1 + max(self._depth(left), self._depth(right))

    @staticmethod
    def _check_weights(tree: Mapping[str, Any], fmt: Format) -> None:
        """Refuse splits on sums of features, and formats in which the 1 of a single feature is another number."""
        for feature, weights in zip(tree["feature"], tree["weight"], strict=True):
            if feature == LEAF:
                continue
            if [i for i, weight in enumerate(weights) if weight] != [feature]:
                raise NotExact("trees", "a split on several features at once (an oblique tree)")
            if int(quantise(np.array([weights[feature]]), fmt)[0]) * fmt.lsb != 1:
                raise NotExact("trees", f"the weight {weights[feature]} of a feature is not 1 in {fmt}")


def _numbers(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _format(config: Mapping[str, Any], name: str) -> Format:
    spelling = str(config.get(f"{name}_precision"))
    try:
        return Format.parse(spelling)
    except ValueError as error:
        raise BadEnsemble(
            f"{name} precision {error}: convert the trees again, with an ap_fixed or ap_ufixed type of at most 63 bits"
        ) from error
