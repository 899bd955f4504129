"""CloudEvents to any HTTP address. Nothing is tried again here: the outbox does that."""

from __future__ import annotations

from enum import StrEnum

from monitor.decide.action import Action
from monitor.serve import cloudevent, post


class Mode(StrEnum):
    """Where a CloudEvent's attributes lie: in the body with the data, or in headers beside the data as plain JSON."""

    STRUCTURED = "structured"
    BINARY = "binary"


def headers(action: Action) -> dict[str, str]:
    """Return the request's headers; `Idempotency-Key` lets a receiver drop what it has seen."""
    return {"Content-Type": cloudevent.CONTENT_TYPE, "Idempotency-Key": action.id, "User-Agent": "trigwatch"}


def send(
    action: Action,
    *,
    url: str,
    site: str,
    time: float,
    mode: Mode = Mode.STRUCTURED,
    timeout: float = post.TIMEOUT_SECONDS,
) -> None:
    """Tell `url` about `action`. Raises `post.Unsent`."""
    if mode is Mode.BINARY:
        attributes, body = cloudevent.binary(action, site=site, time=time)
    else:
        attributes, body = {}, cloudevent.event(action, site=site, time=time)
    post.send(url, body, headers={**headers(action), **attributes}, timeout=timeout)
