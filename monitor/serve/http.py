"""The one port: metrics, health, the API and the page for people."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from monitor.decide.retrain import Event
from monitor.serve import metrics, parquet, statement
from monitor.serve.light import healthy, light, stale
from monitor.serve.page import Page
from monitor.serve.plain import encode, plain
from monitor.serve.refusal import refusal
from monitor.serve.shield import LOOPBACK, Shield
from monitor.serve.statement import Statement
from monitor.serve.view import Absent, House, Refused, Snapshot
from monitor.trigger.header import NAME

ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
ROWS = 100
MAX_ROWS = 1_000
REASONED = frozenset({Event.REJECT, Event.FAIL})
log = logging.getLogger(__name__)

Rows = Callable[..., Sequence[Mapping[str, Any]]]


class Doors:
    """Every request's way into the house; `clock` gives seconds since the epoch."""

    def __init__(
        self, house: House, *, clock: Callable[[], float], series: int, capsule: Callable[[str], Any] | None
    ) -> None:
        self._house = house
        self._clock = clock
        self._series = series
        self._capsule = capsule
        self._page = Page(capsules=capsule is not None)

    def routes(self) -> list[Route]:
        """Return every address that answers."""
        return [
            Route("/", self.page),
            Route("/static/{name}", self.static),
            Route("/metrics", self.metrics),
            Route("/-/healthy", self.healthy),
            Route("/-/ready", self.ready),
            Route("/-/reload", self.reload, methods=["POST"]),
            Route("/api/v1/status", self.status),
            Route("/api/v1/streams", self.streams),
            Route("/api/v1/verdicts", self.verdicts),
            Route("/api/v1/lumisections", self.lumisections),
            Route("/api/v1/references", self.references),
            Route("/api/v1/models", self.models),
            Route("/api/v1/retrain", self.retrain),
            Route("/api/v1/retrain/{id}", self.request),
            Route("/api/v1/retrain/{id}/lumisections", self.training),
            Route("/api/v1/retrain/{id}/lumisections.parquet", self.parquet),
            Route("/api/v1/capsules/{id}", self.capsule),
            Route("/api/v1/verdicts/{id}/ack", self.acknowledge, methods=["POST"]),
            *(
                Route(f"/api/v1/retrain/{{id}}/{event.value}", self._step(event), methods=["POST"])
                for event in Event
                if event is not Event.PROPOSE
            ),
        ]

    def page(self, request: Request) -> Response:
        """Show people what is going on."""
        del request
        return Response(self._page.render(self._house.snapshot(), now=self._clock()), media_type="text/html")

    def static(self, request: Request) -> Response:
        """Serve the page's own style, script and icon."""
        content, media_type = self._page.static(request.path_params["name"])
        return Response(content, media_type=media_type)

    def metrics(self, request: Request) -> Response:
        """Show Prometheus the same."""
        content, content_type = metrics.render(
            self._house.snapshot(),
            now=self._clock(),
            accept=request.headers.get("accept", ""),
            limit=self._series,
        )
        return Response(content, headers={"Content-Type": content_type})

    async def healthy(self, request: Request) -> Response:
        """Answer 200 while the loop runs and nothing is wrong with the daemon itself, 503 with the reasons else."""
        del request
        problems = healthy(self._house.snapshot(), self._clock())
        return answer({"healthy": not problems, "problems": problems}, status=503 if problems else 200)

    async def ready(self, request: Request) -> Response:
        """Answer 200 once the daemon judges, 503 before."""
        del request
        snapshot = self._house.snapshot()
        ready = snapshot.ready and not stale(snapshot, self._clock())
        return answer({"ready": ready}, status=200 if ready else 503)

    async def reload(self, request: Request) -> Response:
        """Read settings, models and references again."""
        del request
        return answer({"changed": await run_in_threadpool(self._house.reload)})

    def status(self, request: Request) -> Response:
        """Say in one look how every stream does."""
        del request
        return answer(status(self._house.snapshot(), now=self._clock()))

    def streams(self, request: Request) -> Response:
        """Show everything that the page shows, stream by stream."""
        del request
        snapshot, now = self._house.snapshot(), self._clock()
        shown = [plain(stream) | {"light": plain(light(snapshot, stream, now=now))} for stream in snapshot.streams]
        return answer({"now": snapshot.now, "streams": shown})

    def verdicts(self, request: Request) -> Response:
        """List the latest verdicts."""
        return answer({"verdicts": rows(self._house.verdicts, request)})

    def lumisections(self, request: Request) -> Response:
        """List the latest judged lumisections."""
        return answer({"lumisections": rows(self._house.lumisections, request)})

    def references(self, request: Request) -> Response:
        """List the pages of the Book."""
        del request
        return answer({"references": self._house.references()})

    def models(self, request: Request) -> Response:
        """List the registry's cards."""
        del request
        return answer({"models": self._house.models()})

    def retrain(self, request: Request) -> Response:
        """List the retraining requests."""
        del request
        return answer({"retrain": self._house.retrain()})

    def request(self, request: Request) -> Response:
        """Show one retraining request."""
        name = identity(request)
        found = next((each for each in self._house.retrain() if each["id"] == name), None)
        if found is None:
            raise HTTPException(404, f"no retraining request has id {name!r}: /api/v1/retrain lists them")
        return answer(found)

    def training(self, request: Request) -> Response:
        """Say which lumisections a retraining should learn from, and why not from the others."""
        return answer(self._house.training(identity(request)).query())

    def parquet(self, request: Request) -> Response:
        """Give the same as a table, one row for each lumisection."""
        name = identity(request)
        content = parquet.table(self._house.training(name))
        disposition = f'attachment; filename="retrain-{name.replace(":", "-")}.parquet"'
        return Response(content, media_type=parquet.MEDIA_TYPE, headers={"Content-Disposition": disposition})

    def capsule(self, request: Request) -> Response:
        """Give what `trigwatch capsule replay` needs to replay one mismatch, as a file."""
        name = identity(request)
        if self._capsule is None:
            raise HTTPException(404, "this daemon keeps no capsules")
        kept = answer(self._capsule(name))
        kept.headers["Content-Disposition"] = f'attachment; filename="capsule-{name.replace(":", "-")}.json"'
        return kept

    async def acknowledge(self, request: Request) -> Response:
        """Note that somebody has seen a verdict, and whether it was a true alarm."""
        said = await statement.read(request, labelled=True)

        def acknowledge(name: str) -> str:
            self._house.acknowledge(name, who=said.who, note=said.note, label=said.label)
            return "acknowledged"

        return await self._say(request, said, acknowledge)

    def _step(self, event: Event) -> Callable[[Request], Awaitable[Response]]:
        """Return what takes this step of a retraining; whoever stops one says why."""

        async def step(request: Request) -> Response:
            said = await statement.read(request, note_required=event in REASONED)
            return await self._say(
                request, said, lambda name: self._house.step(name, event, who=said.who, note=said.note)
            )

        return step

    async def _say(self, request: Request, said: Statement, change: Callable[[str], str]) -> Response:
        name = identity(request)
        done = await run_in_threadpool(change, name)
        if said.form:
            return RedirectResponse("/", status_code=303)
        label = {"label": said.label} if said.label else {}
        return answer({"id": name, "state": done, "who": said.who, "note": said.note, **label})


