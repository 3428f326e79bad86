"""A few of the items that `make soak` runs in full."""

from __future__ import annotations

from pathlib import Path

import faults
import pytest
from hostiles import feed
from kills import kill_and_resume
from mutants import read_all
from rehearsal import Rehearsal
from uploads import site

from dpedkit.capture.simulate.faults import FAULTS


def test_killed_captures_are_resumed_and_lose_nothing(tmp_path: Path) -> None:
    rig = Rehearsal(tmp_path / "ws")
    with rig.running():
        for seed in (1000, 1001, 1002):
            kill_and_resume(rig, seed)


def test_every_fault_has_an_outcome() -> None:
    assert FAULTS.keys() == faults.OUTCOMES.keys()


@pytest.mark.parametrize(("fault", "device"), faults.CASES)
def test_a_fault_is_recovered_or_reported(tmp_path: Path, fault: str, device: str) -> None:
    faults.suffer(tmp_path, fault, device)


def test_mutants_are_what_they_were_or_errors() -> None:
    assert "refused" in read_all(range(5000, 5060))


def test_hostile_files_are_photos_after_all_or_errors() -> None:
    assert "refused" in feed(range(5000, 5052))


def test_hostile_uploads_are_photos_after_all_or_refused(tmp_path: Path) -> None:
    with site(tmp_path) as attacked:
        assert "refused" in attacked.attack(range(5000, 5040))
