"""Where a workspace's studies stand: planned for how many, asked how many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dpedkit.errors import DpedError
from dpedkit.stages.study.answers import ANSWERS_FILE, read_answers
from dpedkit.stages.study.plan import PLAN_FILE, load_plan


@dataclass(frozen=True, slots=True)
class StudyState:
    """A study at a glance.

    planned   subjects that it was planned for
    began     who answered something
    finished  who answered all
    answers   of all of them, training and catch trials included
    problem   why that cannot be said; empty: it can
    """

    planned: int = 0
    began: int = 0
    finished: int = 0
    answers: int = 0
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        asked = f"{self.began} subjects began, {self.finished} finished, {self.answers:,} answers"
        return f"planned for {self.planned} subjects; {asked if self.began else 'nobody was asked yet'}"


def study_states(studies: Path) -> dict[str, StudyState]:
    """Return the state of every study in a folder, by its name; simulated answers are none."""
    return {path.parent.name: _state(path.parent) for path in sorted(studies.glob(f"*/{PLAN_FILE}"))}


def _state(folder: Path) -> StudyState:
    try:
        plan = load_plan(folder)
        if not (folder / ANSWERS_FILE).exists():
            return StudyState(plan.subjects)
        counts = [len(subject.answers) for subject in read_answers(folder, plan).subjects]
    except DpedError as error:
        return StudyState(problem=error.cause)
    return StudyState(plan.subjects, sum(map(bool, counts)), counts.count(len(plan.trials)), sum(counts))
