"""The input mapping: names, columns, and no holes."""

import pytest

from emulator.layout import Axis, Layout, ObjectGroup

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


@pytest.mark.parametrize("entry", [{}, {"name": "x", "count": 1}, {"name": "x", "count": 1, "axes": [{"nam": 1}]}])
def test_json_that_is_no_layout_is_named(entry):
    with pytest.raises(ValueError, match="not an object group"):
        Layout.from_json([entry])
