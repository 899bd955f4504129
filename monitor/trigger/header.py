"""What a producer says about a batch before its first event."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Header:
    """The schema metadata of one batch (`trigger-output/1`).

    Attributes
    ----------
    stream, model, menu, firmware, prescale_column, producer
        Names that match `NAME`. `model` is the label that the menu announces, not an identity.
    sequence
        Counts up by one per producer and partition: a gap is lost data.
    digest
        `sha256:…` of the model's content if the producer knows it, else None.
    """

    stream: str
    model: str
    menu: str
    firmware: str
    prescale_column: str
    producer: str
    sequence: int
    digest: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """What makes two lumisections comparable: the same model, menu, firmware and prescale column.

    A change of epoch is said aloud and opens another page of the Book; it is never an alarm by itself.
    `digest` is the content that the registry resolved, or "" where the model is unknown.
    """

    model: str
    digest: str
    menu: str
    firmware: str
    prescale_column: str
