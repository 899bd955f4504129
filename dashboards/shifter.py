"""The shifter's dashboard as code: `python -m dashboards.shifter` writes `dashboards/shifter.json`."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.shapes import ACT, OK, SOURCE, UNKNOWN, WATCH, curve, number, query, steps, words

Panel = stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel

RUNBOOK = "https://github.com/trigwatch/trigwatch/blob/main/docs/how-to/runbook.md"
LEVELS = {"0": ("OK", OK), "1": ("WATCH", WATCH), "2": ("ACT", ACT), "3": ("UNKNOWN", UNKNOWN)}
RETRAIN = {
    "0": ("none", OK),
    "1": ("proposed", WATCH),
    "2": ("approved", WATCH),
    "3": ("running", WATCH),
    "4": ("done", OK),
    "5": ("rejected", UNKNOWN),
}
UP = {"0": ("DOWN", ACT), "1": ("up", OK)}

# A level that is no longer reported is unknown, not gone: the second half finds streams that were here an hour ago.
LEVEL = (
    'max by (stream) (trigwatch_stream_level{stream=~"$stream"}) '
    'or 3 + 0 * max by (stream) (last_over_time(trigwatch_stream_level{stream=~"$stream"}[1h]))'
)


def evidence() -> timeseries.Panel:
    """Return the two evidence curves under the alarm line."""
    text = "Evidence that inputs or scores moved given the conditions, and that hardware and emulation disagree."
    line = common.GraphThresholdsStyleConfig().mode(look.GraphThresholdsStyleMode.DASHED)
    return (
        curve(
            "Evidence against the alarm line (1)",
            text,
            query('trigwatch_alarm_ratio{stream=~"$stream"}', "conditions, {{stream}}"),
            query('trigwatch_agreement_ratio{stream=~"$stream"}', "agreement, {{stream}}"),
            unit="none",
            width=12,
        )
        .thresholds(steps((None, OK), (1.0, ACT)))
        .thresholds_style(line)
    )


def quantities() -> table.Panel:
    return (
        table.Panel()
        .title("What moved most")
        .description("The most moved quantities now; 1 is the alarm line.")
        .datasource(SOURCE)
        .unit("none")
        .decimals(2)
        .span(12)
        .height(8)
        .no_value("nothing judged")
        .thresholds(steps((None, OK), (0.5, WATCH), (1.0, ACT)))
        .with_target(
            query('sort_desc(topk(10, trigwatch_evidence_ratio{stream=~"$stream"}))', instant=True).format(
                PromQueryFormat.TABLE
            )
        )
    )


def history() -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .title("Levels over time")
        .description("Every stream's level; a stream that is no longer reported is UNKNOWN.")
        .datasource(SOURCE)
        .unit("none")
        .span(24)
        .height(6)
        .show_value(look.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
        .mappings(words(LEVELS))
        .thresholds(steps((None, UNKNOWN)))
        .with_target(query(LEVEL, "{{stream}}"))
    )


def marks() -> dashboard.AnnotationQuery:
    """Return the marks that the daemon puts on Grafana's time axis."""
    target = dashboard.AnnotationTarget().type("tags").tags(["trigwatch"]).limit(100).match_any(match_any=False)
    return (
        dashboard.AnnotationQuery()
        .name("trigwatch")
        .datasource(DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .enable(enable=True)
        .icon_color(WATCH)
        .target(target)
    )


def now() -> list[stat.Panel]:
    """Return the row that is read first."""
    return [
        number(
            "State",
            "The verdict of every stream; UNKNOWN also if the daemon no longer reports it.",
            query(LEVEL, "{{stream}}", instant=True),
            width=8,
        ).mappings(words(LEVELS)),
        number(
            "Who has to move",
            "The party that the verdict blames.",
            query('trigwatch_stream_blame{stream=~"$stream"} == 1', "{{stream}}: {{blame}}", instant=True),
            width=5,
        ).text_mode(look.BigValueTextMode.NAME),
        number(
            "Daemon",
            "DOWN if the loop does not answer or Prometheus does not reach it.",
            query("min(trigwatch_up) or vector(0)", "trigwatch", instant=True),
            width=3,
        ).mappings(words(UP)),
        number(
            "Newest event",
            "Age of the newest record; a stream that sends nothing grows old here.",
            query('time() - trigwatch_newest_event_timestamp_seconds{stream=~"$stream"}', "{{stream}}", instant=True),
            width=4,
            unit="s",
        ).thresholds(steps((None, OK), (60, WATCH), (180, ACT))),
        number(
            "Retraining",
            "State of the latest retraining request.",
            query('max by (stream) (trigwatch_retrain_state{stream=~"$stream"})', "{{stream}}", instant=True),
            width=4,
        ).mappings(words(RETRAIN)),
    ]


def model() -> list[timeseries.Panel]:
    """Return what concerns the model: agreement and accept rate."""
    by = "by (stream, model)"
    return [
        curve(
            "Mismatches",
            "Share of compared events whose raw score differs from the emulated one.",
            query(
                f'sum {by} (rate(trigwatch_mismatches_total{{stream=~"$stream"}}[$__rate_interval])) '
                f'/ sum {by} (rate(trigwatch_compared_total{{stream=~"$stream"}}[$__rate_interval]))',
                "{{stream}}, {{model}}",
            ),
            unit="percentunit",
        ),
        curve(
            "Accept rate",
            "Share of events over threshold, against what the reference expects at this pile-up.",
            query('trigwatch_accept_rate_ratio{stream=~"$stream"}', "now, {{stream}}"),
            query('trigwatch_expected_accept_rate_ratio{stream=~"$stream"}', "expected, {{stream}}"),
            unit="percentunit",
        ),
        curve(
            "Pile-up",
            "Mean interactions per crossing in the latest lumisection.",
            query('trigwatch_pileup{stream=~"$stream"}', "{{stream}}"),
            unit="none",
        ),
    ]


def supply() -> list[timeseries.Panel]:
    """Return what concerns the stream of data."""
    return [
        curve(
            "Events read",
            "Trigger events read and summarised.",
            query('sum by (stream) (rate(trigwatch_events_total{stream=~"$stream"}[$__rate_interval]))', "{{stream}}"),
            unit="short",
        ),
        curve(
            "Completeness",
            "Events received of those that the producer declared; 1 is all.",
            query('trigwatch_completeness_ratio{stream=~"$stream"}', "{{stream}}"),
            unit="percentunit",
        ),
        curve(
            "Not usable",
            "Records rejected and events that could not be computed again, by reason; and batches lost.",
            query(
                "sum by (stream, reason) (rate(trigwatch_rejected_total[$__rate_interval]))",
                "rejected: {{reason}}, {{stream}}",
            ),
            query(
                'sum by (stream, reason) (rate(trigwatch_not_comparable_total{stream=~"$stream"}[$__rate_interval]))',
                "not comparable: {{reason}}, {{stream}}",
            ),
            query(
                'sum by (stream) (rate(trigwatch_lost_batches_total{stream=~"$stream"}[$__rate_interval]))',
                "lost batches, {{stream}}",
            ),
            unit="short",
        ),
    ]


def daemon() -> list[timeseries.Panel]:
    """Return what concerns trigwatch itself."""
    return [
        curve(
            "Delay of the verdict",
            "From the end of a lumisection to its verdict.",
            query('trigwatch_lumisection_delay_seconds{stream=~"$stream"}', "{{stream}}"),
            unit="s",
        ),
        curve(
            "Waiting records",
            "Records on the broker that were not read yet, and messages that wait to be delivered.",
            query("sum by (topic) (trigwatch_consumer_lag_records)", "lag, {{topic}}"),
            query("trigwatch_outbox_pending", "outbox, {{sink}}"),
            unit="short",
        ),
        curve(
            "Canary",
            "Lumisections until a planted fault was found; it shows that the daemon can still find faults.",
            query("trigwatch_canary_detection_delay_lumisections", "{{fault}}"),
            unit="none",
        ),
    ]


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    stream = (
        dashboard.QueryVariable("stream")
        .label("Stream")
        .datasource(SOURCE)
        .query("label_values(trigwatch_stream_level, stream)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .include_all(include_all=True)
        .multi(multi=True)
    )
    built = (
        dashboard.Dashboard("trigwatch: shifter")
        .uid("trigwatch-shifter")
        .description("What trigwatch says about the models in the trigger: state, evidence, agreement, supply.")
        .tags(["trigwatch", "trigger"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("utc")
        .link(dashboard.DashboardLink("Runbook").type(DashboardLinkType.LINK).url(RUNBOOK).icon("doc"))
        .annotation(marks())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(stream)
    )
    panels: list[Panel] = [*now(), history(), evidence(), quantities(), *model(), *supply(), *daemon()]
    for identity, panel in enumerate(panels, start=1):
        built = built.with_panel(panel.id(identity))
    return built


def document() -> str:
    """Return the dashboard as the text of its file."""
    return JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".json").write_text(document(), encoding="utf-8")
