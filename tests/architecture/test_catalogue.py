"""Every metric stands once in the catalogue, and everything that names one agrees with it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from monitor.serve import catalogue, reference

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/rules.yml"
RUNBOOK = ROOT / "docs/how-to/runbook.md"
LABELS = {metric.full: set(metric.labels) for metric in catalogue.CATALOGUE}
# What Prometheus itself puts on a series.
TARGET = {"job", "instance"}

CONTRACT = {
    "events_total": ("stream",),
    "rejected_total": ("stream", "reason"),
    "mismatches_total": ("stream", "model"),
    "compared_total": ("stream", "model"),
    "not_comparable_total": ("stream", "reason"),
    "stream_level": ("stream",),
    "evidence_ratio": ("stream", "quantity"),
    "newest_event_timestamp_seconds": ("stream",),
    "lumisection_delay_seconds": ("stream",),
    "consumer_lag_records": ("topic", "partition"),
    "retrain_state": ("stream",),
    "canary_detection_delay_lumisections": ("fault",),
    "exported_series": (),
}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def parts(expression: Any) -> Iterator[Any]:
    """Yield every part of a parsed expression."""
    yield expression
    for name in ("expr", "lhs", "rhs", "param", "vector_selector", "vs"):
        if (inner := getattr(expression, name, None)) is not None:
            yield from parts(inner)
    for inner in getattr(expression, "args", None) or ():
        yield from parts(inner)


def wrong(expression: str) -> list[str]:
    """Return what an expression asks for that the catalogue does not have."""
    found = []
    for part in parts(promql_parser.parse(expression)):
        if isinstance(part, promql_parser.VectorSelector):
            if part.name not in LABELS:
                found.append(f"no metric {part.name}")
                continue
            used = {matcher.name for matcher in part.matchers.matchers} - {"__name__"}
            found += [f"{part.name} has no label {label}" for label in used - LABELS[part.name] - TARGET]
    known = set().union(*LABELS.values()) | TARGET
    for part in parts(promql_parser.parse(expression)):
        grouping = getattr(part, "modifier", None)
        for label in getattr(grouping, "labels", None) or ():
            found += [] if label in known else [f"no metric has label {label}"]
    return found


def test_the_contracts_names_and_labels_are_in_the_catalogue():
    named = {metric.name: metric.labels for metric in catalogue.CATALOGUE}
    assert {name: named.get(name) for name in CONTRACT} == CONTRACT


def test_every_metric_stands_once():
    names = [metric.name for metric in catalogue.CATALOGUE]
    assert len(names) == len(set(names))
    listed = {value for value in vars(catalogue).values() if isinstance(value, catalogue.Metric)}
    assert listed == set(catalogue.CATALOGUE)


@pytest.mark.parametrize("label", sorted(catalogue.FORBIDDEN_LABELS))
def test_a_label_that_would_grow_for_ever_is_refused(label: str):
    with pytest.raises(ValueError, match=f"label '{label}'"):
        catalogue.Metric("x", catalogue.Type.GAUGE, (label,), "text")


def test_a_counter_ends_in_total_and_nothing_else_does():
    with pytest.raises(ValueError, match="counters end in _total"):
        catalogue.Metric("x", catalogue.Type.COUNTER, (), "text")
    with pytest.raises(ValueError, match="gauges do not"):
        catalogue.Metric("x_total", catalogue.Type.GAUGE, (), "text")


def test_the_reference_page_is_written_from_the_catalogue():
    page = (ROOT / "docs/reference/metrics.md").read_text()
    assert page == reference.markdown(), "write it again: python -m monitor.serve.reference > docs/reference/metrics.md"


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.stem)
def test_documents_name_only_metrics_that_exist(page: Path):
    # A name that ends in _ is a prefix, as in `trigwatch_…`.
    named = {name for name in re.findall(r"\btrigwatch_[a-z_]*[a-z]\b", page.read_text()) if "demo" not in name}
    assert named <= set(LABELS)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_asks_only_for_metrics_that_exist(alert: dict[str, Any]):
    assert wrong(alert["expr"]) == []


@pytest.mark.parametrize(
    "expression",
    [
        "trigwatch_event_total",
        "sum by (streams) (trigwatch_stream_level)",
        'rate(trigwatch_events_total{model="a"}[5m])',
        "max(trigwatch_stream_level) or on (stream) last_over_time(trigwatch_stream_levels[6h])",
        'topk(3, trigwatch_evidence_ratio{quantities=~"a"})',
    ],
)
def test_a_wrong_name_anywhere_in_an_expression_is_found(expression: str):
    assert wrong(expression) != []


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_urgent_it_is_and_where_the_runbook_helps(alert: dict[str, Any]):
    assert alert["labels"]["severity"] in {"page", "ticket"}
    address, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert address.endswith("/docs/how-to/runbook.md")
    assert anchor == alert["alert"].lower()
    assert f"\n## {alert['alert']}\n" in RUNBOOK.read_text()


def test_the_runbook_has_no_section_for_an_alert_that_does_not_exist():
    sections = set(re.findall(r"^## (Trigwatch\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert sections == {alert["alert"] for alert in alerts()} | {"TrigwatchPage"}


def test_every_alert_is_tested():
    cases = yaml.safe_load((ROOT / "deploy/prometheus/rules_test.yml").read_text())["tests"]
    tried = {case["alertname"] for each in cases for case in each["alert_rule_test"] if case["exp_alerts"]}
    assert tried == {alert["alert"] for alert in alerts()}
