"""Pages through Alertmanager's API v2.

Alertmanager may lose an alert that it has accepted and may forget one that nobody repeats, so every firing alert is
posted again until it is resolved. It would also call an alert resolved when the daemon that repeats it has died; so
`endsAt` lies hours ahead, and only a page that says so resolves one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.serve import post
from monitor.serve.plain import encode

ALERT_NAME = "TrigwatchPage"
FIRING = "firing"
REPOST_SECONDS = 60.0
HOLD_SECONDS = 4 * 3600.0

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Firing:
    """A page that is out: its payload, and when it was first told, in seconds since the epoch."""

    verdict: Json
    started: float


def labels(verdict: Json) -> dict[str, str]:
    """Return the alert's identity."""
    return {
        "alertname": ALERT_NAME,
        "severity": "page",
        "stream": str(verdict["stream"]),
        "model": str(verdict["model"]),
        "blame": str(verdict["blame"]),
        "episode": str(verdict["id"]),
    }


def alert(firing: Firing, *, page: str, now: float, resolved: bool = False) -> dict[str, Any]:
    """Return one alert as `POST /api/v2/alerts` takes it; `page` is the address of the daemon's page."""
    verdict = firing.verdict
    since, what = verdict["since"], ", ".join(verdict["what"][:5])
    return {
        "labels": labels(verdict),
        "annotations": {
            "summary": f"{verdict['stream']}: {verdict['action']}",
            "description": f"Since run {since['run']}, LS {since['ls']}. Moved: {what or 'nothing named'}.",
            "runbook": f"docs/how-to/runbook.md#{ALERT_NAME.lower()}",
        },
        "generatorURL": page,
        "startsAt": _moment(firing.started),
        "endsAt": _moment(now if resolved else now + HOLD_SECONDS),
    }


class Alertmanager:
    """The page of every episode that has one, told to all of `urls` (a cluster's members each, as its manual asks)."""

    def __init__(self, urls: Sequence[str], *, page: str, timeout: float = post.TIMEOUT_SECONDS) -> None:
        self._urls = tuple(f"{url.rstrip('/')}/api/v2/alerts" for url in urls)
        self._page = page
        self._timeout = timeout
        self._firing: dict[str, Firing] = {}
        self._posted = float("-inf")

    @property
    def firing(self) -> Mapping[str, Firing]:
        """The pages that are out, by episode."""
        return dict(self._firing)

    def restore(self, pages: Iterable[Json], *, now: float) -> None:
        """Take up what fired before a restart, the payloads of pages in the order they were sent; `tend` posts them."""
        for page in pages:
            self._firing.pop(page["id"], None)
            if page["status"] == FIRING:
                self._firing[page["id"]] = Firing(page, now)

    def tell(self, page: Json, *, now: float) -> None:
        """Post a page's payload: the verdict with `status` "firing" or "resolved".

        Raises `post.Unsent` if no Alertmanager took it: tell again.
        """
        out, fires = self._firing.get(page["id"]), page["status"] == FIRING
        same = out is not None and labels(out.verdict) == labels(page)
        new = Firing(page, out.started if out and same else now)
        alerts = [alert(new, page=self._page, now=now, resolved=not fires)]
        if out and not same:
            alerts.append(alert(out, page=self._page, now=now, resolved=True))
        self._post(alerts)
        self._firing.pop(page["id"], None)
        if fires:
            self._firing[page["id"]] = new

    def tend(self, now: float) -> None:
        """Post what fires again, once in `REPOST_SECONDS`. Raises `post.Unsent` if no Alertmanager took it."""
        if now - self._posted >= REPOST_SECONDS:
            self._post([alert(each, page=self._page, now=now) for each in self._firing.values()])
            self._posted = now

    def _post(self, alerts: Sequence[Json]) -> None:
        failures: list[post.Unsent] = []
        for url in self._urls if alerts else ():
            try:
                post.send(url, encode(alerts), headers={"Content-Type": "application/json"}, timeout=self._timeout)
            except post.Unsent as error:
                failures.append(error)
        if failures and len(failures) == len(self._urls):
            raise failures[0]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
