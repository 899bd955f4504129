"""Who has to move, and what a person should do now."""

from __future__ import annotations

from monitor.decide.case import Case, Culprit, Rules
from monitor.decide.table import OUTSIDE_FORMAT, Question, Row, failed
from monitor.decide.verdict import Blame, Level
from monitor.drift.evidence import Where
from monitor.trigger.site import Site


def blame(row: Row, case: Case, rules: Rules) -> Blame:
    """Return who is to blame where `row` holds."""
    if row.question is Question.AGREEMENT:
        named = case.culprit is not None and not case.culprit.hypothesis and explains(case.culprit, rules)
        return Blame.IDENTITY if named else Blame.FIRMWARE
    if row.question is Question.CONDITIONS:
        return Blame.DETECTOR if is_detector(case, rules) else Blame.CONDITIONS
    return Blame(row.blame)


def explains(culprit: Culprit | None, rules: Rules) -> bool:
    """Say whether the explanation reproduces enough of the sample to be named."""
    return culprit is not None and culprit.of > 0 and culprit.fits >= rules.explained * culprit.of


def is_local(place: Where) -> bool:
    """Say whether a place is narrowed down in eta or phi."""
    return place.eta is not None or place.phi is not None


def is_detector(case: Case, rules: Rules) -> bool:
    """Say whether the shift has a place: localised, or confined to one kind of object."""
    shifts = case.evidence.shifts
    return bool(shifts) and (is_local(shifts[0].where) or confined(case, rules) is not None)


def confined(case: Case, rules: Rules) -> str | None:
    """Return the kind of object that alone has moved, or None.

    The score moves with whatever moves, and a sum over the whole detector with its parts: neither says anything
    against the one kind. A case that rests on no kind at all is general.
    """
    shifts = case.evidence.shifts
    proven = [shift for shift in shifts if shift.ratio >= rules.alarm] or list(shifts[:1])
    kinds = {shift.where.object for shift in proven if shift.where.object is not None}
    parts = kinds & set(case.groups)
    found = parts or kinds
    return found.pop() if len(found) == 1 else None


def place(row: Row, case: Case, rules: Rules) -> Where:
    """Return where the evidence points, as far as it is localised."""
    if row.question is Question.AGREEMENT:
        return Where(bit=case.bit)
    if row.question is not Question.CONDITIONS or not case.evidence.shifts:
        return Where()
    first = case.evidence.shifts[0].where
    return first if is_local(first) else Where(object=confined(case, rules))


def action(row: Row, case: Case, *, who: Blame, where: Where, site: Site) -> str:
    """Return one sentence for the person on shift: what to do now."""
    watching = row.level is Level.WATCH
    if row.question is Question.CONDITIONS:
        return _for_conditions(case, who=who, where=where, watching=watching, site=site)
    if row.question is Question.AGREEMENT:
        return _for_agreement(case, who=who, watching=watching)
    return _for_the_rest(row, case, site)


def _for_agreement(case: Case, *, who: Blame, watching: bool) -> str:
    model, culprit = case.evidence.epoch.model, case.culprit
    if watching:
        return f"Single scores of {model} differ from emulation: keep watching, do nothing yet."
    if who is Blame.IDENTITY and culprit is not None:
        return (
            f"Ask the trigger expert which model is loaded: the hardware answers like {culprit.label} "
            f"({culprit.digest[7:19]}), the menu announces {model} ({case.evidence.epoch.digest[7:19]})."
        )
    if culprit is not None and culprit.hypothesis and culprit.fits == culprit.of:
        return f"Call the trigger firmware expert: the scores of {model} fit with {culprit.hypothesis}. Do not retrain."
    return (
        f"Call the trigger firmware expert: the board does not compute what {model} should on its own inputs. "
        "Do not retrain."
    )


def _for_conditions(case: Case, *, who: Blame, where: Where, watching: bool, site: Site) -> str:
    shifts = case.evidence.shifts
    what = in_words(where) or (shifts[0].quantity if shifts else "the inputs")
    if watching:
        return f"Something may be moving in {what}: look again in a few {site.lumisection_word}s, do nothing yet."
    if who is Blame.DETECTOR:
        return f"Call the detector expert about {what}: it moved while the model computes correctly."
    return (
        "Check beam and detector conditions against the reference; if they are meant to be like this, "
        "build a new reference, and retrain if the shift stays."
    )


def _for_the_rest(row: Row, case: Case, site: Site) -> str:
    word, epoch = site.lumisection_word, case.evidence.epoch
    sentences = {
        "silent": f"Check the trigger's producer and the broker: nothing has arrived since {word} {case.silent_since}.",
        "incomplete": f"Check the producers: {_missing(case)}, so this {word} cannot be judged.",
        "unidentified": _for_the_unidentified(case),
        "not emulated": f"Call the monitoring expert: the emulator of {epoch.model} does not answer.",
        "partly emulated": (
            f"Tell the monitoring expert: the emulator of {epoch.model} failed on {failed(case)} events."
        ),
        "no events": f"Nothing to judge: no event in this {word}.",
        "flawed": f"Tell the producers' expert when convenient: {_missing(case)}.",
        "no reference": f"Nothing to do: conditions are not judged, {case.evidence.unjudged or 'no reference'}.",
    }
    return sentences[row.name]


def _for_the_unidentified(case: Case) -> str:
    model, reasons = case.evidence.epoch.model, sorted(case.evidence.agreement.not_comparable)
    if reasons == [OUTSIDE_FORMAT]:
        return f"Check what the producer sends as the inputs of {model}: none of it fits into the model's input bits."
    return f"Register the model that runs as {model}: {', '.join(reasons) or 'it is unknown'}."


def _missing(case: Case) -> str:
    arrived, parts = case.evidence.completeness, []
    if arrived.missing_partitions:
        names = ", ".join(str(each) for each in arrived.missing_partitions)
        parts.append(f"partition {names} is missing")
    if arrived.declared is not None and arrived.declared != arrived.received:
        parts.append(f"{arrived.received} of {arrived.declared} declared events arrived")
    if arrived.lost_batches:
        parts.append(f"{arrived.lost_batches} batches were lost")
    if case.skipped:
        parts.append(f"nothing came of {case.skipped} before it")
    return " and ".join(parts) or "data was lost a short while ago"


def in_words(where: Where) -> str:
    """Return the place as people say it, "" if there is none."""
    parts = [where.object] if where.object is not None else []
    if where.eta is not None:
        parts.append(f"eta {where.eta[0]:.2f} to {where.eta[1]:.2f}")
    if where.phi is not None:
        parts.append(f"phi {where.phi[0]:.2f} to {where.phi[1]:.2f}")
    return ", ".join(parts)
