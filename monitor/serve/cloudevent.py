"""Actions as CloudEvents 1.0 in structured JSON: what the verdict and retraining topics and the webhook carry.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from monitor.decide.action import Action
from monitor.serve.plain import encode, plain

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
TYPE_PREFIX = "trigwatch."
TYPE_VERSION = "v1"
PRINTABLE = "!#$&'()*+,/:;<=>?@[]^`{|}"
"""Stays as it is in a header: all printable ASCII but the space, the quotation mark and the percent sign."""


def envelope(action: Action, *, site: str, time: float) -> dict[str, Any]:
    """Return `action` in its envelope, JSON values only.

    `time` is when it happened, in seconds since the epoch: for a replay the data's own time, so that the same data
    give the same bytes. Receivers tell repetitions by `source` and `id`.
    """
    return {
        "specversion": "1.0",
        "id": action.id,
        "source": f"/trigwatch/{quote(site, safe='')}",
        "type": f"{TYPE_PREFIX}{action.kind.value}.{TYPE_VERSION}",
        "subject": action.stream,
        "time": datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": plain(action.payload),
    }


def event(action: Action, *, site: str, time: float) -> bytes:
    """Return `action` as the bytes of one CloudEvent."""
    return encode(envelope(action, site=site, time=time))


def binary(action: Action, *, site: str, time: float) -> tuple[dict[str, str], bytes]:
    """Return `action` as headers and body in binary mode: attributes in `ce-` headers, the data as plain JSON.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
    """
    attributes = envelope(action, site=site, time=time)
    data, kind = attributes.pop("data"), attributes.pop("datacontenttype")
    headers = {f"ce-{name}": quote(str(value), safe=PRINTABLE) for name, value in attributes.items()}
    return {"Content-Type": kind, **headers}, encode(data)
