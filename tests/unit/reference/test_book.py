from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from emulator.pack import Unreadable, pack, unpack
from monitor.observe.frame import Frame
from monitor.observe.quantities import catalogue, measure
from monitor.observe.summary import Summary
from monitor.reference.book import Book
from monitor.reference.learn import Unlearnable, learn, learn_page
from monitor.reference.page import Page, identity
from tests.unit.observe.crossings import EPOCH, crossings, key
from tests.unit.reference.fills import SUMMARISER, fill, reference

ROWS = reference()
BOOK = learn(ROWS, version=3)
PAGE = next(iter(BOOK))
CATALOGUE = catalogue(PAGE.shape)


def lumisection(pileup: float, events: int = 400, **kind: float) -> Summary:
    rng = np.random.default_rng(int(pileup * 10))
    return SUMMARISER.summarise(key(900, 1), crossings(events, rng, pileup=pileup, **kind))


def test_a_book_is_the_same_after_writing_and_reading():
    again = Book.from_bytes(BOOK.to_bytes())
    assert again.to_bytes() == BOOK.to_bytes()
    assert (again.id, again.version) == (BOOK.id, 3)
    assert next(iter(again)).id == PAGE.id


def test_equal_lumisections_in_any_order_make_the_same_book():
    assert learn(reversed(ROWS), version=3).to_bytes() == BOOK.to_bytes()
    assert learn(ROWS[1:]).id != BOOK.id


def test_a_page_says_where_it_comes_from():
    assert PAGE.fills == 6
    assert PAGE.lumisections == 240
    assert PAGE.spans[0] == (100, 1, 40, 40)
    assert (PAGE.low, PAGE.high) == (pytest.approx(40, abs=0.01), pytest.approx(60, abs=0.01))


def test_pages_are_found_by_stream_model_menu_and_prescale_column_but_not_by_firmware():
    assert BOOK.open("scout", EPOCH) is PAGE
    assert BOOK.open("scout", replace(EPOCH, firmware="fw_2")) is PAGE
    assert BOOK.open("scout", replace(EPOCH, prescale_column="3b")) is None
    assert BOOK.why("scout", replace(EPOCH, prescale_column="3b")) == "no page for prescale column 3b"
    assert BOOK.why("scout", replace(EPOCH, menu="menu_2")) == "no page for menu menu_2"
    assert BOOK.why("scout", replace(EPOCH, digest="sha256:" + "1" * 64)).startswith("no page for model sha256:1")
    assert BOOK.why("other", EPOCH) == "no page for stream other"


def test_a_new_page_makes_a_new_book_and_leaves_the_old_one_alone():
    changed = replace(PAGE, key=PAGE.key._replace(menu="menu_2"))
    grown = BOOK.plus(changed)
    assert (len(BOOK), len(grown), grown.version) == (1, 2, 4)
    assert grown.id != BOOK.id


@pytest.mark.parametrize("mu", [42.0, 50.0, 58.0])
def test_what_is_expected_is_what_comes_at_that_pileup(mu: float):
    many = SUMMARISER.summarise(key(900, 1), crossings(40_000, np.random.default_rng(5), pileup=mu))
    seen, expected = measure(many, Frame(axes=PAGE.axes)).turned(PAGE.usual), PAGE.expect(mu)
    rate = np.where(CATALOGUE.counted, seen.value / np.maximum(seen.exposure, 1), seen.value)
    shift = rate - expected.centre
    allowed = expected.tolerance * np.where(CATALOGUE.counted, expected.centre, 1.0)
    unit = np.where(CATALOGUE.counted, np.maximum(expected.centre, 1e-12), expected.spread)
    sigma = np.sqrt(expected.noise * unit / np.maximum(seen.exposure, 1))
    beyond = (np.abs(shift) - allowed) / np.maximum(sigma, 1e-12)
    judged = PAGE.live & (seen.exposure > 0)
    assert judged.sum() > 0.9 * PAGE.live.sum()
    assert (beyond[judged] < 4.5).all(), [CATALOGUE.names[i] for i in np.flatnonzero(judged & (beyond > 4.5))]
    assert (np.abs(shift)[judged] / sigma[judged] < 3).mean() > 0.8


