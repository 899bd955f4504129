"""The page for people: rendered on the server, complete without a script."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from monitor.decide.retrain import State
from monitor.decide.verdict import Blame, Level
from monitor.drift.evidence import Agreement, Where
from monitor.serve import figure, words
from monitor.serve.axis import number
from monitor.serve.dossier import sentences
from monitor.serve.light import Light, healthy, light, stale
from monitor.serve.view import Histogram, Snapshot, StreamView
from monitor.trigger.site import Site

STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
RENEW_SECONDS = 10
WORDS = {Level.OK: "OK", Level.WATCH: "WATCH", Level.ACT: "ACT", Level.UNKNOWN: "UNKNOWN"}


@dataclass(frozen=True, slots=True)
class Question:
    """One of the three questions, in their order; `state` is ok, watch, act or unknown."""

    name: str
    state: Level
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One stream, ready for the template."""

    stream: StreamView
    light: Light
    word: str
    why: str
    since: str
    where: str
    action: str
    questions: tuple[Question, ...]
    score: figure.HistogramFigure | None
    inputs: tuple[figure.HistogramFigure, ...]
    maps: tuple[figure.MapFigure, ...]
    strip: figure.StripFigure | None
    decidable: bool


class Page:
    """The templates, loaded once; `capsules` says whether the API gives them out."""

    def __init__(self, *, capsules: bool = False) -> None:
        self._templates = templates()
        self._templates.globals.update(
            words=words, number=number, bar=figure.bar, sentences=sentences, renew=RENEW_SECONDS, capsules=capsules
        )
        folder = resources.files("monitor.serve") / "templates"
        self._static = {name: (folder / name).read_bytes() for name in STATIC}

    def render(self, snapshot: Snapshot, *, now: float) -> bytes:
        """Return the page as it may be shown at `now`, seconds since the epoch."""
        text = self._templates.get_template("page.html").render(
            snapshot=snapshot,
            now=now,
            stale=stale(snapshot, now),
            problems=healthy(snapshot, now),
            panels=[panel(snapshot, stream, now=now) for stream in snapshot.streams],
        )
        return text.encode("utf-8", "replace")

    def static(self, name: str) -> tuple[bytes, str]:
        """Return a file of the page and its media type. Raises HTTPException (404)."""
        if name not in self._static:
            raise HTTPException(404, f"there is no file {name!r}")
        return self._static[name], STATIC[name]


def templates() -> Environment:
    """Return the templates of everything that people are shown; what is put into them is escaped."""
    return Environment(
        loader=PackageLoader("monitor.serve"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def panel(snapshot: Snapshot, stream: StreamView, *, now: float) -> Panel:
    """Return what the page says about `stream` at `now`."""
    shown = light(snapshot, stream, now=now)
    verdict = stream.verdict
    # A light that aged into UNKNOWN must not go on with the old verdict's words.
    current = verdict if verdict is not None and verdict.level is shown.level else None
    place = current.where if current else Where()
    return Panel(
        stream=stream,
        light=shown,
        word=WORDS[shown.level],
        why=words.why(stream, shown),
        since=words.since(current.since, current.lumisection, snapshot.site) if current else "",
        where=words.where(place),
        action=current.action if current else advice(shown, snapshot.site),
        questions=questions(stream, shown),
        score=figure.histogram(stream.score) if stream.score else None,
        inputs=tuple(figure.histogram(each) for each in stream.inputs if tells(each)),
        maps=maps(stream, place),
        strip=figure.strip(stream.levels, short=snapshot.site.lumisection_short),
        decidable=stream.retrain is not None and stream.retrain.state is State.PROPOSED,
    )


def advice(shown: Light, site: Site) -> str:
    """Return what to do where the verdict does not say it, because there is none or it is too old."""
    if shown.blame is Blame.STREAM:
        return "Check that the trigger's producer is sending; do not trust the last verdict."
    if "judged yet" in shown.reason:
        return f"Wait for the first {site.lumisection_word} to close; call the trigger expert if this lasts."
    return "Call the trigwatch expert: until it answers again, nobody is watching this stream."


def questions(stream: StreamView, shown: Light) -> tuple[Question, ...]:
    """Return the three questions with their answers: identity, agreement, conditions."""
    evidence = stream.evidence
    if evidence is None or stream.verdict is None or stream.verdict.level is not shown.level:
        return tuple(Question(name, Level.UNKNOWN, "no answer") for name in ("Identity", "Agreement", "Conditions"))
    agreement = evidence.agreement
    unjudged = words.unjudged(evidence)
    return (
        Question(
            "Identity",
            shown.level if shown.blame is Blame.IDENTITY else Level.OK if stream.digest else Level.UNKNOWN,
            stream.digest[:19] + "…" if stream.digest else "the model's content is not known",
        ),
        Question(
            "Agreement",
            shown.level if shown.blame is Blame.FIRMWARE else _agrees(agreement),
            words.agreement_rate(agreement.compared, agreement.mismatched),
        ),
        Question(
            "Conditions",
            shown.level
            if shown.blame in {Blame.DETECTOR, Blame.CONDITIONS}
            else Level.UNKNOWN
            if unjudged
            else Level.OK,
            unjudged or f"evidence {evidence.alarm:.2f}, alarm at 1",
        ),
    )


def _agrees(agreement: Agreement) -> Level:
    if not agreement.compared:
        return Level.UNKNOWN
    return Level.ACT if agreement.ratio >= 1.0 else Level.OK


def tells(histogram: Histogram) -> bool:
    """Return whether there is something to see: an input that is always the same value is one block."""
    expected = histogram.expected or (0.0,) * len(histogram.counts)
    return sum(now > 0 or hoped > 0.5 for now, hoped in zip(histogram.counts, expected, strict=True)) != 1


def maps(stream: StreamView, place: Where) -> tuple[figure.MapFigure, ...]:
    """Return the stream's maps, the one that the verdict points into first; its place alone where no map came.

    A map with one row of eta (missing energy has none) is left out.
    """
    wide = [each for each in stream.maps if sum(any(pull is not None for pull in row) for row in each.pull) > 1]
    named = sorted(wide, key=lambda each: each.object != place.object)
    shown = [figure.eta_phi(each, place if place.object in {None, each.object} else Where()) for each in named]
    return tuple(each for each in shown or [figure.eta_phi(None, place)] if each is not None)
