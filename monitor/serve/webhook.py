"""CloudEvents to any HTTP address. Nothing is tried again here: the outbox does that."""

from __future__ import annotations

from monitor.decide.action import Action
from monitor.serve import cloudevent, post


def headers(action: Action) -> dict[str, str]:
    """Return the request's headers; `Idempotency-Key` lets a receiver drop what it has seen."""
    return {"Content-Type": cloudevent.CONTENT_TYPE, "Idempotency-Key": action.id, "User-Agent": "trigwatch"}


def send(action: Action, *, url: str, site: str, time: float, timeout: float = post.TIMEOUT_SECONDS) -> None:
    """Tell `url` about `action`. Raises `post.Unsent`."""
    post.send(url, cloudevent.event(action, site=site, time=time), headers=headers(action), timeout=timeout)