def test_unknown_pileup_widens_the_tolerance_to_everything_learnt():
    unknown, ends = PAGE.expect(float("nan")), [PAGE.expect(mu) for mu in (PAGE.low, PAGE.high)]
    number = CATALOGUE.names.index("jet multiplicity")
    for end in ends:
        assert abs(end.centre[number] - unknown.centre[number]) <= unknown.tolerance[number]
        assert unknown.tolerance[number] > 3 * end.tolerance[number]
    assert PAGE.unjudged(lumisection(50.0)) is None


def test_beyond_the_learnt_pileup_nothing_is_judged_and_the_reason_has_the_numbers():
    assert PAGE.unjudged(lumisection(61.5)) is None
    assert PAGE.unjudged(lumisection(75.0)) == "pile-up 75.0 is outside the learnt 40.0 to 60.0"
    assert PAGE.unjudged(lumisection(25.0)) is not None


def test_too_few_events_are_not_judged():
    assert PAGE.unjudged(lumisection(50.0, events=49)) == "49 events are too few to judge"


def test_a_change_of_threshold_is_not_judged_by_the_old_page():
    other = replace(lumisection(50.0), shape=replace(PAGE.shape, threshold=1))
    assert "threshold" in str(PAGE.unjudged(other))


def test_expected_histograms_hold_as_many_events_as_came():
    summary = lumisection(47.0)
    expected = PAGE.histograms(summary)
    assert expected["score"].sum() == pytest.approx(400)
    assert expected["inputs"].sum(axis=1) == pytest.approx(400)
    assert expected["inputs"].shape == summary.counts["inputs"].shape
    for grid in summary.shape.grids:
        seen, hoped = (grid.of(towers).sum(axis=1) for towers in (summary.counts["towers"], expected["towers"]))
        assert hoped == pytest.approx(seen)


def test_wobble_between_fills_becomes_tolerance():
    calm, restless = (learn_page(reference(wobble=w, events=1500)) for w in (0.0, 0.03))
    number = CATALOGUE.names.index("met leading pt (log mean)")
    assert restless.expect(50.0).tolerance[number] > 3 * calm.expect(50.0).tolerance[number]
    bystander = CATALOGUE.names.index("jet[2] present")
    assert restless.expect(50.0).tolerance[bystander] < 2 * calm.expect(50.0).tolerance[bystander]


def test_lumisections_of_unknown_pileup_alone_make_an_unconditioned_page():
    rng = np.random.default_rng(1)
    rows = []
    for run, ls in product((5, 6), range(1, 16)):
        events = crossings(300, rng)
        events.pileup[:] = np.nan
        rows.append(SUMMARISER.summarise(key(run, ls), events))
    page = learn_page(rows)
    assert np.isnan(page.low)
    assert page.unjudged(rows[0]) is None
    assert page.unjudged(lumisection(75.0)) is None
    assert "one fill cannot tell" in (learn_page(rows[:15]).unjudged(rows[0]) or "")
    assert np.isfinite(page.expect(float("nan")).centre).all()
    assert Page.from_bytes(page.to_bytes()).id == page.id
    assert page.histograms(rows[0])["score"].sum() == pytest.approx(300)


def test_too_little_data_is_refused_with_both_numbers():
    with pytest.raises(Unlearnable, match="9 of 9 lumisections have at least 50 events, a reference needs 10"):
        learn(list(fill(1, lumisections=9)))


@pytest.mark.parametrize("content", [b"", pack({"key": 1}, {}), PAGE.to_bytes()[:-3]])
def test_bytes_that_are_no_book_are_unreadable(content: bytes):
    with pytest.raises(Unreadable):
        Book.from_bytes(content)
    with pytest.raises(Unreadable):
        Page.from_bytes(content)


