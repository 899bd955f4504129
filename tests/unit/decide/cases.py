"""Evidence to judge, and a judge that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from monitor.decide.case import Case, Culprit, Rules
from monitor.decide.judge import Judgement, judge
from monitor.decide.standing import Standing
from monitor.drift.evidence import AcceptRate, Agreement, Completeness, Evidence, Shift, Where
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS

DIGEST = f"sha256:{'a' * 64}"
EPOCH = Epoch("v1", DIGEST, "menu-1", "fw-1", "2a")
OTHER = Culprit("v0", f"sha256:{'b' * 64}", "", 9, 9)
FED_WRONGLY = Culprit("v1", DIGEST, "all inputs doubled", 9, 9)
ETA = (-3.0, -1.5)


def shift(
    name: str = "jet[0] pt", kind: str | None = "jet", ratio: float = 1.5, eta: Any = None, since: int = 1
) -> Shift:
    where = Where(object=kind, eta=eta)
    return Shift(name, "response", ratio, 1, 2.0, 1.0, 0.1, 0.05, Lumisection(1, since), where)


def case(
    ls: int = 1,
    *,
    mismatch: float = 0.0,
    alarm: float = 0.0,
    shifts: tuple[Shift, ...] = (),
    reference: str | None = "page-1",
    arrived: Completeness | None = None,
    compared: int = 1000,
    not_comparable: dict[str, int] | None = None,
    accept: AcceptRate | None = None,
    mismatch_since: int | None = None,
    **more: Any,
) -> Case:
    since = None if mismatch_since is None else Lumisection(1, mismatch_since)
    evidence = Evidence(
        stream="jets",
        lumisection=Lumisection(1, ls),
        epoch=EPOCH,
        completeness=arrived or Completeness(1000, 1000),
        agreement=Agreement(compared, 10 if mismatch else 0, mismatch, since, 1e-6, not_comparable or {}),
        pileup=40.0,
        reference=reference,
        unjudged=None if reference else "learning 3 of 40",
        alarm=alarm if reference else float("nan"),
        shifts=shifts,
        accept=accept,
    )
    return Case(evidence, **{"events": 1000, "groups": ("jet", "muon"), **more})


@dataclass
class Bench:
    """Judges one case after the other."""

    rules: Rules = field(default_factory=Rules)
    standing: Standing = field(default_factory=lambda: Standing("jets", "v1", DIGEST))
    said: list[Judgement] = field(default_factory=list)

    def take(self, each: Case) -> Judgement:
        self.standing = Standing.from_json(self.standing.to_json())
        done = judge(self.standing, each, rules=self.rules, site=CMS)
        self.standing = done.standing
        self.said.append(done)
        return done

    def level(self, each: Case) -> tuple[str, str]:
        verdict = self.take(each).verdict
        return verdict.level.value, verdict.blame.value


def at(each: Case, ls: int) -> Case:
    return replace(each, evidence=replace(each.evidence, lumisection=Lumisection(1, ls)))
