"""Panels as this project draws them."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
Mapping = ValueMap | RangeMap | RegexMap | SpecialValueMap
OK, WATCH, ACT, UNKNOWN = "#35b58f", "#f2b134", "#ff5d3b", "#b79df2"


def query(expression: str, legend: str = "", *, instant: bool = False) -> prometheus.Dataquery:
    built = prometheus.Dataquery().expr(expression).legend_format(legend or "__auto").datasource(SOURCE)
    return built.instant() if instant else built.range()


def words(names: dict[str, tuple[str, str]]) -> list[Mapping]:
    options = {
        value: ValueMappingResult(text=text, color=color, index=int(value)) for value, (text, color) in names.items()
    }
    return [ValueMap(options=options)]


def steps(*limits: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    shown = [Threshold(value=value, color=color) for value, color in limits]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(shown)


def number(title: str, text: str, *queries: prometheus.Dataquery, width: int, unit: str = "none") -> stat.Panel:
    panel = (
        stat.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(5)
        .color_mode(look.BigValueColorMode.BACKGROUND)
        .graph_mode(look.BigValueGraphMode.NONE)
        .text_mode(look.BigValueTextMode.VALUE_AND_NAME)
        .no_value("UNKNOWN")
        .thresholds(steps((None, OK)))
    )
    for each in queries:
        panel = panel.with_target(each)
    return panel


def curve(title: str, text: str, *queries: prometheus.Dataquery, unit: str, width: int = 8) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(8)
        .line_width(2)
        .fill_opacity(6)
        .show_points(look.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(look.LegendDisplayMode.LIST)
            .placement(look.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI))
    )
    for each in queries:
        panel = panel.with_target(each)
    return panel
