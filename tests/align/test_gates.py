"""Gates: every limit holds back what it is for, one that is not set nothing, and packaged policies stand still."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpedkit.align import Gates, PatchScores, judge
from dpedkit.align.gates import LIMIT_OF
from dpedkit.errors import SettingsError
from dpedkit.stages.policies import load_policy, policies
from dpedkit.stages.scores import columns_of, scores_in
from dpedkit.workspace import Workspace, create_workspace

OPEN = Gates(**{field.name: None for field in fields(Gates)})

WRONG = {
    "flat": {"std": 1.0},
    "clipped": {"clipped": 0.5},
    "untrusted": {"confidence": 0.1},
    "unlike": {"ncc": -0.2},
    "softer": {"sharpness_dslr": 5.0},
    "unlocated": {"crlb_px": 0.4},
    "misplaced": {"shift_xy_px": [-0.6, 0.8]},
    "turned": {"rotation_deg": -2.0},
    "torn": {"local_shift_px": 1.5},
}


def good(count: int = 1) -> PatchScores:
    one = np.ones(count)
    return PatchScores(
        ncc=0.98 * one,
        crlb_px=0.01 * one,
        shift_xy_px=np.zeros((count, 2)),
        rotation_deg=0 * one,
        local_shift_px=0 * one,
        gain=np.ones((count, 3)),
        offset=np.zeros((count, 3)),
        sharpness_phone=10 * one,
        sharpness_dslr=40 * one,
        clipped=0 * one,
        std=30 * one,
        confidence=one,
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws", {})


@pytest.mark.parametrize("reason", WRONG)
def test_every_limit_holds_back_what_it_is_for(reason: str) -> None:
    gates = replace(Gates(), min_sharpness_ratio=1.0)
    scores = replace(good(), **{name: np.array([value]) for name, value in WRONG[reason].items()})
    assert judge(scores, gates).tolist() == [reason]
    assert judge(scores, replace(gates, **{LIMIT_OF[reason]: None})).tolist() == [""]
    unknown = replace(good(), **{name: np.array([value]) * np.nan for name, value in WRONG[reason].items()})
    assert judge(unknown, gates).tolist() == [reason]
    assert judge(unknown, OPEN).tolist() == [""]


def test_the_first_reason_is_given() -> None:
    scores = good(3)
    scores.ncc[:] = [0.98, 0.2, 0.2]
    scores.std[:] = [30, 30, 1]
    assert judge(scores, Gates()).tolist() == ["", "unlike", "flat"]
    assert judge(scores.take(np.zeros(3, dtype=bool)), Gates()).tolist() == []
    assert set(LIMIT_OF) == set(WRONG)
    assert list(LIMIT_OF.values()) == [field.name for field in fields(Gates)]


def test_a_patch_at_a_limit_passes() -> None:
    at = replace(good(), ncc=np.array([0.6]), crlb_px=np.array([0.05]), clipped=np.array([0.02]), std=np.array([4.0]))
    assert judge(at, Gates()).tolist() == [""]
    assert judge(replace(at, ncc=np.nextafter(at.ncc, 0)), Gates()).tolist() == ["unlike"]


def test_packaged_policies_are_what_their_names_promise(workspace: Workspace) -> None:
    default, paper = policies(workspace)
    assert default.gates == Gates()
    assert paper.gates == replace(OPEN, min_ncc=0.9)
    # A verdict is marked with these: whoever changes a limit raises the version, and only then this line.
    assert [default.identity, paper.identity] == ["default@2#58c1d36b", "paper@1#ba469a38"]


def test_a_policy_says_which_limits_it_sets(workspace: Workspace) -> None:
    file = workspace.root / "mine.toml"
    file.write_text('version = 3\npurpose = "mine"\n[limits]\nmin_ncc = 0.5\nmax_shift_px = 1\n')
    mine = load_policy(workspace, str(file))
    assert (mine.name, mine.version, mine.limits) == ("mine", 3, {"min_ncc": 0.5, "max_shift_px": 1.0})
    assert mine.gates == replace(OPEN, min_ncc=0.5, max_shift_px=1.0)
    assert not mine.clashes([mine.identity, "default@1#00000000", "mine@2#00000000", "mine@33#00000000"])
    assert mine.clashes([mine.identity, "mine@3#00000000"])
    with pytest.raises(SettingsError, match="no gates 'mine'"):
        load_policy(workspace, "mine")
    workspace.gates.mkdir()
    file.rename(workspace.gates / "mine.toml")
    assert load_policy(workspace, "mine") == mine


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('version = 1\npurpose = ""\n', "limits: this key is missing"),
        ('version = 0\npurpose = ""\n[limits]\n', "version"),
        ('version = 1\npurpose = ""\n[limits]\nmin_nc = 0.9\n', "unknown limit 'min_nc', did you mean 'min_ncc'"),
        ('version = 1\npurpose = ""\n[limits]\nmin_ncc = nan\n', "limits.min_ncc"),
        ('versoin = 1\npurpose = ""\n[limits]\n', "did you mean 'version'|versoin|version"),
    ],
)
def test_a_file_that_holds_no_policy_is_named(workspace: Workspace, text: str, words: str) -> None:
    file = workspace.root / "odd.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load_policy(workspace, str(file))
    assert str(file) in caught.value.cause


def test_scores_come_back_from_their_columns_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    shapes = {field.name: getattr(good(50), field.name).shape for field in fields(PatchScores)}
    scores = PatchScores(**{name: rng.normal(size=shape) for name, shape in shapes.items()})
    columns = columns_of(scores)
    assert np.array_equal(columns["shift_px"], scores.shift_px)
    assert np.array_equal(columns["shift_x_px"], scores.shift_xy_px[:, 0])
    for index, channel in enumerate(("red", "green", "blue")):
        assert np.array_equal(columns[f"gain_{channel}"], scores.gain[:, index])
        assert np.array_equal(columns[f"offset_{channel}"], scores.offset[:, index])
    again = scores_in(pd.DataFrame(columns))
    for name in shapes:
        assert np.array_equal(getattr(again, name), getattr(scores, name)), name
    assert np.array_equal(again.shift_px, scores.shift_px)
