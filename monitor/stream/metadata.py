"""The schema metadata of `trigger-output/1`: what a producer says about a batch, as text, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.trigger.batch import Reason, Rejected
from monitor.trigger.header import DIGEST, NAME, Header

NAMES = ("stream", "model", "menu", "firmware", "prescale_column", "producer")
SEQUENCE = re.compile(r"[0-9]{1,19}")
LARGEST = 2**63 - 1


def read(metadata: Mapping[bytes, bytes] | None) -> Header | Rejected:
    """Return the header, or why it cannot be one; keys that trigger-output/1 does not know are ignored."""
    found = {key: _text(value) for key, value in (metadata or {}).items()}
    named = {name: found.get(name.encode(), "") for name in NAMES}
    stream = named["stream"] if NAME.fullmatch(named["stream"]) else ""
    for name, value in named.items():
        if not NAME.fullmatch(value):
            return Rejected(Reason.METADATA, f"{name} {value[:80]!r} does not match {NAME.pattern}", stream)
    sequence = found.get(b"sequence", "")
    if not SEQUENCE.fullmatch(sequence) or int(sequence) > LARGEST:
        return Rejected(Reason.METADATA, f"sequence {sequence[:40]!r} is not a whole number below 2^63", stream)
    digest = found.get(b"digest")
    if digest is not None and not DIGEST.fullmatch(digest):
        return Rejected(Reason.METADATA, f"digest {digest[:80]!r} does not match {DIGEST.pattern}", stream)
    return Header(**named, sequence=int(sequence), digest=digest)


def write(header: Header) -> dict[str, str]:
    """Return what `read` reads; raises ValueError where `read` would refuse it."""
    text = {name: str(getattr(header, name)) for name in NAMES} | {"sequence": str(header.sequence)}
    if header.digest is not None:
        text["digest"] = header.digest
    match read({key.encode(): value.encode(errors="surrogatepass") for key, value in text.items()}):
        case Rejected(detail=detail):
            raise ValueError(f"{detail}: a consumer would reject this batch")
    return text


def _text(value: bytes) -> str:
    # A byte that is not ASCII becomes a character that no pattern accepts, so bad UTF-8 cannot raise here.
    return value.decode("ascii", "replace")
