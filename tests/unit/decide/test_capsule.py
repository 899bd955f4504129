"""Capsules: what is written is read back, in the oldest schema that can say it, and a changed one is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.decide.capsule import Capsule
from monitor.trigger.lumisection import Lumisection

PLAIN = Capsule("jets", "v1", "sha256:00", Lumisection(1, 5), 7, 8, 9, (1, 2), (3,), (4,))
FULL = replace(PLAIN, hypothesis="all inputs doubled", trace=(("encode1", (5, 6)),))


@pytest.mark.parametrize(("capsule", "schema"), [(PLAIN, "capsule/1"), (FULL, "capsule/2")])
def test_a_capsule_is_read_back_from_the_oldest_schema_that_can_say_it(capsule: Capsule, schema: str) -> None:
    written = capsule.to_json()
    assert written["schema"] == schema
    assert Capsule.from_json(written) == capsule


def test_a_first_schema_capsule_has_no_new_field() -> None:
    assert not {"hypothesis", "trace"} & PLAIN.to_json().keys()


def test_a_changed_hypothesis_is_noticed() -> None:
    with pytest.raises(ValueError, match="was changed"):
        Capsule.from_json({**FULL.to_json(), "hypothesis": "all inputs halved"})


@pytest.mark.parametrize("value", [[], 7, None, "capsule/1", {"schema": "capsule/9"}])
def test_json_that_is_not_a_capsule_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="this is not a capsule"):
        Capsule.from_json(value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": "1234"}, "'inputs' is '1234'"),
        ({"inputs": [1, 1.7]}, r"'inputs' is \[1, 1.7\]"),
        ({"inputs": [float("inf")]}, r"'inputs' is \[inf\]"),
        ({"hardware": [True]}, r"'hardware' is \[True\]"),
        ({"emulated": [1 << 63]}, "'emulated' is "),
        ({"ls": -1}, "'ls' is -1"),
        ({"event": "7"}, "'event' is '7'"),
        ({"label": 7}, "'label' is 7"),
        ({"schema": "capsule/2", "trace": [["layer", [10**30]]]}, "'trace' is "),
        ({"schema": "capsule/2", "trace": [["layer"]]}, "'trace' is "),
        ({"schema": "capsule/2", "hypothesis": None}, "'hypothesis' is None"),
    ],
)
def test_what_no_capsule_says_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Capsule.from_json({key: value for key, value in PLAIN.to_json().items() if key != "id"} | changes)


def test_the_first_schema_has_no_trace() -> None:
    written = {key: value for key, value in PLAIN.to_json().items() if key != "id"}
    assert Capsule.from_json(written | {"schema": "capsule/1", "trace": [["layer", [1]]]}).trace == ()
