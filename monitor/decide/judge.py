"""(what is remembered, what is known now) -> (what to remember, the verdict, what to do)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.decide.action import Action
from monitor.decide.announce import announce
from monitor.decide.blame import action, blame, is_local, place
from monitor.decide.case import Case, Rules
from monitor.decide.numbers import numbers
from monitor.decide.retrain import Request, propose
from monitor.decide.standing import Episode, Shown, Standing
from monitor.decide.table import TABLE, Question, Row
from monitor.decide.verdict import Blame, Level, Verdict, identify
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import Site

SCHEMA = "verdict/1"
SUBJECT = {
    Question.STREAM: "completeness",
    Question.IDENTITY: "model",
    Question.AGREEMENT: "score",
    Question.EMULATION: "emulation",
    Question.EVENTS: "events",
    Question.REFERENCE: "reference",
}
ALL_WELL = "Nothing to do."


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one lumisection leads to."""

    standing: Standing
    verdict: Verdict
    actions: tuple[Action, ...]
    request: Request | None


def judge(standing: Standing, case: Case, *, rules: Rules, site: Site) -> Judgement:
    """Walk the table for one lumisection."""
    quiet = _quiet(standing, case, rules)
    held = [row for row in TABLE if row.name in quiet]
    tops: dict[Question, Row] = {}
    for row in held:
        tops.setdefault(row.question, row)
    episodes = {
        question: _episode(standing.episodes.get(question), row, case, quiet=quiet, rules=rules, site=site)
        for question, row in tops.items()
    }
    top = held[0] if held else None
    calm = None if top else (standing.calm or case.evidence.lumisection)
    verdict = _verdict(standing, case, top=top, episodes=episodes, calm=calm, quiet=quiet)
    request = None
    if top is not None and top.question is Question.CONDITIONS and Question.AGREEMENT not in episodes:
        request = propose(episodes[top.question], case, verdict=verdict, rules=rules)
        if request is not None:
            episodes[top.question] = replace(episodes[top.question], requested=True)
    actions, episodes = announce(standing, episodes, verdict=verdict, top=top, request=request)
    after = replace(
        standing,
        episodes=episodes,
        quiet=quiet,
        shown=Shown(verdict.id, verdict.level, verdict.blame),
        calm=calm,
        latest=case.evidence.lumisection,
    )
    return Judgement(after, verdict, actions, request)


def _quiet(standing: Standing, case: Case, rules: Rules) -> dict[str, int]:
    """Return, for every row that holds, how long its evidence has been away."""
    found: dict[str, int] = {}
    for row in TABLE:
        says, before = row.holds(case, rules), standing.quiet.get(row.name)
        if says:
            found[row.name] = 0
        elif before is not None and says is None:
            found[row.name] = before
        elif before is not None and row.lasts and before + 1 < rules.clear_after:
            found[row.name] = before + 1
    return found


def _episode(
    before: Episode | None, row: Row, case: Case, *, quiet: dict[str, int], rules: Rules, site: Site
) -> Episode:
    ls, known, seen = case.evidence.lumisection, before, quiet[row.name] == 0
    who = blame(row, case, rules) if seen or known is None else known.blame
    since = min(_since(row, case), ls)
    if known is None:
        known = Episode(ls, since, row.level, who)
    elif row.level is not known.level:
        rises = row.level is Level.ACT
        known = replace(
            known, level=row.level, since=since if rises else known.since, blame=who if rises else known.blame
        )
    falls = row.level is Level.WATCH and before is not None and before.level is Level.ACT
    known = _blamed(known, who, patience=rules.clear_after)
    if seen:
        over, where, what = row.level is Level.ACT and _is_off_now(case), place(row, case, rules), _what(row, case)
        if _has_dissolved(known.what, what):
            known = replace(known, over=0)
        known = replace(
            known, over=known.over + over, local=known.local + (over and is_local(where)), what=what, where=where
        )
    if seen or falls:
        known = replace(known, action=action(row, case, who=known.blame, where=known.where, site=site))
    return replace(known, capsule=known.capsule or (case.capsule if row.question is Question.AGREEMENT else None))


def _has_dissolved(before: tuple[str, ...], now: tuple[str, ...]) -> bool:
    """Say whether most of what had moved has come back: what is left, or new, has yet to show that it lasts."""
    return 2 * len(set(before) & set(now)) < len(before)


def _is_off_now(case: Case) -> bool:
    """Say whether at least half of what moved is beyond its tolerance in this very lumisection.

    Detectors at their cap take some lumisections to believe that a burst is over; that is no persistence.
    """
    shifts = case.evidence.shifts
    off = sum(shift.direction * (shift.observed - shift.expected) > shift.tolerance for shift in shifts)
    return 2 * off >= len(shifts)


def _blamed(episode: Episode, who: Blame, *, patience: int) -> Episode:
    """Change the blame once, and only where the evidence has pointed at the other one for a while."""
    if who is episode.blame or episode.settled:
        return replace(episode, doubt=0)
    if episode.doubt + 1 < patience:
        return replace(episode, doubt=episode.doubt + 1)
    return replace(episode, blame=who, doubt=0, settled=True)


def _since(row: Row, case: Case) -> Lumisection:
    ls = case.evidence.lumisection
    if row.question is Question.AGREEMENT:
        return case.evidence.agreement.since or ls
    if row.question is Question.CONDITIONS and case.evidence.shifts:
        return case.evidence.shifts[0].since
    return ls


def _what(row: Row, case: Case) -> tuple[str, ...]:
    if row.question is Question.CONDITIONS:
        return tuple(shift.quantity for shift in case.evidence.shifts)
    return (SUBJECT[row.question],)


def _verdict(
    standing: Standing,
    case: Case,
    *,
    top: Row | None,
    episodes: dict[Question, Episode],
    calm: Lumisection | None,
    quiet: dict[str, int],
) -> Verdict:
    ls = case.evidence.lumisection
    episode = Episode(calm or ls, calm or ls, Level.OK, Blame.NONE, action=ALL_WELL)
    kind, still = "ok", 0
    if top is not None:
        episode, kind, still = episodes[top.question], top.question.value, quiet[top.name]
    details = {"question": kind, "quiet": still} if top is not None else {}
    return Verdict(
        id=verdict_id(standing, kind, episode.first),
        stream=standing.stream,
        model=standing.model,
        digest=standing.digest,
        lumisection=ls,
        level=episode.level,
        blame=episode.blame,
        since=episode.since,
        what=episode.what,
        where=episode.where,
        evidence={**numbers(case), **details},
        action=episode.action,
        capsule=episode.capsule,
    )


def verdict_id(standing: Standing, kind: str, first: Lumisection) -> str:
    """Return the id of an episode: the same in every replay, twin or restart."""
    return identify(SCHEMA, standing.stream, standing.subject, kind, first.run, first.ls)
