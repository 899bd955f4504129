"""What conifer's `model.save` writes, looked at before anything is made of it.

Its C++ reads the numbers as they are: with a tree that is missing, or a child that is none, it answers with whatever
lies in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

LEAF = -2
NO_CHILD = -1
_ENSEMBLE = ("n_classes", "n_features", "init_predict", "norm", "splitting_convention", "trees", "config")
_LISTS = ("feature", "threshold", "children_left", "children_right", "value", "weight")
_CONVENTIONS = ("<", "<=")
_TEXTS = frozenset(("config", "feature_map", "library", "metadata", "output_names", "splitting_convention"))
"""Where an ensemble has words: none is written into C++ but the precisions of `config`, which are parsed first."""
_AGAIN = "the file was damaged or edited; convert and save the trees again"


class BadEnsemble(ValueError):
    """Trees that cannot be computed: a part that is missing or out of range; the message says which, and the remedy."""


def is_ensemble(document: Any) -> bool:
    """Whether a JSON value is what conifer's `model.save` writes."""
    return isinstance(document, Mapping) and all(key in document for key in _ENSEMBLE)


def outputs_of(document: Mapping[str, Any]) -> int:
    """Return how many scores an ensemble has: two classes share one."""
    classes = int(document["n_classes"])
    return classes if classes > 2 else 1


def refuse_damaged(document: Mapping[str, Any]) -> None:
    """Raise `BadEnsemble` that names the first part of an ensemble that is not what it must be."""
    for part in ("n_classes", "n_features"):
        if not _is_whole(document[part]) or document[part] < 1:
            raise BadEnsemble(f"{part} is {document[part]!r:.40}, not a whole number over 0: {_AGAIN}")
    outputs, rounds = outputs_of(document), document["trees"]
    if document["splitting_convention"] not in _CONVENTIONS:
        said = document["splitting_convention"]
        raise BadEnsemble(f"splitting_convention is {said!r:.40}, not one of {', '.join(_CONVENTIONS)}: {_AGAIN}")
    if len(document["init_predict"]) < outputs:
        raise BadEnsemble(f"init_predict has {len(document['init_predict'])} numbers for {outputs} scores: {_AGAIN}")
    _refuse_no_numbers(document["init_predict"][:outputs], "init_predict")
    _refuse_no_numbers([document["norm"]], "norm")
    if not rounds or document.get("n_trees", len(rounds)) != len(rounds):
        raise BadEnsemble(f"n_trees is {document.get('n_trees')!r:.40} and trees has {len(rounds)}: {_AGAIN}")
    for place, trees in enumerate(rounds):
        if len(trees) != outputs:
            raise BadEnsemble(f"trees[{place}] has {len(trees)} trees for {outputs} scores: {_AGAIN}")
        for output, tree in enumerate(trees):
            try:
                _refuse_damaged_tree(tree, document["n_features"])
            except BadEnsemble as error:
                raise BadEnsemble(f"trees[{place}][{output}]: {error}") from error
    _refuse_texts(document)


def _refuse_texts(document: Mapping[str, Any]) -> None:
    for part in sorted(document.keys() - _TEXTS):
        _refuse_text(document[part], part)


def _refuse_text(value: Any, place: str) -> None:
    """Refuse text where there are numbers: conifer writes them into C++ as they are."""
    if isinstance(value, str):
        raise BadEnsemble(f"{place} holds the text {value!r:.60}, where numbers belong: {_AGAIN}")
    if isinstance(value, Mapping):
        for key, each in value.items():
            _refuse_text(each, f"{place}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _refuse_text(each, f"{place}[{number}]")


def _refuse_damaged_tree(tree: Mapping[str, Any], features: int) -> None:
    lengths = {name: len(tree[name]) for name in _LISTS}
    if len(set(lengths.values())) > 1 or not lengths["feature"]:
        raise BadEnsemble(f"its lists have different numbers of nodes, or none, {lengths}: {_AGAIN}")
    nodes = zip(tree["feature"], tree["children_left"], tree["children_right"], strict=True)
    children: list[int] = []
    for node, numbers in enumerate(nodes):
        if not all(_is_whole(number) for number in numbers):
            raise BadEnsemble(f"feature and children of node {node} are {numbers}, not whole numbers: {_AGAIN}")
        if numbers != (LEAF, NO_CHILD, NO_CHILD):
            _refuse_damaged_node(node, *numbers, features=features, nodes=lengths["feature"])
            children += numbers[1:]
    if sorted(children) != list(range(1, lengths["feature"])):
        raise BadEnsemble(f"its nodes are not the children of one node each: {_AGAIN}")
    _refuse_damaged_numbers(tree, features)


def _refuse_damaged_node(node: int, feature: int, left: int, right: int, *, features: int, nodes: int) -> None:
    if not 0 <= feature < features:
        raise BadEnsemble(
            f"feature[{node}] is {feature}, and the model has the features 0 to {features - 1} ({LEAF} is a leaf, and "
            f"has the children {NO_CHILD}): {_AGAIN}"
        )
    for side, child in (("left", left), ("right", right)):
        # conifer's C++ asks for the parent's decision, which it must have made before.
        if not node < child < nodes:
            raise BadEnsemble(
                f"children_{side}[{node}] is {child}, and must be a node behind it, of {nodes} in all: {_AGAIN}"
            )


def _refuse_damaged_numbers(tree: Mapping[str, Any], features: int) -> None:
    leaf = [feature == LEAF for feature in tree["feature"]]
    # The threshold of a leaf and the value of a node mean nothing.
    for name, unused in (("threshold", leaf), ("value", [not each for each in leaf])):
        _refuse_no_numbers([0 if skip else n for skip, n in zip(unused, tree[name], strict=True)], name)
    for node, weights in enumerate(tree["weight"]):
        if len(weights) != features:
            raise BadEnsemble(f"weight[{node}] has {len(weights)} numbers for {features} features: {_AGAIN}")
        _refuse_no_numbers(weights, f"weight[{node}]")


def _refuse_no_numbers(values: Sequence[Any], name: str) -> None:
    for place, value in enumerate(values):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadEnsemble(f"{name}[{place}] is {value!r:.40}, not a number: {_AGAIN}")
        if not math.isfinite(value):
            raise BadEnsemble(
                f"{name}[{place}] is {value}, which no fixed-point format can hold: train the trees without it, and "
                "with a base score, convert and save them again"
            )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
