"""Studies answered by many at once, the server killed (SIGKILL) in the middle: every answer is there, once."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # study_subjects.py is the tests'

from command_line import CommandLine
from study_plans import make_plan
from study_subjects import answer_through_a_kill, write_study

from dpedkit.workspace import create_workspace


def study_through_a_kill(subjects: int, seed: int) -> str:
    """Make a study, serve it to so many subjects, kill and start it again; return how many answers there are."""
    with tempfile.TemporaryDirectory() as name:
        root, plan = create_workspace(Path(name) / "ws", {}).root, make_plan()
        write_study(root, plan)
        return answer_through_a_kill(CommandLine(Path(name)), root, plan, subjects=subjects, seed=seed)
