"""What the daemon says about one stream, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from monitor.drift.evidence import Where
from monitor.trigger.lumisection import Lumisection


class Level(StrEnum):
    """How bad it is; `UNKNOWN` is what a daemon says that cannot answer, and is never `OK`."""

    OK = "ok"
    WATCH = "watch"
    ACT = "act"
    UNKNOWN = "unknown"

    @property
    def number(self) -> int:
        """The value of `trigwatch_stream_level`."""
        return (Level.OK, Level.WATCH, Level.ACT, Level.UNKNOWN).index(self)


class Blame(StrEnum):
    """Who has to move."""

    NONE = "none"
    IDENTITY = "identity"
    FIRMWARE = "firmware"
    DETECTOR = "detector"
    CONDITIONS = "conditions"
    STREAM = "stream"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One stream's state in one lumisection (DESIGN §5).

    Attributes
    ----------
    id
        Digest of what the verdict is about: schema, stream, model digest, kind, the episode's first lumisection. A
        replay, a twin daemon or a restart says the same thing under the same id.
    since
        First lumisection of the episode: the change point where it is known, else where the level was first reached.
    what
        Quantities, largest evidence first.
    action
        One sentence: what a person should do now.
    evidence
        The numbers behind it, JSON values only.
    capsule
        Id of the stored capsule that replays one mismatch, where there is one.
    """

    id: str
    stream: str
    model: str
    digest: str
    lumisection: Lumisection
    level: Level
    blame: Blame
    since: Lumisection
    what: tuple[str, ...]
    where: Where
    evidence: Mapping[str, Any]
    action: str
    capsule: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as DESIGN §5 spells it, JSON values only."""
        where = {name: getattr(self.where, name) for name in ("object", "eta", "phi", "bit")}
        return {
            "id": self.id,
            "stream": self.stream,
            "model": self.model,
            "digest": self.digest,
            "run": self.lumisection.run,
            "ls": self.lumisection.ls,
            "level": self.level.value,
            "blame": self.blame.value,
            "since": {"run": self.since.run, "ls": self.since.ls},
            "what": list(self.what),
            "where": {name: value for name, value in where.items() if value is not None},
            "evidence": dict(self.evidence),
            "action": self.action,
            "capsule": self.capsule,
        }


def identify(*parts: object) -> str:
    """Return the id of what `parts` name: 32 hexadecimal digits of a SHA-256, the same on every machine and day."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()[:32]
