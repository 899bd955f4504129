"""The page says the state in words, works without a script, and cannot be written on by the stream."""

import dataclasses
import math
import re
from html.parser import HTMLParser

import pytest

from monitor.decide.retrain import State
from monitor.drift.evidence import Where
from monitor.serve.page import STATIC, Page
from monitor.serve.view import LevelPoint, Snapshot, StreamView
from tests.unit.serve import houses

PAGE = Page()
VOID = {"meta", "link", "input"}


class Document(HTMLParser):
    """Checks nesting, and keeps tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.words += f" {text.strip()}" if text.strip() else ""


def show(snapshot: Snapshot, *, now: float = houses.NOW) -> Document:
    return Document(PAGE.render(snapshot, now=now).decode())


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("ok", ["OK", "Nothing to do.", "all agree, bit for bit", "104,000 of 104,000 declared"]),
        ("watch", ["WATCH", "look again in five minutes", "met.pt mean", "22.1 instead of 21.4"]),
        ("firmware", ["ACT", "3,214 of 104,000 compared scores differ", "output bit 7", "do not retrain"]),
        (
            "detector",
            [
                "ACT",
                "jet, η \N{MINUS SIGN}1.50 to \N{MINUS SIGN}0.50, φ 1.05 to 1.75 rad",
                "13 LS, about 5",
                "A threshold of 151",
            ],
        ),
        ("unknown", ["UNKNOWN", "only 49 % of the declared events arrived", "nothing from partition 1, 3"]),
        ("learning", ["UNKNOWN", "No lumisection of this stream has been judged yet"]),
    ],
)
def test_every_state_is_said_in_words(state: str, words: list[str]):
    said = show(houses.named(state)).words
    assert [word for word in words if word not in said] == []


def test_a_stale_page_says_unknown_and_takes_back_what_the_verdict_told_to_do():
    said = show(houses.named("ok"), now=houses.NOW + 600).words
    assert "UNKNOWN" in said
    assert "The daemon's loop has not answered for 601 seconds" in said
    assert "Nothing to do." not in said
    assert "all agree, bit for bit" not in said
    assert "OK" not in re.findall(r"[A-Z]{2,}", said)


def test_without_a_script_the_page_renews_itself_and_tells_its_age():
    page = PAGE.render(houses.named("ok"), now=houses.NOW).decode()
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page
    assert "2026-10-26 07:33:19 UTC" in page
    assert "Treat every light as UNKNOWN" in page
    assert b"animation: expire" in PAGE.static("page.css")[0]


@pytest.mark.parametrize("state", houses.STATES)
def test_the_page_needs_nothing_from_elsewhere_and_nothing_inline(state: str):
    document = show(houses.named(state))
    for tag, attributes in document.tags:
        assert "style" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "action", "formaction"):
            address = attributes.get(name) or "/"
            assert address.startswith(("/", "#")), address
            assert not address.startswith("//"), address
    assert "style" not in [tag for tag, _ in document.tags]
    for name in STATIC:
        found = re.findall(rb"https?://[^\"' )]+", PAGE.static(name)[0])
        assert found in ([], [b"http://www.w3.org/2000/svg"])


def test_what_the_stream_sends_cannot_become_a_tag():
    evil = '"><script>alert(1)</script>\ud800'
    seen = houses.detector()
    assert seen.verdict is not None
    assert seen.evidence is not None
    assert seen.retrain is not None
    assert seen.score is not None
    stream = dataclasses.replace(
        seen,
        name=evil,
        model=evil,
        verdict=dataclasses.replace(seen.verdict, action=evil, what=(evil,), where=Where(object=evil), id=evil),
        score=dataclasses.replace(seen.score, name=evil, unit=evil),
        retrain=dataclasses.replace(seen.retrain, dossier={evil: [evil, {evil: None}]}, id=evil, note=evil, who=evil),
    )
    document = show(houses.snapshot(stream, problems=(evil,)))
    scripts = [attributes for tag, attributes in document.tags if tag == "script"]
    assert scripts == [{"src": "/static/page.js", "defer": None}]
    assert "alert(1)" in document.words


def forms(stream: StreamView) -> list[str | None]:
    document = show(houses.snapshot(stream))
    return [attributes["action"] for tag, attributes in document.tags if tag == "form"]


def test_an_alarm_asks_for_an_acknowledgement_until_it_is_labelled():
    assert [each for each in forms(houses.ok()) if each] == []
    detector = houses.detector()
    assert detector.verdict is not None
    assert forms(detector)[0] == f"/api/v1/verdicts/{detector.verdict.id}/ack"
    seen = dataclasses.replace(detector, acknowledged=houses.acknowledged(detector))
    assert forms(seen)[0] == f"/api/v1/verdicts/{detector.verdict.id}/ack"  # what it was may be said later
    told = dataclasses.replace(seen, acknowledged=dataclasses.replace(houses.acknowledged(detector), label="true"))
    assert forms(told) == ["/api/v1/retrain/retrain-51ad/approve"]
    assert "Acknowledged by shift leader at 07:32:20" in show(houses.snapshot(seen)).words


def test_only_a_proposed_retraining_can_be_decided():
    detector = houses.detector()
    assert detector.retrain is not None
    for state in State:
        stream = dataclasses.replace(detector, retrain=dataclasses.replace(detector.retrain, state=state))
        assert (len(forms(stream)) == 2) is (state is State.PROPOSED)


def test_a_localised_fault_is_drawn_in_its_place_even_without_a_map():
    bare = dataclasses.replace(houses.detector(), maps=())
    places = [
        attributes
        for tag, attributes in show(houses.snapshot(bare)).tags
        if tag == "rect" and attributes["class"] == "place"
    ]
    assert len(places) == 1
    nowhere = dataclasses.replace(houses.firmware(), maps=())
    assert "map of" not in PAGE.render(houses.snapshot(nowhere), now=houses.NOW).decode().lower()


def test_a_quantitys_place_is_said_once_and_its_full_name_is_kept():
    long = "jet block eta [-2.49, -1.23) phi [4.54, 5.24)"
    stream = houses.detector()
    assert stream.verdict is not None
    assert stream.evidence is not None
    shifts = tuple(dataclasses.replace(shift, quantity=long) for shift in stream.evidence.shifts)
    named = dataclasses.replace(
        stream,
        verdict=dataclasses.replace(stream.verdict, what=(long, long, "score mean")),
        evidence=dataclasses.replace(stream.evidence, shifts=shifts),
    )
    document = show(houses.snapshot(named))
    assert "Moved: jet block, score mean." in document.words
    assert [attributes["title"] for tag, attributes in document.tags if tag == "th"] == [long] * 4


def test_the_map_that_the_verdict_points_into_comes_first():
    stream = houses.detector()
    maps = (dataclasses.replace(stream.maps[0], object="egamma"), stream.maps[0])
    said = show(houses.snapshot(dataclasses.replace(stream, maps=maps))).words
    assert said.index("jet: where") < said.index("egamma: where")


def test_what_is_always_the_same_is_not_drawn():
    stream = houses.detector()
    flat = dataclasses.replace(stream.maps[0], object="met", pull=((0.1, 0.2, *(None,) * 16), *((None,) * 18,) * 11))
    constant = dataclasses.replace(
        stream.inputs[0], name="met.eta", counts=(9, *(0,) * 35), expected=(9.0, *(0.0,) * 35)
    )
    moved = dataclasses.replace(constant, name="met.moved", counts=(8, 1, *(0,) * 34))
    said = show(houses.snapshot(dataclasses.replace(stream, maps=(flat,), inputs=(constant, moved)))).words
    assert "met: where" not in said
    assert "met.eta" not in said
    assert "met.moved" in said


def test_a_house_without_streams_and_one_with_many_are_pages_too():
    assert "No stream is configured" in show(houses.snapshot()).words
    many = [dataclasses.replace(houses.ok(), name=f"stream-{i}") for i in range(12)]
    assert show(houses.snapshot(*many)).words.count("Nothing to do.") == 12


def test_empty_histograms_and_an_unjudged_history_can_be_drawn():
    stream = houses.ok()
    assert stream.score is not None
    empty = dataclasses.replace(stream.score, counts=(0,) * 40, expected=None)
    points = tuple(dataclasses.replace(point, alarm=math.nan) for point in stream.levels)
    bare = dataclasses.replace(stream, score=empty, inputs=(dataclasses.replace(empty, log=False),), levels=points)
    page = PAGE.render(houses.snapshot(bare), now=houses.NOW).decode()
    assert "no reference" in page
    assert "nan" not in page.lower().replace("nano", "")


def test_one_lumisection_is_a_history():
    point = LevelPoint(houses.ok().levels[0].lumisection, houses.ok().levels[0].level)
    assert "History" in show(houses.snapshot(dataclasses.replace(houses.ok(), levels=(point,)))).words
