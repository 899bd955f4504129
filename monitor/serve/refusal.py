"""How a request is refused: JSON for programs, a page that leads back where a browser sent a form."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import Response

from monitor.serve.page import templates
from monitor.serve.plain import encode

FORM = "application/x-www-form-urlencoded"
_TEMPLATE = "refusal.html"


def refusal(headers: Headers, reason: str, *, status: int) -> Response:
    """Return the answer with `status` to a request with these headers; `reason` says what was wrong."""
    if not from_form(headers):
        return Response(encode({"error": reason}), status_code=status, media_type="application/json")
    page = templates().get_template(_TEMPLATE).render(reason=reason)
    return Response(page.encode("utf-8", "replace"), status_code=status, media_type="text/html")


def from_form(headers: Headers) -> bool:
    """Return whether a browser sent a form and shows what is answered: without a page its user sees bare JSON."""
    accepted = {part.partition(";")[0].strip().lower() for part in headers.get("accept", "").split(",")}
    return content_type(headers) == FORM and "text/html" in accepted


def content_type(headers: Headers) -> str:
    """Return the media type of a request's body without its parameters, lower case; "" if it names none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()
