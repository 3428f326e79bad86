"""Whose answers do not count: rules that the plan fixed before the first answer, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

from dpedkit.stages.study.answers import Subject
from dpedkit.stages.study.plan import DEGRADED, StudyPlan

_FEWEST_SIDES = 20  # answers below which one side is easily chosen always


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a subject answered; what cannot be said yet is None.

    answered    of the session's trials
    catch       share of catch trials answered rightly
    median_ms   of an answer, training left out
    left        share of answers on the left, catch and training trials left out
    out         why the answers do not count; empty: they do
    """

    subject: int
    answered: int
    of: int
    catch: float | None
    median_ms: float | None
    left: float | None
    out: tuple[str, ...]


def judge_subject(plan: StudyPlan, subject: Subject) -> Conduct:
    """Return how a subject answered, and which of the plan's rules were broken."""
    real = [answer for answer in subject.answers if answer.trial_kind != "training"]
    caught = [answer.chosen != DEGRADED for answer in real if answer.trial_kind == "catch"]
    sides = [answer.side == "left" for answer in real if answer.trial_kind != "catch"]
    conduct = Conduct(
        subject=subject.started.subject,
        answered=len(subject.answers),
        of=len(plan.trials),
        catch=sum(caught) / len(caught) if caught else None,
        median_ms=median(answer.ms for answer in real) if real else None,
        left=sum(sides) / len(sides) if sides else None,
        out=(),
    )
    return replace(conduct, out=_broken(plan, conduct, len(sides)))


def _broken(plan: StudyPlan, conduct: Conduct, sides: int) -> tuple[str, ...]:
    rules, found = plan.rules, []
    if conduct.answered < rules.answered_share * conduct.of:
        found.append(f"answered {conduct.answered} of {conduct.of}, fewer than {rules.answered_share:.0%}")
    if conduct.catch is not None and conduct.catch < rules.catch_share:
        found.append(f"{conduct.catch:.0%} of catch trials right, less than {rules.catch_share:.0%}")
    if conduct.median_ms is not None and conduct.median_ms < rules.median_ms:
        found.append(f"half of the answers within {conduct.median_ms:.0f} ms, {rules.median_ms} is the least")
    if conduct.left is not None and sides >= _FEWEST_SIDES:
        same = max(conduct.left, 1 - conduct.left)
        if same > rules.same_side_share:
            side = "left" if conduct.left > 0.5 else "right"
            found.append(f"{same:.0%} of answers on the {side}, more than {rules.same_side_share:.0%}")
    return tuple(found)
