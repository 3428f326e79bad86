"""Answers of subjects whose preferences are known, in memory: no file, no disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np

from dpedkit.stages.study.answers import Given, Header, Started, Subject
from dpedkit.stages.study.collecting import answer_to
from dpedkit.stages.study.plan import Shown, Side, StudyPlan
from dpedkit.stages.study.simulate import Crowd, Population

Choice = Callable[[int, Shown, str], tuple[Side, float]]
"""A subject's number, what is shown, its scene -> the side, and after how many ms."""


def made(plan: StudyPlan, population: Population, *, subjects: int, seed: int) -> Crowd:
    """Subjects of a population, for a plan."""
    methods, scenes = [method.name for method in plan.methods], [scene.shot for scene in plan.scenes]
    return Crowd(population, methods, scenes, subjects, np.random.default_rng(seed))


def given_by(plan: StudyPlan, choose: Choice, *, subjects: int, at_most: int = 10**6) -> Given:
    """What so many subjects answer, each at most so many of the session's trials."""
    scene = {trial.id: trial.scene for trial in plan.trials}
    asked = []
    for number in range(subjects):
        answers = [
            answer_to(number, shown, *choose(number, shown, scene[shown.trial]))
            for shown in plan.session(number)[:at_most]
        ]
        asked.append(Subject(Started(subject=number, code=f"CODE{number}", day=date(2026, 11, 27)), answers))
    return Given(Header(study=plan.name, plan=plan.digest), asked, 0)
