"""dpedkit study new, simulate, report: from the corpus to the page, and what is refused on the way."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine

from dpedkit.db import open_corpus
from dpedkit.errors import DpedError, StudyError
from dpedkit.images import read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.places import View
from dpedkit.stages.study.designing import Wish
from dpedkit.stages.study.plan import StudyPlan, load_plan
from dpedkit.stages.study.planning import NewStudy, new_study
from dpedkit.stages.study.shares import subjects_needed
from dpedkit.train import enhance, load_generator
from dpedkit.types import U8
from dpedkit.workspace import find_workspace

CROP = 96
NEW = ["study", "new", "poster", "--crop", CROP, "--scenes", 5, "--device", "cpu"]
WISH = Wish("", ("sony-small",), "test", 3, View(CROP, 0), 1, 0.05, 0, "Which?")


@pytest.fixture(scope="module")
def asked(cli: CommandLine, judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a study of seven photos and a run."""
    root = Path(shutil.copytree(judged, tmp_path_factory.mktemp("asked") / "ws"))
    told = cli.json(*NEW, cwd=root)
    assert told["folder"] == str(root / "study" / "poster")
    return root


@pytest.fixture(scope="module")
def plan(asked: Path) -> StudyPlan:
    return load_plan(asked / "study" / "poster")


def picture(root: Path, plan: StudyPlan, scene: str, method: str) -> U8:
    """What is shown of a photo's version in tests."""
    files = {
        trial.pictures[trial.methods.index(method)]
        for trial in plan.of_kind("test", "repeat", "training")
        if trial.scene == scene and method in trial.methods
    }
    assert len(files) == 1
    return read_rgb(root / "study" / plan.name / "pictures" / files.pop())


def test_the_plan_is_what_was_asked_for(plan: StudyPlan) -> None:
    assert [(method.name, method.kind) for method in plan.methods] == [
        ("phone", "phone"),
        ("sony-small", "enhanced"),
        ("dslr", "dslr"),
    ]
    assert plan.comparisons == (("sony-small", "phone"), ("sony-small", "dslr"), ("dslr", "phone"))
    tested, training = ({each.shot for each in plan.scenes if each.training is wanted} for wanted in (False, True))
    assert (len(tested), len(training)) == (5, 2)
    assert not tested & training
    shown = [(trial.scene, trial.methods, trial.again) for trial in plan.of_kind("test", "repeat")]
    assert sorted(shown) == sorted(
        (scene, pair, again) for scene in tested for pair in plan.comparisons for again in (0, 1)
    )
    assert {trial.scene for trial in plan.of_kind("training")} == training
    assert len(plan.of_kind("catch")) == 4
    assert (plan.width, plan.height) == (CROP, CROP)
    assert plan.subjects == subjects_needed(0.05, 10, 0.7)


def test_every_method_shows_the_same_place_pixel_by_pixel(asked: Path, plan: StudyPlan) -> None:
    with open_corpus(asked) as corpus:
        photos = {(row.shot, row.role): row.path for row in corpus.photos().itertuples()}
    generator = load_generator(asked / "runs" / "sony-small")
    for scene in (each for each in plan.scenes if not each.training):
        phone = read_rgb(asked / str(photos[scene.shot, "phone"]))
        versions = {
            "phone": phone,
            "dslr": read_rgb(asked / str(photos[scene.shot, "dslr"])),  # imported as aligned: on the same pixels
            "sony-small": enhance(generator, phone),
        }
        for method, whole in versions.items():
            part = whole[scene.y : scene.y + CROP, scene.x : scene.x + CROP]
            assert np.abs(picture(asked, plan, scene.shot, method).astype(int) - part).max() <= 1
    for trial in plan.of_kind("catch"):
        right, wrong = (read_rgb(asked / "study" / plan.name / "pictures" / name) for name in trial.pictures)
        assert wrong.mean() < right.mean() / 2


def test_a_study_that_is_there_is_left_as_it_is_and_another_of_its_name_refused(cli: CommandLine, asked: Path) -> None:
    folder = asked / "study" / "poster"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    shown = cli.run(*NEW, "-q", cwd=asked).stdout
    assert "5 scenes, 3 comparisons, 96 x 96 px" in shown
    assert "each subject: 30 answers, 10 to each comparison; 4 catch trials, 2 to train with: about 2 minutes" in shown
    needed = subjects_needed(0.05, 10, 0.7)
    assert f"ask {needed} subjects for shares within ±0.05 (95%), if subjects differ by 0.7 logit" in shown
    told = cli.error(*NEW, "--seed", 1, "-q", cwd=asked, code=1)
    assert "study poster is there already, planned otherwise" in told
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def plan_of(root: Path, name: str, dry_run: bool = True, **changed: Any) -> NewStudy:
    return new_study(
        find_workspace(root), name, replace(WISH, **changed), device="cpu", dry_run=dry_run, progress=Silent()
    )


def test_what_cannot_be_planned_is_said_before_anything_is_written(asked: Path) -> None:
    for name, changed, why in (
        ("no/name", {}, "cannot be called 'no/name'"),
        ("x", {"runs": ("nothing",)}, "nothing"),
        ("x", {"phone": "nokia"}, "no patches of nokia"),
        ("x", {"scenes": 8}, "8 scenes are wanted, and sony has 7 photos in the test split"),
        ("x", {"scenes": 7, "split": "train"}, "7 scenes are wanted, and sony has 2 photos in the train split"),
    ):
        with pytest.raises(DpedError, match=why):
            plan_of(asked, name, **changed)
    with pytest.raises(StudyError, match="no 300 x 300 px that phone and DSLR both show"):
        plan_of(asked, "large", dry_run=False, view=View(300, 0))
    dry = plan_of(asked, "dry")
    assert (dry.folder, dry.pictures, len(dry.design.shots)) == (None, 0, 3)
    assert [path.name for path in (asked / "study").iterdir()] == ["poster"]


def test_whole_photos_are_shown_in_one_size(asked: Path) -> None:
    made = plan_of(asked, "whole", dry_run=False, scenes=1, view=View(None, 120))
    assert made.folder
    plan = load_plan(made.folder)
    shapes = [read_rgb(path).shape for path in (made.folder / "pictures").iterdir()]
    shutil.rmtree(made.folder)
    assert (plan.width, plan.height) == (120, 90)
    assert shapes == [(90, 120, 3)] * (3 + 2 * 3 + 3)  # a test of all methods, training of two each, spoilt ones


def test_a_rehearsal_is_planned_simulated_and_reported(cli: CommandLine, asked: Path) -> None:
    assert "poster has no answers yet" in cli.error("study", "report", "poster", cwd=asked, code=1)
    crowd = ["--subjects", 25, "--strength", "dslr=3", "--strength", "sony-small=2.9", "--seed", 2]
    simulated = cli.run("study", "simulate", "poster", *crowd, "-q", cwd=asked).stdout
    assert "sony-small over phone  0." in simulated
    assert "25 simulated subjects, 900 answers: study/poster/simulated" in simulated
    shown = cli.run("study", "report", "poster", "--simulated", cwd=asked).stdout
    assert shown.splitlines()[0] == "simulated: nobody gave these answers"
    (row,) = [line for line in shown.splitlines() if line.startswith("dslr over phone")]
    assert "<0.001   dslr preferred" in row
    assert "0.000" not in shown
    assert "sony-small over phone: sony-small preferred: 0." in shown
    assert "sony-small against DSLR, near chance? " in shown
    assert "report: study/poster/simulated/report.html" in shown
