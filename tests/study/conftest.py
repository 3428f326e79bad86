"""What tests of served studies share."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine
from study_plans import make_plan
from study_subjects import write_study

from dpedkit.stages.study.plan import StudyPlan
from dpedkit.workspace import create_workspace


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine(tmp_path_factory.mktemp("home"))


@pytest.fixture
def plan() -> StudyPlan:
    return make_plan(scenes=3, repeats=1, catch=2, training=1)


@pytest.fixture
def root(tmp_path: Path, plan: StudyPlan) -> Path:
    """A workspace with that study, its pictures flat."""
    workspace = create_workspace(tmp_path / "ws", {})
    write_study(workspace.root, plan)
    return workspace.root
