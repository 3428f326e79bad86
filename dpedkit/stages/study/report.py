"""`dpedkit study report`: one page on what people answered; it needs no other file and no network."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from scipy.special import expit

from dpedkit.files import write_atomic
from dpedkit.images import read_rgb, shrink
from dpedkit.stages.report import data_uri
from dpedkit.stages.run_drawing import Drawing, GainRow, draw_gains
from dpedkit.stages.study.answers import read_answers
from dpedkit.stages.study.plan import PICTURES, SEEN, StudyPlan, load_plan
from dpedkit.stages.study.results import Comparison, Results, analyse
from dpedkit.stages.study.scores import Score
from dpedkit.stages.study.simulate import SIMULATED, true_shares
from dpedkit.stages.templates import render, resource
from dpedkit.workspace import Workspace

_THUMB_PX = 150
_FIRST_SCENES = 3  # whose pictures are on the page


@dataclass(frozen=True, slots=True)
class StudyReport:
    """The page, and the numbers on it.

    truth  of simulated subjects: the true share of each comparison
    """

    page: Path
    study: str
    plan: str
    stamps: Sequence[str]
    results: Results
    truth: Mapping[str, float] | None


def write_study_report(workspace: Workspace, name: str, *, simulated: bool) -> StudyReport:
    """Analyse a study's answers, people's or simulated ones, and write report.html beside them.

    Raises:
        StudyError: no such study, no answers, or a plan or answers that do not belong together.
        MissingExtra: choix is not installed.
        StorageError: the page cannot be written.
    """
    folder = workspace.studies / name
    plan = load_plan(folder)
    answers = folder / SIMULATED if simulated else folder
    results = analyse(plan, read_answers(answers, plan, simulated=simulated))
    stamps = _stamps(plan, results)
    truth = None if results.simulated is None else true_shares(plan, results.simulated)
    page = answers / "report.html"
    write_atomic(page, render("study/report.html", {**_fields(plan, folder, results, stamps), "truth": truth}).encode())
    return StudyReport(page, name, plan.digest, stamps, results, truth)


def still_needed(plan: StudyPlan, comparison: Comparison) -> int | None:
    """Return how many subjects would make a share's interval as narrow as the plan wants, by how much these differ.

    0: it is so already. None: nothing is known yet.
    """
    share = comparison.share
    if share is None or share.half is None:
        return None
    return math.ceil(share.subjects * (share.half / plan.half_width) ** 2) if share.half > plan.half_width else 0


def _stamps(plan: StudyPlan, results: Results) -> list[str]:
    """Return what must be said before anything else."""
    made_up = ["simulated: nobody gave these answers"] if results.simulated is not None else []
    seen = [f"{plan.split} split: {SEEN[plan.split]}"] if plan.split in SEEN else []
    return [*made_up, *seen, *(f"{method.name}: {method.note}" for method in plan.methods if method.note)]


def _fields(plan: StudyPlan, folder: Path, results: Results, stamps: Sequence[str]) -> Mapping[str, object]:
    """Return all that the template shows."""
    again = ["dpedkit", "study", "report", plan.name, *(["--simulated"] if results.simulated is not None else [])]
    return {
        "css": resource("run_report.css"),
        "plan": plan,
        "digest": plan.digest,
        "results": results,
        "stamps": stamps,
        "excluded": results.excluded,
        "shares": _draw_shares(results.comparisons, plan.near_chance),
        "scores": _draw_scores(results.scores),
        "over_phone": {score.method: float(expit(score.value)) for score in results.scores},
        "needed": [still_needed(plan, comparison) for comparison in results.comparisons],
        "scenes": [scene.shot for scene in plan.scenes if not scene.training],
        "pictures": _pictures(plan, folder),
        "again": [plan.command, shlex.join(again)],
        "made_by": version("dpedkit"),
    }


def _draw_shares(comparisons: Sequence[Comparison], near: float) -> Drawing:
    rows = [
        GainRow(
            name=f"{comparison.first} over {comparison.second}",
            ours=comparison.word in ("first preferred", "second preferred"),
            value=comparison.share.value,
            low=comparison.share.low,
            high=comparison.share.high,
            photos=[first / of for first, of in comparison.by_scene.values()],
        )
        for comparison in comparisons
        if comparison.share is not None
    ]
    return draw_gains(rows, zero=0.5, holds=(0.0, 1.0), near=near)


def _draw_scores(scores: Sequence[Score]) -> Drawing:
    ranked = sorted(scores, key=lambda score: -score.value)
    rows = [GainRow(score.method, score.value != 0, score.value, score.low, score.high, []) for score in ranked]
    return draw_gains(rows)


def _pictures(plan: StudyPlan, folder: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the first scenes, each with all its methods' pictures as they were shown, but small."""
    found: dict[str, dict[str, str]] = {}
    for trial in plan.of_kind("test"):
        found.setdefault(trial.scene, {}).update(zip(trial.methods, trial.pictures, strict=True))
    order = [method.name for method in plan.methods]
    return [
        (scene, [(name, _thumb(folder / PICTURES / files[name])) for name in order if name in files])
        for scene, files in list(found.items())[:_FIRST_SCENES]
    ]


def _thumb(path: Path) -> str:
    return data_uri(shrink(read_rgb(path), 2 * _THUMB_PX))
