"""`trigwatch retrain`: what pipelines and people ask a running daemon about retraining, and tell it."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from monitor.app.console import (
    GOOD,
    NO,
    Commands,
    Unusable,
    command,
    group,
    refuse_nowhere,
    say,
    say_json,
    say_table,
    warn,
    why,
)
from monitor.decide.retrain import Event, State
from monitor.serve import post

URL = "http://127.0.0.1:9742"
MOST = 64 * 2**20
CONFLICT = 409
STEPS = {
    Event.APPROVE: "let a proposed retraining go ahead",
    Event.REJECT: "stop a proposed or approved retraining; --note says why",
    Event.START: "say that an approved retraining has begun; exit 1 if somebody else has begun it",
    Event.FINISH: "say that a running retraining is done; nothing is deployed",
    Event.FAIL: "say that a running retraining has failed; --note says why, and it is approved again",
}


def add(commands: Commands) -> None:
    """Add the command."""
    parts = group(
        commands,
        "retrain",
        text="see and step retraining requests of a running daemon",
        example="trigwatch retrain list",
    )
    shown = _command(parts, "list", listed, text="list the requests, newest first", example="trigwatch retrain list")
    shown.add_argument("--stream", help="of this stream only")
    ready = "print the ids only of those that are approved and were not tried yet, oldest first"
    shown.add_argument("--ready", action="store_true", help=ready)
    one = _command(parts, "show", show, text="print a request as JSON", example="trigwatch retrain show 3f1c")
    one.add_argument("id")
    example = "trigwatch retrain lumisections 3f1c --out train.parquet"
    material = _command(parts, "lumisections", lumisections, text="say which lumisections to train on", example=example)
    material.add_argument("id")
    material.add_argument("--out", type=Path, metavar="FILE", help="write them as Parquet; without it, print the query")
    for event, text in STEPS.items():
        name = event.value
        example = f"trigwatch retrain {name} 3f1c --who trainer --note job-7"
        stepped = _command(parts, name, functools.partial(step, event), text=text, example=example)
        stepped.add_argument("id")
        stepped.add_argument("--who", required=True, help="who says so")
        stepped.add_argument("--note", default="", help="what to remember with it")


def _command(parts: Commands, name: str, run: Any, *, text: str, example: str) -> argparse.ArgumentParser:
    parser = command(parts, name, run, text=text, example=example)
    parser.add_argument("--url", default=URL, help="the daemon's page")
    return parser


def listed(given: argparse.Namespace) -> int:
    """List the requests."""
    found = [each for each in _requests(given.url) if given.stream in {None, each["stream"]}]
    if given.ready:
        for each in reversed(found):
            if each["state"] == State.APPROVED and each["transitions"][-1]["event"] == Event.APPROVE:
                say(each["id"])
        return GOOD
    rows = [
        (each["id"], each["stream"], each["state"], "{run}:{ls}".format(**each["dossier"]["since"])) for each in found
    ]
    say_table(("REQUEST", "STREAM", "STATE", "SINCE"), rows)
    return GOOD


def show(given: argparse.Namespace) -> int:
    """Print one request."""
    say_json(_json(_ask(given.url, f"/{quote(given.id, safe='')}"), given.url))
    return GOOD


def lumisections(given: argparse.Namespace) -> int:
    """Print the query, or write the table."""
    path = f"/{quote(given.id, safe='')}/lumisections"
    if given.out is None:
        say_json(_json(_ask(given.url, path), given.url))
        return GOOD
    refuse_nowhere(given.out)
    content = _ask(given.url, f"{path}.parquet")
    try:
        given.out.write_bytes(content)
    except OSError as error:
        raise Unusable(why(error)) from error
    say(f"wrote {given.out}")
    return GOOD


def step(event: Event, given: argparse.Namespace) -> int:
    """Take a step; exit 1 where the request is not in a state for it."""
    body = json.dumps({"who": given.who, "note": given.note}).encode()
    try:
        content = _ask(given.url, f"/{quote(given.id, safe='')}/{event.value}", body)
    except _Conflict as error:
        warn(str(error))
        return NO
    say(f"{given.id} is {_json(content, given.url)['state']}")
    return GOOD


class _Conflict(Exception):
    """The request is not in a state from which this is possible."""


def _requests(url: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = _json(_ask(url, ""), url)["retrain"]
    return found


def _ask(url: str, path: str, body: bytes | None = None) -> bytes:
    """Return what the daemon answers. Raises `Unusable`, and `_Conflict` where the state forbids it."""
    headers = {"Content-Type": "application/json", "User-Agent": "trigwatch"}
    try:
        return post.send(f"{url.rstrip('/')}/api/v1/retrain{path}", body, headers=headers, most=MOST)
    except post.Unsent as error:
        if error.status == CONFLICT:
            raise _Conflict(str(error)) from error
        raise Unusable(str(error)) from error


def _json(content: bytes, url: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise Unusable(f"{post.shorn(url)}: the answer is not JSON, so this is no trigwatch daemon: {error}") from error
