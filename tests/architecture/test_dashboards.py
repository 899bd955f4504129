"""The committed dashboards are what the code writes, and keep the rules of a good one."""

import json
import re
from typing import Any

import promql_parser
import pytest

from dashboards import shifter
from tests.architecture.test_catalogue import LABELS, ROOT, parts, wrong

BOARD = json.loads((ROOT / "dashboards/shifter.json").read_text())
PANELS = BOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
NAMES = [f"{title}: {target['expr'][:40]}" for title, target in TARGETS]
COUNTERS = {name for name in LABELS if name.endswith("_total")}


def filled(expression: str) -> str:
    """Return the expression as Grafana sends it."""
    return expression.replace("$__rate_interval", "1m").replace("$stream", ".*")


def test_the_file_is_what_the_code_writes():
    assert (ROOT / "dashboards/shifter.json").read_text() == shifter.document(), "python -m dashboards.shifter"


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=NAMES)
def test_an_expression_asks_only_for_metrics_that_exist(title: str, target: dict[str, Any]):
    del title
    assert wrong(filled(target["expr"])) == []


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=NAMES)
def test_a_counter_is_only_shown_as_a_rate_over_an_interval_that_fits_the_screen(title: str, target: dict[str, Any]):
    del title
    tree = promql_parser.parse(filled(target["expr"]))
    inside = {
        part.args[0].vector_selector.name
        for part in parts(tree)
        if isinstance(part, promql_parser.Call) and part.func.name in {"rate", "increase"}
    }
    shown = {part.name for part in parts(tree) if isinstance(part, promql_parser.VectorSelector)}
    assert shown & COUNTERS <= inside
    assert not re.search(r"(rate|increase)\([^[]*\[\d", target["expr"])


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=NAMES)
def test_topk_is_for_instant_tables_only(title: str, target: dict[str, Any]):
    del title
    if "topk" in target["expr"]:
        assert target["instant"] is True
        assert target["format"] == "table"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_title_a_description_a_unit_and_the_chosen_source(panel: dict[str, Any]):
    assert panel["title"]
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])


def test_panels_do_not_cover_each_other_and_fill_their_rows():
    cells = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    bottom = max(y for _, y in cells) + 1
    assert len(cells) == 24 * bottom
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_a_state_is_never_green_for_want_of_data():
    state, *_, history = (panel for panel in PANELS if panel["title"] in {"State", "Levels over time"})
    for panel in (state, history):
        (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
        assert {value: shown["text"] for value, shown in mapping["options"].items()} == {
            "0": "OK",
            "1": "WATCH",
            "2": "ACT",
            "3": "UNKNOWN",
        }
        assert "last_over_time" in panel["targets"][0]["expr"]
    assert state["fieldConfig"]["defaults"]["noValue"] == "UNKNOWN"


def test_the_board_cannot_be_edited_by_accident_and_speaks_utc():
    assert BOARD["editable"] is False
    assert BOARD["timezone"] == "utc"
    assert [variable["name"] for variable in BOARD["templating"]["list"]] == ["datasource", "stream"]
