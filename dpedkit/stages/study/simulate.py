"""Subjects whose preferences are known: what the analysis finds of them can be compared with the truth.

What they answer goes through the same door as people's answers, into a folder of its own, and says in its first line
that nobody gave it.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from scipy.special import expit, roots_hermitenorm

from dpedkit.errors import UsageError
from dpedkit.files import atomic_folder
from dpedkit.progress import Progress
from dpedkit.settings import nearest
from dpedkit.stages.study.collecting import collecting
from dpedkit.stages.study.plan import DEGRADED, Shown, Side, StudyPlan
from dpedkit.types import F64, Json

SIMULATED = "simulated"
_NODES = 64
_SPREAD_MS = 0.5  # of the logarithm of an answer's time
_HASTY_MS = 150


@dataclass(frozen=True, slots=True)
class Population:
    """Whom simulated subjects are drawn from. Logits, but for shares and times.

    strengths  of each method, on Bradley and Terry's scale
    sd         between subjects, of the difference of two methods
    scene_sd   the same between scenes
    side_sd    between subjects, of how much rather they choose the left
    lapses     share of answers that are given blindly
    careless   share of subjects who give all answers so, and fast
    median_ms  of an answer
    """

    strengths: Mapping[str, float] = field(default_factory=dict)
    sd: float = 0.7
    scene_sd: float = 0.3
    side_sd: float = 0.1
    lapses: float = 0.02
    careless: float = 0.0
    median_ms: float = 2500


class Crowd:
    """Subjects drawn from a population, for the methods and scenes of a study.

    careless  [S] who gives all answers blindly
    """

    def __init__(
        self,
        population: Population,
        methods: Sequence[str],
        scenes: Sequence[str],
        subjects: int,
        rng: np.random.Generator,
    ) -> None:
        self.population, self._rng = population, rng
        self._method = {name: index for index, name in enumerate(methods)}
        self._scene = {name: index for index, name in enumerate(scenes)}
        own = np.array([population.strengths.get(name, 0.0) for name in methods])
        self._scenes = own + rng.normal(0, population.scene_sd / np.sqrt(2), (len(scenes), len(methods)))
        self._subjects = rng.normal(0, population.sd / np.sqrt(2), (subjects, len(methods)))
        self._side = rng.normal(0, population.side_sd, subjects)
        self.careless = rng.random(subjects) < population.careless

    def chances(self, side: int) -> F64:
        """Return the chance that the method of a row is chosen over that of a column [S, scenes, M, M].

        side  1: the row's method stands on the left; -1: on the right
        """
        liked = self._subjects[:, None, :] + self._scenes
        over = liked[..., :, None] - liked[..., None, :] + side * self._side[:, None, None, None]
        blind = np.where(self.careless, 1, self.population.lapses)[:, None, None, None]
        chances: F64 = blind / 2 + (1 - blind) * expit(over)
        return chances

    def truth(self) -> F64:
        """Return the share of all careful subjects' answers for the method of a row over that of a column [M, M]."""
        nodes, weights = roots_hermitenorm(_NODES)
        spread = np.hypot(self.population.sd, self.population.side_sd)
        over = (self._scenes[:, :, None] - self._scenes[:, None, :])[..., None] + spread * nodes
        careful = (expit(over) @ (weights / weights.sum())).mean(axis=0)
        shares: F64 = self.population.lapses / 2 + (1 - self.population.lapses) * careful
        return shares

    def answer(self, subject: int, shown: Shown, scene: str) -> tuple[Side, float]:
        """Return the side that a subject chooses, and after how many ms; in training either, nobody looks at it."""
        careless = bool(self.careless[subject])
        blind = careless or shown.kind == "training" or self._rng.random() < self.population.lapses
        usual = _HASTY_MS if careless else self.population.median_ms
        ms = usual * float(np.exp(self._rng.normal(0, _SPREAD_MS)))
        left = 0.5 if blind else self._chance_of_left(subject, shown, scene)
        return ("left" if self._rng.random() < left else "right"), ms

    def _chance_of_left(self, subject: int, shown: Shown, scene: str) -> float:
        if DEGRADED in (shown.left_method, shown.right_method):
            return float(shown.right_method == DEGRADED)
        left, right = self._method[shown.left_method], self._method[shown.right_method]
        liked = self._scenes[self._scene[scene]] + self._subjects[subject]
        return float(expit(liked[left] - liked[right] + self._side[subject]))


@dataclass(frozen=True, slots=True)
class Simulated:
    """What was simulated, and the true share of each comparison."""

    folder: Path
    subjects: int
    answers: int
    truth: dict[str, float]


def simulate_study(
    folder: Path, plan: StudyPlan, *, population: Population, subjects: int, seed: int, progress: Progress
) -> Simulated:
    """Let simulated subjects answer a study, into its folder simulated/; those of an earlier time make room.

    Raises:
        UsageError: a strength is of no method of the study.
        StorageError: the answers cannot be written.
    """
    names = [method.name for method in plan.methods]
    for name in population.strengths:
        if name not in names:
            raise UsageError(f"no method {name!r} in {plan.name}{nearest(name, names)}", f"methods: {', '.join(names)}")
    target = folder / SIMULATED
    crowd = _crowd(plan, population, subjects, seed)
    made_of = {**asdict(population), "subjects": subjects, "seed": seed}
    with atomic_folder(target) as part:
        _answer_all(part, plan, crowd, made_of, progress)
        shutil.rmtree(target, ignore_errors=True)
    return Simulated(target, subjects, subjects * len(plan.trials), _truth(plan, crowd))


def true_shares(plan: StudyPlan, made_of: Json) -> dict[str, float]:
    """Return the true share of each comparison, by what the first line of simulated answers says of their subjects."""
    population = {key: value for key, value in made_of.items() if key not in ("subjects", "seed")}
    return _truth(plan, _crowd(plan, Population(**population), made_of["subjects"], made_of["seed"]))


def _crowd(plan: StudyPlan, population: Population, subjects: int, seed: int) -> Crowd:
    methods = [method.name for method in plan.methods]
    scenes = [scene.shot for scene in plan.scenes if not scene.training]
    return Crowd(population, methods, scenes, subjects, np.random.default_rng(seed))


def _truth(plan: StudyPlan, crowd: Crowd) -> dict[str, float]:
    shares, index = crowd.truth(), {method.name: number for number, method in enumerate(plan.methods)}
    return {f"{first} over {second}": float(shares[index[first], index[second]]) for first, second in plan.comparisons}


def _answer_all(folder: Path, plan: StudyPlan, crowd: Crowd, made_of: Json, progress: Progress) -> None:
    scene_of = {trial.id: trial.scene for trial in plan.trials}
    day = date.fromisoformat(plan.created[:10])
    progress.start("simulate", made_of["subjects"])
    with collecting(folder, plan, simulated=made_of, rng=random.Random(made_of["seed"]), today=lambda: day) as answers:
        for subject in range(made_of["subjects"]):
            code = answers.start()
            for shown in answers.session(code):
                answers.give(code, shown.place, *crowd.answer(subject, shown, scene_of[shown.trial]))
            progress.advance()
    progress.done(f"{made_of['subjects']} subjects")
