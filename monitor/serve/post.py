"""The one place that speaks HTTP to others: a request with a time limit, and one error for all that can go wrong."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

TIMEOUT_SECONDS = 10.0
MAX_ANSWER = 1024 * 1024
MAX_SHOWN = 200


class Unsent(OSError):
    """The other side was not reached or did not take the message; `status` is its answer, or None.

    `refused` is True where sending the same bytes again cannot help.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the message itself is at fault: a 4xx answer that is not about time, load or credentials."""
        return (
            self.status is not None and 400 <= self.status < 500 and self.status not in {401, 403, 407, 408, 425, 429}
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body: say so instead."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        del args, kwargs


def send(
    url: str,
    body: bytes | None,
    *,
    headers: Mapping[str, str],
    timeout: float = TIMEOUT_SECONDS,
    most: int = MAX_ANSWER,
) -> bytes:
    """POST `body` to `url` (GET where it is None) and return the answer's body, at most `most` bytes. Raises `Unsent`.

    User and password in `url` become basic authentication and never appear in the error.
    """
    shown = shorn(url)
    request = _request(url, body, headers)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as answer:
            content: bytes = answer.read(most)
            return content
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(MAX_SHOWN).decode("utf-8", "replace").strip()
        raise Unsent(f"{shown}: answered {error.code} {error.reason}: {said}", status=error.code) from error
    except urllib.error.URLError as error:
        raise Unsent(f"{shown}: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unsent(f"{shown}: {str(error) or type(error).__name__}") from error


def _request(url: str, body: bytes | None, headers: Mapping[str, str]) -> urllib.request.Request:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and parts.port != 0
    except ValueError as error:
        raise Unsent(f"{shorn(url)}: {error}") from error
    if not known:
        raise Unsent(f"{shorn(url)}: only http and https addresses can be sent to")
    user, _, host = parts.netloc.rpartition("@")
    secret = {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if user else {}
    bare = urlunsplit(parts._replace(netloc=host))
    return urllib.request.Request(bare, data=body, headers={**secret, **headers})  # noqa: S310 - checked above


def shorn(url: str) -> str:
    """Return `url` without user, password and query: what may stand in logs and on pages."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"
