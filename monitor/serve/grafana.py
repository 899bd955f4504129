"""Marks on Grafana's time axis: one annotation for every action that asks for it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from monitor.decide.action import Action
from monitor.serve import post
from monitor.serve.plain import encode

TAG = "trigwatch"


def annotation(action: Action, *, time: float) -> dict[str, Any]:
    """Return the body of `POST /api/annotations` for an ANNOTATE action; `time` in seconds since the epoch."""
    said = action.payload
    where = f" (run {said['run']}, LS {said['ls']})" if "run" in said and "ls" in said else ""
    return {
        "time": round(time * 1000),
        "tags": [*dict.fromkeys((TAG, *said.get("tags", ()), mark(action)))],
        "text": f"{said['text']}{where}",
    }


def mark(action: Action) -> str:
    """Return the tag by which an annotation is found again."""
    return f"id:{action.id}"


def send(action: Action, *, url: str, token: str | None, time: float, timeout: float = post.TIMEOUT_SECONDS) -> bool:
    """Put `action` on the time axis unless it is there; return whether it was put. Raises `post.Unsent`.

    Grafana would draw a repeated delivery twice, so it is asked first.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "trigwatch"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    address = f"{url.rstrip('/')}/api/annotations"
    found = post.send(f"{address}?{urlencode({'tags': mark(action)})}", None, headers=headers, timeout=timeout)
    if _rows(found, address):
        return False
    post.send(address, encode(annotation(action, time=time)), headers=headers, timeout=timeout)
    return True


def _rows(answer: bytes, address: str) -> list[Any]:
    try:
        rows = json.loads(answer)
    except ValueError:
        rows = None
    if not isinstance(rows, list):
        raise post.Unsent(f"{post.shorn(address)}: did not answer with a list of annotations: is this Grafana?")
    return rows
