"""A real Prometheus reads what the daemon shows, and no panel of the dashboard is empty."""

import dataclasses
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dashboards.shifter import LEVEL
from monitor.decide.retrain import State
from monitor.decide.verdict import Level
from monitor.serve import catalogue
from monitor.serve.http import create
from monitor.serve.metrics import cap, samples
from monitor.serve.server import Server
from monitor.serve.view import Compared, Counters, RetrainView, Snapshot
from tests.services.programs import ROOT, ask, eventually, free_port, program, run, running
from tests.unit.serve import houses

pytestmark = pytest.mark.services
BOARD = json.loads((ROOT / "dashboards/shifter.json").read_text())
TARGETS = [(panel["title"], target) for panel in BOARD["panels"] for target in panel["targets"]]
STEP = 15.0
STEPS = 160


@contextmanager
def prometheus(folder: Path, configuration: str) -> Iterator[str]:
    """Run Prometheus on `folder`/data; yield its API's address."""
    (folder / "prometheus.yml").write_text(configuration)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=3650d",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with running(command, ready=f"{url}/-/ready", log=folder / "prometheus.log"):
        yield f"{url}/api/v1"


def played(step: int) -> Snapshot:
    """Return the daemon at one step of a fill in which a region dies half-way."""
    stream = houses.ok() if step < STEPS // 2 else houses.detector()
    counted = Counters(
        events=1_000 * step,
        lost_batches=step // 40,
        agreement={houses.MODEL: Compared(1_000 * step, max(0, 3 * (step - STEPS // 2)))},
        not_comparable={"unknown model": 2 * step},
        rejected={"malformed": step // 10},
    )
    now = houses.NOW + STEP * step
    asked = RetrainView("r", State.PROPOSED if step > 100 else State.NONE, {})
    stream = dataclasses.replace(
        stream, counters=counted, retrain=asked, judged_at=now - 5, newest_event_timestamp=now - 2
    )
    return houses.snapshot(stream, now=now - 1)


def backfill() -> Iterator[str]:
    """Yield the fill as OpenMetrics with time stamps, family by family as the format wants it."""
    scrapes = []
    for step in range(STEPS):
        now = houses.NOW + STEP * step
        scrapes.append((now, cap(samples(played(step), now=now), limit=2_000)))
    for metric in catalogue.CATALOGUE:
        yield f"# TYPE {metric.full.removesuffix('_total')} {metric.type}\n"
        for now, families in scrapes:
            for labels, value in families[metric].items():
                named = ",".join(f'{name}="{text}"' for name, text in zip(metric.labels, labels, strict=True))
                yield f"{metric.full}{{{named}}} {value} {now:.3f}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that holds the fill."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "fill.om").write_text("".join(backfill()))
    outcome = run("promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "fill.om", folder / "data")
    assert outcome.returncode == 0, outcome.stdout
    with prometheus(folder, "global: {}\n") as api:
        yield api


def evaluate(api: str, expression: str, *, instant: bool) -> list[dict]:
    """Evaluate an expression as Grafana does at the end of the fill."""
    end = houses.NOW + STEP * (STEPS - 1)
    expression = expression.replace("$__rate_interval", "1m").replace("$stream", ".*")
    if instant:
        answer = ask(f"{api}/query", query=expression, time=end)
    else:
        answer = ask(f"{api}/query_range", query=expression, start=houses.NOW + 60, end=end, step=STEP)
    assert answer["status"] == "success"
    return answer["data"]["result"]


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{title}: {t['expr'][:40]}" for title, t in TARGETS])
def test_no_panel_is_empty_and_none_shows_what_is_not_a_number(title: str, target: dict, filled: str):
    series = evaluate(filled, target["expr"], instant=bool(target.get("instant")))
    assert series, f"{title} shows nothing"
    values = [float(value) for each in series for _, value in (each.get("values") or [each["value"]])]
    assert not any(math.isnan(value) for value in values), title


def test_the_dashboard_shows_the_fill_as_it_was(filled: str):
    (levels,) = evaluate(filled, LEVEL, instant=False)
    assert [levels["values"][0][1], levels["values"][-1][1]] == ["0", "2"]
    (top, *_) = evaluate(filled, 'sort_desc(topk(10, trigwatch_evidence_ratio{stream=~"$stream"}))', instant=True)
    assert top["metric"]["quantity"] == "jet eta-phi occupancy"


LIVE = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: trigwatch
    sample_limit: 3000
    static_configs: [{{ targets: ["127.0.0.1:{port}"] }}]
"""


def test_a_daemon_that_dies_while_it_says_act_is_unknown_and_its_page_stays_out(tmp_path: Path):
    house = houses.Remembering(houses.snapshot(houses.detector(), sinks=()))
    rules = ROOT / "deploy/prometheus/rules.yml"
    with ExitStack() as live:
        server = live.enter_context(Server(create(house, clock=lambda: houses.NOW)))
        api = live.enter_context(prometheus(tmp_path, LIVE.format(rules=rules, port=server.port)))

        def level() -> list[str]:
            found = ask(f"{api}/query", query=LEVEL.replace("$stream", ".*"))["data"]["result"]
            return [each["value"][1] for each in found]

        def alerts() -> set[str]:
            """Return the alerts that fire or are about to."""
            return {each["labels"]["alertname"] for each in ask(f"{api}/alerts")["data"]["alerts"]}

        assert eventually(level) == [str(Level.ACT.number)]
        assert eventually(alerts, holds=lambda names: names == {"TrigwatchStreamAct", "TrigwatchRetrainProposed"})
        (target,) = ask(f"{api}/targets")["data"]["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        server.stop()
        assert eventually(level, holds=lambda found: found == ["3"]) == ["3"]
        left = {"TrigwatchDown", "TrigwatchStreamAct", "TrigwatchStreamUnknown"}
        assert eventually(alerts, holds=lambda names: left <= names)


def test_prometheus_reads_a_page_whose_labels_are_hostile(tmp_path: Path):
    evil = dataclasses.replace(houses.ok(), name='a"b\\c\nd\ud800', model="\x00")
    house = houses.Remembering(houses.snapshot(evil))
    with ExitStack() as live:
        server = live.enter_context(Server(create(house, clock=lambda: houses.NOW)))
        api = live.enter_context(prometheus(tmp_path, LIVE.format(rules="none.yml", port=server.port)))
        (found,) = eventually(lambda: ask(f"{api}/query", query="trigwatch_stream_level")["data"]["result"])
        assert found["metric"]["stream"] == 'a"b\\c?d?'
