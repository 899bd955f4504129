"""The transition table: which evidence leads to which verdict. The documentation prints it from here.

Rows are read from top to bottom and the first that holds is the verdict. The questions are asked in the order stream,
identity, agreement, conditions, with one exception: proof is never hidden by doubt. A mismatch in the events that did
arrive is a fact although others are missing, and a drift of the inputs is a fact although the model is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monitor.decide.case import Case, Rules
from monitor.decide.verdict import Level

EMULATOR_FAILED = "emulator-failed"
OUTSIDE_FORMAT = "outside-format"


class Question(StrEnum):
    """What is asked about every lumisection; each has at most one episode at a time."""

    STREAM = "stream"
    IDENTITY = "identity"
    AGREEMENT = "agreement"
    CONDITIONS = "conditions"
    EMULATION = "emulation"
    EVENTS = "events"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    when, blame
        For people; `{…}` are rules.
    holds
        True, False, or None where this lumisection cannot say: then what held before goes on as it was.
    lasts
        True if the row goes on holding until its evidence has been away for `clear_after` lumisections. What the
        daemon cannot answer it says at once and takes back at once.
    """

    name: str
    question: Question
    level: Level
    blame: str
    when: str
    holds: Callable[[Case, Rules], bool | None]
    lasts: bool = True


def broken(case: Case, rules: Rules) -> bool:
    """Say whether hardware and emulation disagree beyond doubt."""
    return case.evidence.agreement.ratio >= rules.alarm


def incomplete(case: Case, rules: Rules) -> bool:
    """Say whether too much is missing to judge conditions."""
    arrived = case.evidence.completeness
    return bool(arrived.missing_partitions) or arrived.fraction_lost >= rules.incomplete


def nothing_compared(case: Case) -> bool:
    """Say whether there were events and none could be re-emulated."""
    agreement = case.evidence.agreement
    return agreement.compared == 0 and sum(agreement.not_comparable.values()) > 0


def failed(case: Case) -> int:
    """Return the events on which the emulator failed."""
    return case.evidence.agreement.not_comparable.get(EMULATOR_FAILED, 0)


def _mismatch(case: Case, rules: Rules) -> bool | None:
    return broken(case, rules) if case.evidence.agreement.compared else None


def _suspicion(case: Case, rules: Rules) -> bool | None:
    return case.evidence.agreement.ratio >= rules.warning if case.evidence.agreement.compared else None


def _unclear(case: Case, rules: Rules) -> bool:
    return incomplete(case, rules) or case.silent_since is not None or not case.events


def _drift(case: Case, rules: Rules) -> bool | None:
    if broken(case, rules):
        return False  # never blame conditions while agreement is broken
    if _unclear(case, rules) or math.isnan(case.evidence.alarm):
        return None
    return case.evidence.alarm >= rules.alarm


def _drifting(case: Case, rules: Rules) -> bool | None:
    over = _drift(case, rules)
    return case.evidence.alarm >= rules.warning if over is False and not broken(case, rules) else over


def _incomplete(case: Case, rules: Rules) -> bool | None:
    # While anything is still being lost, one better lumisection does not mean that the stream is mended.
    return incomplete(case, rules) or (None if _flawed(case, rules) else False)


def _flawed(case: Case, _: Rules) -> bool:
    arrived = case.evidence.completeness
    differs = arrived.declared is not None and arrived.received != arrived.declared
    return bool(differs or arrived.lost_batches or case.skipped or arrived.missing_partitions)


TABLE: tuple[Row, ...] = (
    Row(
        "mismatch",
        Question.AGREEMENT,
        Level.ACT,
        "identity if another registered model or digest explains the sample, else firmware",
        "hardware and emulation differ on the same inputs: evidence ratio at or over {alarm}",
        _mismatch,
    ),
    Row(
        "silent",
        Question.STREAM,
        Level.UNKNOWN,
        "stream",
        "nothing has arrived for longer than the allowed silence",
        lambda case, _: case.silent_since is not None,
        lasts=False,
    ),
    Row(
        "incomplete",
        Question.STREAM,
        Level.UNKNOWN,
        "stream",
        "a partition is missing, or {incomplete} or more of the declared events; until nothing is missing any more",
        _incomplete,
        lasts=False,
    ),
    Row(
        "drift",
        Question.CONDITIONS,
        Level.ACT,
        "detector if localised in eta or phi or confined to one kind of object, else conditions",
        "inputs or scores moved given the conditions: combined evidence ratio at or over {alarm}; "
        "never while agreement is broken",
        _drift,
    ),
    Row(
        "unidentified",
        Question.IDENTITY,
        Level.UNKNOWN,
        "identity",
        "no event could be compared: the model that ran is not registered, or its label names several",
        lambda case, _: nothing_compared(case) and not failed(case),
        lasts=False,
    ),
    Row(
        "not emulated",
        Question.EMULATION,
        Level.UNKNOWN,
        "monitor",
        "no event could be compared: the emulator failed",
        lambda case, _: nothing_compared(case) and failed(case) > 0,
        lasts=False,
    ),
    Row(
        "no events",
        Question.EVENTS,
        Level.UNKNOWN,
        "none",
        "nothing was declared lost, and there is no event to judge",
        lambda case, _: case.events == 0,
        lasts=False,
    ),
    Row(
        "flawed",
        Question.STREAM,
        Level.WATCH,
        "stream",
        "fewer or more events than declared, a gap in a producer's sequence, or a lumisection of which nothing came",
        _flawed,
    ),
    Row(
        "partly emulated",
        Question.EMULATION,
        Level.WATCH,
        "monitor",
        "the emulator failed on some of the events",
        lambda case, _: failed(case) > 0,
    ),
    Row(
        "suspicion",
        Question.AGREEMENT,
        Level.WATCH,
        "identity if another registered model or digest explains the sample, else firmware",
        "hardware and emulation differ: evidence ratio at or over {warning}",
        _suspicion,
    ),
    Row(
        "no reference",
        Question.REFERENCE,
        Level.UNKNOWN,
        "none",
        "the Book has no page for these conditions yet",
        lambda case, _: case.evidence.reference is None,
        lasts=False,
    ),
    Row(
        "drifting",
        Question.CONDITIONS,
        Level.WATCH,
        "detector if localised in eta or phi or confined to one kind of object, else conditions",
        "combined evidence ratio at or over {warning}",
        _drifting,
    ),
)


def as_markdown(rules: Rules | None = None) -> str:
    """Return the table as Markdown, with the rules' numbers in it."""
    chosen = rules or Rules()
    names = {
        "alarm": f"{chosen.alarm:g}",
        "warning": f"{chosen.warning:g}",
        "incomplete": f"{100 * chosen.incomplete:g} %",
    }
    lines = ["| | question | when | level | blame | clears |", "|---|---|---|---|---|---|"]
    for number, row in enumerate(TABLE, start=1):
        clears = f"after {chosen.clear_after} lumisections" if row.lasts else "at once"
        cells = (str(number), row.question.value, row.when.format(**names), row.level.value, row.blame, clears)
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| {len(TABLE) + 1} | | none of the above | ok | none | |")
    return "\n".join(lines) + "\n"
