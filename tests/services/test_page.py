"""The page in a real browser: drawn, renewed by its script, and dark when the daemon is dead."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.serve.http import create
from monitor.serve.server import Server
from tests.services.programs import run
from tests.unit.serve import houses

pytestmark = pytest.mark.services


def browse(url: str, folder: Path, *wishes: str) -> str:
    """Open `url` in Chromium; return its document after the script has run, with the console's complaints."""
    outcome = run(
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--window-size=1440,1250",
        f"--user-data-dir={folder / 'profile'}",
        *wishes,
        url,
    )
    assert outcome.returncode == 0, outcome.stdout
    assert "Content Security Policy" not in outcome.stdout
    assert "Uncaught" not in outcome.stdout
    return outcome.stdout


class Changing:
    """Serves the page from `first` for the first time it is asked for, and from `then` after that."""

    def __init__(self, first: ASGIApp, then: ASGIApp) -> None:
        self._first = first
        self._then = then
        self._pages = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["path"] == "/"
        answers = self._then if is_page and self._pages else self._first
        self._pages += is_page
        await answers(scope, receive, send)


def room(state: str) -> ASGIApp:
    return create(houses.Remembering(houses.named(state)), clock=lambda: houses.NOW)


@pytest.mark.parametrize("state", ["ok", "detector", "unknown"])
def test_the_page_is_drawn(state: str, tmp_path: Path):
    picture = tmp_path / "page.png"
    with Server(room(state)) as server:
        browse(server.url, tmp_path, f"--screenshot={picture}")
    content = picture.read_bytes()
    assert struct.unpack(">II", content[16:24]) == (1440, 1250)
    assert len(content) > 50_000, "an empty page has a few kilobytes"


def after_a_minute(app: ASGIApp, folder: Path) -> str:
    with Server(app) as server:
        return browse(server.url, folder, "--virtual-time-budget=60000", "--dump-dom")


def test_the_script_renews_the_page(tmp_path: Path):
    document = after_a_minute(Changing(room("ok"), room("firmware")), tmp_path)
    assert "3,214 of 104,000 compared scores differ" in document
    assert "Nothing to do." not in document
    assert 'class="dead"' not in document


@pytest.mark.parametrize(
    "death", [lambda: PlainTextResponse("gone", status_code=503), lambda: PlainTextResponse("a captive portal")]
)
def test_a_page_whose_daemon_is_dead_turns_unknown(death: Callable[[], ASGIApp], tmp_path: Path):
    document = after_a_minute(Changing(room("ok"), death()), tmp_path)
    assert 'class="dead"' in document
    assert '<article class="light unknown" data-light="">' in document
    assert '<p class="word" data-word="">UNKNOWN</p>' in document
    assert "The daemon does not answer this page." in document
    assert "UNKNOWN · trigwatch" in document
