"""Everything that leaves as JSON is JSON, also for parsers that know no NaN."""

import json
import math

import pytest

from monitor.decide.verdict import Level
from monitor.drift.evidence import Where
from monitor.serve.plain import encode, plain
from monitor.trigger.lumisection import Lumisection


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, None),
        (math.inf, None),
        (Level.ACT, "act"),
        (Lumisection(3, 4), {"run": 3, "ls": 4}),
        (Where(object="jet", phi=(0.5, 1.0)), {"object": "jet", "eta": None, "phi": [0.5, 1.0], "bit": None}),
        ({Level.OK: 1, ("t", 3): 2}, {"ok": 1, "t:3": 2}),
        ((True, 1, "a\ud800"), [True, 1, "a?"]),
    ],
)
def test_values_of_the_house_have_a_json_form(value: object, shown: object):
    assert plain(value) == shown
    assert json.loads(encode(value)) == shown


def test_what_has_no_json_form_is_refused_by_name():
    with pytest.raises(TypeError, match="object"):
        encode({"a": object()})
