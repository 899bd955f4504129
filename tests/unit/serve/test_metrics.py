"""What Prometheus reads is complete, readable and bounded."""

import dataclasses

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from monitor.decide.verdict import Level
from monitor.serve import catalogue
from monitor.serve.metrics import render
from monitor.serve.view import Compared, Counters, Snapshot, SourceView
from tests.unit.serve import houses

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def read(snapshot: Snapshot, *, limit: int = 2_000, now: float = houses.NOW) -> dict[tuple[str, frozenset], float]:
    page, _ = render(snapshot, now=now, limit=limit)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def value(found: dict, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def test_the_numbers_of_the_contract_are_there():
    found = read(houses.named("firmware"))
    own = {"stream": houses.STREAM}
    assert value(found, "trigwatch_events_total", **own) == 24_960_000
    assert value(found, "trigwatch_mismatches_total", **own, model=houses.MODEL) == 9_642
    assert value(found, "trigwatch_compared_total", **own, model=houses.MODEL) == 24_960_000
    assert value(found, "trigwatch_rejected_total", **own, reason="malformed") == 2
    assert value(found, "trigwatch_stream_level", **own) == 2
    assert value(found, "trigwatch_stream_blame", **own, blame="firmware") == 1
    assert value(found, "trigwatch_agreement_ratio", **own) == 6.3
    assert value(found, "trigwatch_consumer_lag_records", topic="l1scout", partition="3") == 6
    assert value(found, "trigwatch_canary_detection_delay_lumisections", fault="dead-region") == 14
    assert value(found, "trigwatch_pace_changes_total", what="throughput") == 1
    assert value(found, "trigwatch_up") == 1


@pytest.mark.parametrize(
    ("state", "number"), [("ok", 0), ("watch", 1), ("detector", 2), ("unknown", 3), ("learning", 3)]
)
def test_every_state_has_its_number(state: str, number: int):
    assert value(read(houses.named(state)), "trigwatch_stream_level", stream=houses.STREAM) == number


def test_a_stuck_loop_is_down_and_its_streams_are_unknown():
    found = read(houses.named("ok"), now=houses.NOW + 3_600)
    assert value(found, "trigwatch_up") == 0
    assert value(found, "trigwatch_stream_level", stream=houses.STREAM) == Level.UNKNOWN.number


def test_every_family_is_of_the_catalogue_with_its_labels_and_none_is_missing():
    found = read(houses.snapshot(houses.detector(), houses.firmware(), unattributed={"schema": 4}))
    known = {metric.full: set(metric.labels) for metric in catalogue.CATALOGUE}
    assert {name for name, _ in found} <= set(known) | set(catalogue.PROCESS_METRICS)
    assert all({label for label, _ in labels} == known[name] for name, labels in found if name in known)
    assert set(known) - {name for name, _ in found} == {"trigwatch_not_comparable_total"}


def test_openmetrics_is_served_to_who_asks_for_it_and_its_strict_parser_reads_it():
    page, content_type = render(houses.named("detector"), now=houses.NOW, accept=OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics.text_string_to_metric_families(page.decode())}
    assert {"trigwatch_events", "trigwatch_stream_level"} <= names
    assert render(houses.named("ok"), now=houses.NOW)[1].startswith("text/plain")


@pytest.mark.parametrize("name", ["a\ud800b", 'quote"and\\slash', "new\nline", "\x00", "x" * 5_000, "jet η"])
def test_no_label_can_break_the_page(name: str):
    stream = dataclasses.replace(houses.ok(), name=name, counters=Counters(events=7, rejected={name: 1}))
    found = read(houses.snapshot(stream))
    assert [number for (metric, _), number in found.items() if metric == "trigwatch_events_total"] == [7]
    assert all(len(text) <= 128 for _, labels in found for _, text in labels)


def test_two_labels_that_look_the_same_once_cleaned_are_added_up():
    counters = Counters(agreement={"m\x00": Compared(5, 1), "m\x01": Compared(7, 2)})
    found = read(houses.snapshot(dataclasses.replace(houses.ok(), counters=counters)))
    assert value(found, "trigwatch_compared_total", stream=houses.STREAM, model="m?") == 12


def test_a_full_page_keeps_the_levels_and_says_how_much_it_left_out():
    lag = {("topic", partition): 1 for partition in range(5_000)}
    snapshot = houses.snapshot(houses.firmware(), source=SourceView(True, 0.1, lag))
    found = read(snapshot)
    own = [name for name, _ in found if name.startswith("trigwatch_")]
    assert len(own) == 2_000 == value(found, "trigwatch_exported_series")
    assert value(found, "trigwatch_dropped_series") > 3_000
    assert value(found, "trigwatch_stream_level", stream=houses.STREAM) == 2
    full = read(snapshot, limit=10_000)
    assert value(full, "trigwatch_dropped_series") == 0
    assert value(full, "trigwatch_exported_series") == len([name for name, _ in full if name.startswith("trigwatch_")])
    assert value(full, "trigwatch_exported_series") - 2_000 == value(found, "trigwatch_dropped_series")


def test_a_thousand_streams_do_not_pass_the_limit():
    found = read(houses.snapshot(*(dataclasses.replace(houses.ok(), name=f"s{i}") for i in range(1_000))))
    assert len([name for name, _ in found if name.startswith("trigwatch_")]) == 2_000
    assert sum(name == "trigwatch_stream_level" for name, _ in found) == 1_000
