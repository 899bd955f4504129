"""The input mapping: names, columns, and no holes."""

import json
from typing import Any

import pytest

from emulator.layout import Axis, BadLayout, Layout, ObjectGroup

PT, PHI = Axis("pt", 0.5, "GeV", 0, 4096), Axis("phi", 0.0436, "rad", 0, 144, periodic=True)
LAYOUT = Layout((ObjectGroup("met", 0, 1, (PT, PHI)), ObjectGroup("jet", 2, 3, (PT, PHI))))


def test_columns_and_names_agree():
    jet = LAYOUT.groups[1]
    assert LAYOUT.width == 8
    assert LAYOUT.names()[jet.column(2, 1)] == "jet[2].phi"
    assert LAYOUT.names()[0] == "met.pt"


def test_json_round_trip():
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT


def test_a_hole_is_refused():
    with pytest.raises(ValueError, match="without holes"):
        Layout((ObjectGroup("jet", 1, 1, (PT,)),))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("5", "it holds 5: write a list of object groups"),
        ('{"jet": 1}', "it holds {'jet': 1}: write a list of object groups"),
        ("[]", r"it holds \[\]: write a list of object groups"),
        ("[3]", "object group 1 is 3: write name, count, axes"),
        ('[{"name": "jet", "axes": []}]', "object group 1 has no 'count': it takes name, count, axes"),
        ('[{"name": "jet", "count": 1, "axis": []}]', "object group 1 has no 'axes': it takes name, count, axes"),
        ('[{"name": "jet", "count": 1, "axes": [], "size": 1}]', "object group 1 has 'size': it takes name"),
        ('[{"name": "jet", "count": "two", "axes": []}]', "object group 1 has count = 'two': write a whole number"),
        ('[{"name": "jet", "count": 0, "axes": []}]', "object group 1 has count = 0: write a whole number, at least 1"),
        ('[{"name": "jet", "count": 1, "axes": []}]', r"object group 1 has axes = \[\]: write a list with one"),
        ('[{"name": 7, "count": 1, "axes": [1]}]', "object group 1 has name = 7: write a text"),
        ('[{"name": "", "count": 1, "axes": [1]}]', "object group 1 has name = '': give it a name"),
        ('[{"name": " ", "count": 1, "axes": [1]}]', "object group 1 has name = ' ': give it a name"),
        (
            r'[{"name": "a\nb", "count": 1, "axes": [1]}]',
            r"object group 1 has name = 'a\\nb': write it in printable characters",
        ),
    ],
)
def test_json_that_is_no_layout_is_refused_with_the_place_and_the_remedy(content: str, said: str):
    with pytest.raises(BadLayout, match=said):
        Layout.from_json(json.loads(content))


AXIS = {"name": "pt", "lsb": 1, "unit": "GeV", "low": 0, "high": 8}


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        (7, "is 7: write name, lsb, unit, low, high, periodic"),
        ({"name": "pt"}, "has no 'lsb'"),
        (AXIS | {"step": 1}, "has 'step': it takes name"),
        (AXIS | {"lsb": "1"}, "has lsb = '1': write a number"),
        (AXIS | {"lsb": float("nan")}, "has lsb = nan: write a number"),
        (AXIS | {"low": True}, "has low = True: write a number"),
        (AXIS | {"lsb": 0}, "has lsb = 0: write the physical size of one raw unit, above 0"),
        (AXIS | {"lsb": -0.5}, "has lsb = -0.5: write the physical size of one raw unit, above 0"),
        (AXIS | {"lsb": 10**400}, "has lsb = 10*: write the physical size"),
        (AXIS | {"low": -1.5}, "has low = -1.5: write a whole number of raw units, in 64 bits"),
        (AXIS | {"high": 100.5}, "has high = 100.5: write a whole number of raw units, in 64 bits"),
        (AXIS | {"high": 1e30}, r"has high = 1e\+30: write a whole number of raw units, in 64 bits"),
        (AXIS | {"low": -(10**400)}, "has low = -10*: write a whole number of raw units, in 64 bits"),
        (AXIS | {"name": ""}, "has name = '': give it a name"),
        (AXIS | {"name": "p\0t"}, r"has name = 'p\\x00t': write it in printable characters"),
        (AXIS | {"unit": "Ge\x1bV"}, r"has unit = 'Ge\\x1bV': write it in printable characters"),
        (AXIS | {"low": 8}, "is from 8 to 8: write low below high"),
        (AXIS | {"periodic": 1}, "has periodic = 1: write true or false"),
        (AXIS | {"unit": None}, "has unit = None: write a text"),
    ],
)
def test_an_axis_that_is_none_is_refused_with_its_group(axis: Any, said: str):
    first = AXIS | {"name": "eta"}
    groups = [{"name": "met", "count": 1, "axes": [AXIS]}, {"name": "jet", "count": 2, "axes": [first, axis]}]
    with pytest.raises(BadLayout, match=f"object group 2, axis 2 {said}"):
        Layout.from_json(groups)


def test_two_groups_or_two_axes_of_one_name_are_refused():
    met, jet = ({"name": name, "count": 1, "axes": [AXIS]} for name in ("met", "jet"))
    with pytest.raises(BadLayout, match="object groups 1 and 3 are both called 'met': give each a name of its own"):
        Layout.from_json([met, jet, met])
    eta = AXIS | {"name": "eta"}
    with pytest.raises(
        BadLayout, match="object group 2, axes 2 and 3 are both called 'eta': give each a name of its own"
    ):
        Layout.from_json([met, jet | {"axes": [AXIS, eta, eta]}])


def test_a_whole_number_may_be_written_with_a_point_as_earlier_cards_have_it():
    groups = [{"name": "jet", "count": 1, "axes": [AXIS | {"low": -8.0, "high": 8.0, "periodic": False}]}]
    assert Layout.from_json(groups).to_json() == groups


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lsb": 0.0}, "axis 'pt' has lsb = 0.0: write the physical size"),
        ({"low": 8, "high": 8}, "axis 'pt' is from 8 to 8: write low below high"),
        ({"name": "p\x1b"}, r"has name = 'p\\x1b': write it in printable characters"),
        ({"periodic": 1}, "axis 'pt' has periodic = 1: write true or false"),
    ],
)
def test_an_axis_made_in_python_is_checked_as_one_from_json_is(wrong: dict[str, Any], said: str):
    with pytest.raises(BadLayout, match=said):
        Axis(**{"name": "pt", "lsb": 0.5, "unit": "GeV", "low": 0, "high": 8} | wrong)


def test_groups_made_in_python_are_checked_as_those_from_json_are():
    pt = Axis("pt", 0.5, "GeV", 0, 8)
    with pytest.raises(BadLayout, match="object group 'jet' has count = 0: write a whole number, at least 1"):
        ObjectGroup("jet", 0, 0, (pt,))
    with pytest.raises(BadLayout, match="object group 'jet' has axes = "):
        ObjectGroup("jet", 0, 2, ())
    with pytest.raises(BadLayout, match="object group 'jet', axes 1 and 2 are both called 'pt'"):
        ObjectGroup("jet", 0, 2, (pt, pt))
    with pytest.raises(BadLayout, match="object groups 1 and 2 are both called 'jet'"):
        Layout((ObjectGroup("jet", 0, 2, (pt,)), ObjectGroup("jet", 2, 1, (pt,))))
