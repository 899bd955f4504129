"""What leaves the daemon: one outbox entry each, delivered at least once under an id that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The sinks' routing key."""

    VERDICT = "verdict"  # a new or changed episode: verdict topic, webhook
    PAGE = "page"  # somebody must act now: Alertmanager
    RETRAIN = "retrain"  # a dossier: retraining topic, webhook
    ANNOTATE = "annotate"  # a mark on the dashboards' time axis


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to say to the world; `payload` holds JSON values only."""

    id: str
    kind: Kind
    stream: str
    payload: Mapping[str, Any]
