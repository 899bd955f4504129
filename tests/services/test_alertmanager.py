"""Pages on a real Alertmanager: they come, survive its death, and go only when the daemon says so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.serve import post
from monitor.serve.alertmanager import REPOST_SECONDS, Alertmanager
from monitor.serve.plain import encode
from tests.services.programs import ROOT, ask, eventually, free_port, program, running
from tests.unit.serve import houses

pytestmark = pytest.mark.services
PAGE = "http://127.0.0.1:9742"


@contextmanager
def alertmanager(folder: Path, port: int) -> Iterator[Any]:
    url = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={ROOT / 'deploy/alertmanager/alertmanager.yml'}",
        f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(command, ready=f"{url}/-/ready", log=folder / "alertmanager.log") as process:
        yield process


def page(state: str, status: str = "firing") -> dict[str, Any]:
    verdict = houses.named(state).streams[0].verdict
    assert verdict is not None
    return verdict.to_json() | {"status": status}


def shown(port: int) -> dict[str, str]:
    """Return the alerts that are out: name and blame, and their state."""
    alerts = ask(f"http://127.0.0.1:{port}/api/v2/alerts")
    return {f"{a['labels']['alertname']} {a['labels'].get('blame', '')}": a["status"]["state"] for a in alerts}


def test_a_page_comes_outlives_a_killed_alertmanager_and_goes_when_it_is_over(tmp_path: Path):
    port = free_port()
    pager = Alertmanager([f"http://127.0.0.1:{port}"], page=PAGE)
    now = time.time()
    with alertmanager(tmp_path, port) as process:
        pager.tell(page("detector"), now=now)
        assert eventually(lambda: shown(port)) == {"TrigwatchPage detector": "active"}
        process.kill()
        process.wait(10)
    with pytest.raises(post.Unsent):
        pager.tend(now + REPOST_SECONDS)
    with alertmanager(tmp_path, port):
        assert shown(port) == {}, "if it remembers now, re-posting may be reconsidered"
        pager.tend(now + 2 * REPOST_SECONDS)
        assert eventually(lambda: shown(port)) == {"TrigwatchPage detector": "active"}
        pager.tell(page("detector", "resolved"), now=time.time())
        assert eventually(lambda: shown(port), holds=lambda out: not out) == {}


def test_the_daemons_own_page_hides_the_rule_on_its_level_for_the_same_stream_only(tmp_path: Path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    rule = [
        {"labels": {"alertname": "TrigwatchStreamAct", "severity": "page", "stream": stream, "blame": stream}}
        for stream in (houses.STREAM, "other")
    ]
    with alertmanager(tmp_path, port):
        Alertmanager([url], page=PAGE).tell(page("detector"), now=time.time())
        post.send(f"{url}/api/v2/alerts", encode(rule), headers={"Content-Type": "application/json"})
        expected = {
            "TrigwatchPage detector": "active",
            f"TrigwatchStreamAct {houses.STREAM}": "suppressed",
            "TrigwatchStreamAct other": "active",
        }
        # Alertmanager decides on inhibition when it first groups the alerts.
        assert eventually(lambda: shown(port), holds=lambda out: out == expected, within=40) == expected
