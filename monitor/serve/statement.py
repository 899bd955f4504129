"""What a person says through the API: who, and a note. Read from JSON, or from the page's own forms."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from monitor.serve.refusal import FORM, content_type
from monitor.serve.shield import MAX_BODY

JSON = "application/json"
MAX_WHO = 100
MAX_NOTE = 2_000
LABELS = ("true", "false")
"""What an alarm turned out to be: something had changed, or nothing had."""


@dataclass(frozen=True, slots=True)
class Statement:
    """`who` says `note`; `form` is True where a browser's form said it and wants to see the page again.

    `label` is one of `LABELS`, or "" where the alarm was given none.
    """

    who: str
    note: str
    form: bool
    label: str = ""


async def read(request: Request, *, note_required: bool = False, labelled: bool = False) -> Statement:
    """Return what `request` says. Raises HTTPException (4xx) that names the value, the reason and the remedy."""
    kind = content_type(request.headers)
    body = await _body(request)
    if kind == JSON:
        content = _json(body)
    elif kind == FORM:
        content = _form(body)
    else:
        raise HTTPException(415, f"content type {kind!r} is not read here: send {JSON}")
    allowed = ("who", "note", "label") if labelled else ("who", "note")
    if surplus := sorted(set(content) - set(allowed)):
        raise HTTPException(400, f"field {surplus[0]!r} is not known: send {', '.join(allowed[:-1])} and {allowed[-1]}")
    return Statement(
        who=_text(content, "who", limit=MAX_WHO, required=True),
        note=_text(content, "note", limit=MAX_NOTE, required=note_required),
        form=kind == FORM,
        label=_label(content.get("label", "")),
    )


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes: say it in fewer words")
    return body


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HTTPException(400, 'the body is not a JSON object: send {"who": "…", "note": "…"}')
    return content


def _form(body: bytes) -> Mapping[str, Any]:
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict", max_num_fields=8
        )
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"the form is not UTF-8: {error}: send plain text") from error
    except ValueError as error:
        raise HTTPException(400, f"the form cannot be read: {error}: send it as the page's own forms do") from error
    return _once(fields)


def _once(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return fields by name; raises HTTPException (400) for one that is given again, since only one could count."""
    listed = list(fields)
    for name, times in Counter(name for name, _ in listed).items():
        if times > 1:
            raise HTTPException(400, f"field {name!r} is given {times} times: send it once")
    return dict(listed)


def _label(value: Any) -> str:
    if value not in ("", *LABELS):
        known = " or ".join(f'"{label}"' for label in LABELS)
        raise HTTPException(400, f"label is {json.dumps(value)}: send the text {known}, or leave it out if unsure")
    return str(value)


def _text(content: Mapping[str, Any], name: str, *, limit: int, required: bool) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise HTTPException(400, f"{name} is {value!r}: it must be text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = ascii(value[error.start])
        reason = f"{name} has half a character, the lone surrogate {half}: send whole characters"
        raise HTTPException(400, reason) from error
    text = value.strip()
    if required and not text:
        raise HTTPException(400, f"{name} is missing: say {'who you are' if name == 'who' else 'why'}")
    if len(text) > limit:
        raise HTTPException(400, f"{name} has {len(text)} characters: at most {limit} are kept")
    if any(not (ch.isprintable() or ch in "\r\n\t") for ch in text):
        raise HTTPException(400, f"{name} has control characters: send plain text")
    return text
