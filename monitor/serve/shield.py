"""What stands before every request: the Host check, the size limit, and the headers that browsers obey."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.serve.refusal import refusal

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_BODY = 16 * 1024

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Shield:
    """ASGI middleware. `hosts` are the names under which the daemon may be addressed; empty allows any.

    A page on the loopback address answers to loopback names only, or any web site could reach it through a name of
    its own that resolves to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on and put the headers on its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refusal(headers, str(scope["method"]))
        await (refused or self._app)(scope, receive, shielded)

    def _refusal(self, headers: Headers, method: str) -> Response | None:
        host = hostname(headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            reason = f"host {host!r} is not served here: add it to the hosts setting if it should be"
            return refusal(headers, reason, status=421)
        if method == "POST" and not same_origin(headers):
            reason = "this request comes from another site's page: use this daemon's own page, or no browser"
            return refusal(headers, reason, status=403)
        if int_or(headers.get("content-length"), default=0) > MAX_BODY:
            return refusal(headers, f"the body is larger than {MAX_BODY} bytes: say it in fewer words", status=413)
        return None


def hostname(host: str) -> str:
    """Return the name in a Host header without its port, lower case; "" if there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def same_origin(headers: Headers) -> bool:
    """Return False if a browser says that another site's page sent this request."""
    if (fetch_site := headers.get("sec-fetch-site")) is not None:
        return fetch_site in {"same-origin", "none"}
    if (origin := headers.get("origin")) is not None:
        return origin.partition("://")[2].lower() == headers.get("host", "").lower()
    return True


def int_or(text: str | None, *, default: int) -> int:
    """Return `text` as an integer, or `default` where it is none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else default
