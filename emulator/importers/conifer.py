"""From conifer's JSON of an ensemble of decision trees to an integer program, as its HLS backend computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format, Raw, quantise
from emulator.graph import NotExact, Program, Scale, Tensor, Trees
from emulator.graph.trees import completed

_LEAF = -2
_ENSEMBLE = ("n_classes", "n_features", "init_predict", "norm", "splitting_convention", "trees", "config")


class NotFinite(ValueError):
    """A number of a tree that no fixed-point format can hold; the message says which, and the remedy."""


def is_ensemble(document: Any) -> bool:
    """Whether a JSON value is what conifer's `model.save` writes."""
    return isinstance(document, Mapping) and all(key in document for key in _ENSEMBLE)


def import_ensemble(document: Mapping[str, Any]) -> Program:
    """Translate what conifer's `model.save` wrote.

    Raises
    ------
    NotExact
        Trees that have no exact program; says why.
    NotFinite
        A threshold or a value is no number.
    """
    formats = {name: _format(document["config"], name) for name in ("input", "threshold", "weight", "score")}
    score, classes = formats["score"], int(document["n_classes"])
    outputs = classes if classes > 2 else 1
    x = Tensor("x", (int(document["n_features"]),), formats["input"])
    summed = Tensor("sum", (outputs,), score)
    used = [tree for several in document["trees"] for tree in several[:outputs]]
    trees = [_Tree(tree, formats, name=f"tree {number}") for number, tree in enumerate(used)]
    owner = [place for several in document["trees"] for place in range(len(several[:outputs]))]
    depth = max(1, *(tree.depth for tree in trees))
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
        start=_start(document["init_predict"][:outputs], score),
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

    def __init__(self, tree: Mapping[str, Any], formats: Mapping[str, Format], *, name: str) -> None:
        self._check_weights(tree, formats["weight"])
        leaf = np.array(tree["children_left"]) < 0  # the threshold of a leaf and the value of a node mean nothing
        held = {
            "threshold": np.where(leaf, 0.0, _numbers(tree["threshold"])),
            "value": np.where(leaf, _numbers(tree["value"]), 0.0),
        }
        for part, numbers in held.items():
            _refuse_nonfinite(numbers, f"{part} of {name}")
        thresholds = quantise(held["threshold"], formats["threshold"]).tolist()
        values = quantise(held["value"], formats["score"]).tolist()
        children = zip(tree["children_left"], tree["children_right"], strict=True)
        self.nodes = [
            (feature, threshold, left, right, value)
            for feature, threshold, (left, right), value in zip(
                tree["feature"], thresholds, children, values, strict=True
            )
        ]
        self.depth = self._depth(0)

    def _depth(self, node: int) -> int:
        """Return how many comparisons lie below a node; a node that is its own ancestor ends the recursion loudly."""
        _, _, left, right, _ = self.nodes[node]
        return 0 if left < 0 else 1 + max(self._depth(left), self._depth(right))

    @staticmethod
    def _check_weights(tree: Mapping[str, Any], fmt: Format) -> None:
        """Refuse splits on sums of features, and formats in which the 1 of a single feature is another number."""
        for feature, weights in zip(tree["feature"], tree["weight"], strict=True):
            if feature == _LEAF:
                continue
            if feature < 0 or [i for i, weight in enumerate(weights) if weight] != [feature]:
                raise NotExact("trees", "a split on several features at once (an oblique tree)")
            if int(quantise(np.array([weights[feature]]), fmt)[0]) * fmt.lsb != 1:
                raise NotExact("trees", f"the weight {weights[feature]} of a feature is not 1 in {fmt}")


def _start(values: Sequence[float], fmt: Format) -> Raw:
    numbers = _numbers(values)
    if np.isnan(numbers).any():  # what conifer's converter makes of a base score that it does not understand
        raise NotExact(
            "trees", f"the initial prediction is {numbers.tolist()}: give the model a base score and convert it again"
        )
    return quantise(numbers, fmt)


def _refuse_nonfinite(numbers: NDArray[np.float64], name: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise NotFinite(
            f"{name} has {numbers[wrong[0]]} at [{wrong[0]}], which no fixed-point format can hold: train the trees "
            "without it, convert and save them again"
        )


def _numbers(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _format(config: Mapping[str, Any], name: str) -> Format:
    spelling = str(config.get(f"{name}_precision"))
    try:
        return Format.parse(spelling)
    except ValueError as error:
        raise NotExact("trees", f"{name} precision {error}") from error