def identity(request: Request) -> str:
    """Return the id in the request's path. Raises HTTPException (404) where it cannot be one."""
    name: str = request.path_params["id"]
    if not ID.fullmatch(name):
        raise HTTPException(404, f"{name!r} is not an id: ids come from /api/v1/verdicts and /api/v1/retrain")
    return name


def status(snapshot: Snapshot, *, now: float) -> dict[str, Any]:
    """Return the daemon's state and every stream's light at `now`, JSON values only."""
    lights = {stream.name: light(snapshot, stream, now=now) for stream in snapshot.streams}
    return {
        "site": snapshot.site.name,
        "version": snapshot.version,
        "role": snapshot.role,
        "started": snapshot.started,
        "now": snapshot.now,
        "stale": stale(snapshot, now),
        "ready": snapshot.ready,
        "problems": list(healthy(snapshot, now)),
        "streams": [{"name": name, **plain(shown)} for name, shown in lights.items()],
    }


def answer(content: Any, *, status: int = 200) -> Response:
    """Return `content` as a JSON response."""
    return Response(encode(content), status_code=status, media_type="application/json")


def rows(source: Rows, request: Request) -> Sequence[Mapping[str, Any]]:
    """Return what `source` gives for the query's `limit` and `stream`. Raises HTTPException (400) on bad ones."""
    query = request.query_params
    if surplus := sorted(set(query) - {"limit", "stream"}):
        raise HTTPException(400, f"parameter {surplus[0]!r} is not known: use limit and stream")
    limit, stream = query.get("limit", str(ROWS)), query.get("stream")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_ROWS):
        raise HTTPException(400, f"limit {limit!r} is not a number from 1 to {MAX_ROWS}")
    if stream is not None and not NAME.fullmatch(stream):
        raise HTTPException(400, f"stream {stream!r} is not a name: letters, digits, and _ . - only, at most 64")
    return source(limit=int(limit), stream=stream)


def create(
    house: House,
    *,
    clock: Callable[[], float],
    hosts: Collection[str] = LOOPBACK,
    series: int = metrics.SERIES,
    capsule: Callable[[str], Any] | None = None,
) -> Starlette:
    """Return the application.

    Parameters
    ----------
    house
        What is shown and who is told.
    clock
        Seconds since the epoch.
    hosts
        The names it answers to; empty allows any.
    series
        The most series on the metrics page.
    capsule
        Gives a stored capsule's JSON value by its id, raises `Absent`; None where none are kept.
    """
    return Starlette(
        routes=Doors(house, clock=clock, series=series, capsule=capsule).routes(),
        middleware=[Middleware(Shield, hosts=hosts)],
        exception_handlers={
            HTTPException: _http_error,
            Absent: _error(404),
            Refused: _error(409),
            Exception: _internal,
        },
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - starlette calls it for nothing else
    response = refusal(request.headers, error.detail, status=error.status_code)
    response.headers.update(error.headers or {})
    return response


def _error(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def respond(request: Request, error: Exception) -> Response:
        return refusal(request.headers, str(error.args[0]) if error.args else "not possible", status=status)

    return respond


async def _internal(request: Request, error: Exception) -> Response:
    log.error("the answer to %s %s failed", request.method, request.url.path, exc_info=error)
    return refusal(request.headers, "the daemon could not answer this; its log says why", status=500)