def edited(page: Page, **arrays: np.ndarray) -> bytes:
    names, old = unpack(page.to_bytes())
    return pack(names, {**old, **arrays})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("noise", np.full(len(PAGE.noise), np.nan), "no numbers"),
        ("noise", np.zeros(len(PAGE.noise)), "knows no noise"),
        ("noise", PAGE.noise[:-1], "noise is"),
        ("coefficients", np.full(PAGE.curves.coefficients.shape, np.nan), "no numbers"),
        ("axes.centre", PAGE.axes.centre[:-1], "axes.centre is"),
        ("places.towers", PAGE.places.towers[:-1], "places.towers is"),
        ("displayed.score", np.zeros((0, 1, 1)), "does not hold score"),
    ],
)
def test_a_page_that_would_judge_wrongly_is_refused(name: str, value: np.ndarray, said: str):
    with pytest.raises(Unreadable, match=f"{said}.*build the reference again"):
        Page.from_bytes(edited(PAGE, **{name: value}))


def bound(page: bytes, **names: object) -> bytes:
    """Bind one page's bytes as a Book, whatever they are; `names` are said in place of the right ones."""
    return pack({"book": 1, "pages": [identity(page)], **names}, {"0000": np.frombuffer(page, np.uint8)})


def damaged_books() -> Iterator[tuple[str, bytes]]:
    """Books that were cut, that hold a changed byte, or values of a wrong type under digests that fit."""
    whole, page = BOOK.to_bytes(), PAGE.to_bytes()
    yield from (
        (f"cut to {size}", whole[:size]) for size in (0, 3, 4, 11, 12, 40, 500, len(whole) // 2, len(whole) - 1)
    )
    for place in (0, 5, 13, 15, 19, 31, 35, 60, len(whole) - 1):
        yield f"byte {place}", whole[:place] + bytes([whole[place] ^ 0x88]) + whole[place + 1 :]
    yield "longer", whole + b"x"
    for head in (b"1", b"[]", b"[1,2]", b"[{},[1]]", b"[null,[]]", b"[" * 100_000, b'[{},[["a","<f8",["x"]]]]'):
        yield f"head {head[:20]!r}", b"TWE1" + len(head).to_bytes(8, "little") + head
    for value in ("x", None, 1.5, 0, [], True):
        yield f"version {value!r}", bound(page, book=value)
        yield f"ids {value!r}", bound(page, pages=value)
    names, arrays = unpack(page)
    wrong = ("x", None, 1.5, True, [], {}, [1, 2], [[1]], [1, 2, 3, 4])
    for name, value in product(names, wrong):
        if not (name in ("low", "high") and value in (None, 1.5)):  # which they may be
            yield f"{name} = {value!r}", bound(pack({**names, name: value}, arrays))
    for name, value in product(names["shape"], wrong):
        if not (name in ("threshold", "layout") and value is None):
            shape = {**names["shape"], name: value}
            yield f"shape {name} = {value!r}", bound(pack({**names, "shape": shape}, arrays))
    for name in names:
        yield f"no {name}", bound(pack({key: names[key] for key in names if key != name}, arrays))
    for name, value in product(arrays, (None, np.zeros(()), np.zeros(0), np.zeros((2, 2)))):
        found = {key: each for key, each in {**arrays, name: value}.items() if each is not None}
        yield f"array {name} {value!r}", bound(pack(names, found))


def refusal(content: bytes) -> str:
    try:
        Book.from_bytes(content)
    except Unreadable as error:
        return str(error)
    return "taken"


@pytest.mark.filterwarnings("error")
def test_every_damage_is_told_in_a_sentence_with_the_remedy():
    python = re.compile(
        r"argument|object|subscript|codec|unpack|itera|__|Expecting|NoneType|\bint\b|buffer|recursion|len\("
    )
    for damage, content in damaged_books():
        said = refusal(content)
        assert said.endswith("build the reference again"), (damage, said)
        assert not python.search(said), (damage, said)


def test_a_byte_that_was_changed_in_a_book_is_noticed():
    content = bytearray(BOOK.to_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(Unreadable):
        Book.from_bytes(bytes(content))
    assert Book.from_bytes(BOOK.to_bytes()).id == BOOK.id


def test_far_fewer_events_than_were_learnt_are_not_judged():
    assert PAGE.usual_events == 400
    assert PAGE.unjudged(lumisection(50.0, events=85)) is None
    assert PAGE.unjudged(lumisection(50.0, events=75)) == "75 events are too few beside the 400 of the reference"
