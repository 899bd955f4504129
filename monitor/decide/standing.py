"""What is remembered between lumisections about one model on one stream: episodes, and what was said last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.decide.table import Question
from monitor.decide.verdict import Blame, Level
from monitor.drift.evidence import Where
from monitor.trigger.lumisection import Lumisection

NOWHERE = Where()


@dataclass(frozen=True, slots=True)
class Episode:
    """One trouble from its first lumisection to its last.

    Attributes
    ----------
    first
        Where it was first seen: part of its id.
    since
        The change point, where it is known; fixed when the level is reached.
    doubt
        Lumisections in a row in which the evidence pointed at somebody else.
    settled
        True once the blame has changed: it does not change back, or people would be called to and fro.
    over
        Lumisections at ACT with the evidence over the line, in which most of what moved was off itself; counted anew
        where most of what had moved has come back.
    local
        Those of the whole episode in which the evidence had a place in eta or phi.
    paged, requested
        Whether somebody was paged, and whether retraining was proposed.
    what, where, action
        From the latest lumisection that showed it.
    """

    first: Lumisection
    since: Lumisection
    level: Level
    blame: Blame
    doubt: int = 0
    settled: bool = False
    over: int = 0
    local: int = 0
    paged: bool = False
    requested: bool = False
    capsule: str | None = None
    what: tuple[str, ...] = ()
    where: Where = NOWHERE
    action: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The verdict that people saw last."""

    id: str
    level: Level
    blame: Blame


@dataclass(frozen=True, slots=True)
class Standing:
    """One model (by label and digest) on one stream.

    Attributes
    ----------
    episodes
        At most one per question.
    quiet
        For every row of the table that holds: lumisections since its evidence was last there.
    calm
        First lumisection of the present OK, or None.
    latest
        The newest lumisection judged.
    """

    stream: str
    model: str
    digest: str
    episodes: Mapping[Question, Episode] = field(default_factory=dict)
    quiet: Mapping[str, int] = field(default_factory=dict)
    shown: Shown | None = None
    calm: Lumisection | None = None
    latest: Lumisection | None = None

    @property
    def subject(self) -> str:
        """What ids are about: the digest, or the label where the content is unknown."""
        return self.digest or self.model

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` reads back."""
        shown = self.shown
        return {
            "stream": self.stream,
            "model": self.model,
            "digest": self.digest,
            "episodes": {key.value: _episode_to_json(self.episodes[key]) for key in sorted(self.episodes)},
            "quiet": dict(sorted(self.quiet.items())),
            "shown": None if shown is None else [shown.id, shown.level.value, shown.blame.value],
            "calm": None if self.calm is None else list(self.calm),
            "latest": None if self.latest is None else list(self.latest),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Standing:
        """Read what `to_json` wrote."""
        shown = value["shown"]
        return cls(
            stream=value["stream"],
            model=value["model"],
            digest=value["digest"],
            episodes={Question(key): _episode_from_json(each) for key, each in value["episodes"].items()},
            quiet=dict(value["quiet"]),
            shown=None if shown is None else Shown(shown[0], Level(shown[1]), Blame(shown[2])),
            calm=None if value["calm"] is None else Lumisection(*value["calm"]),
            latest=None if value["latest"] is None else Lumisection(*value["latest"]),
        )


def _episode_to_json(episode: Episode) -> dict[str, Any]:
    where = episode.where
    return {
        "first": list(episode.first),
        "since": list(episode.since),
        "level": episode.level.value,
        "blame": episode.blame.value,
        "doubt": episode.doubt,
        "settled": episode.settled,
        "over": episode.over,
        "local": episode.local,
        "paged": episode.paged,
        "requested": episode.requested,
        "capsule": episode.capsule,
        "what": list(episode.what),
        "where": [where.object, where.eta and list(where.eta), where.phi and list(where.phi), where.bit],
        "action": episode.action,
    }


def _episode_from_json(value: Mapping[str, Any]) -> Episode:
    kind, eta, phi, bit = value["where"]
    return Episode(
        **{
            **value,
            "first": Lumisection(*value["first"]),
            "since": Lumisection(*value["since"]),
            "level": Level(value["level"]),
            "blame": Blame(value["blame"]),
            "what": tuple(value["what"]),
            "where": Where(kind, eta and (eta[0], eta[1]), phi and (phi[0], phi[1]), bit),
        }
    )
