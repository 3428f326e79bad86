"""dpedkit evaluate on a corpus of several phones, of patches alone, or without a run's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from command_line import CommandLine

Stages = Callable[[str], Path]


def test_patches_that_came_without_photos_are_scored_by_patch(cli: CommandLine, given_patches: Path) -> None:
    ws = given_patches
    report = cli.json("evaluate", cwd=ws)
    own = next(score for score in report["scores"] if score["name"] == "phone")
    assert (own["photos"], own["patches"]) == (0, 12)
    assert own["estimates"]["psnr"]["low"] < own["psnr"] < own["estimates"]["psnr"]["high"]
    assert "resampled by patch" in report["intervals"]["iphone"]
    assert "iphone: 12 patches\n" in cli.run("evaluate", cwd=ws).stdout
    assert "only patches were given" in cli.error("evaluate", "--protocol", "photos", cwd=ws, code=1)


def test_several_phones_stand_side_by_side_as_in_the_paper(cli: CommandLine, workspace: Stages) -> None:
    shown = cli.run("evaluate", cwd=workspace("trained")).stdout.splitlines()
    assert shown[0].split() == ["blackberry", "iphone", "sony"]
    assert shown[1].split() == ["method", *["PSNR", "SSIM", "MS-SSIM"] * 3]
    assert max(len(line) for line in shown[:6]) <= 100
    assert [line[:18].strip() for line in shown[2:6]] == ["phone", "gain and offset", "matrix and curve", "small"]
    assert len(shown[5].split()) == 1 + 3  # only the iphone has a run
    assert sum("no intervals: 1 photo, and fewer than 5" in line for line in shown) == 3
    assert not any("±" in line for line in shown)


def test_a_run_that_was_deleted_is_left_out(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("trained")
    shutil.rmtree(root / "runs" / "iphone-small")
    done = cli.run("evaluate", "--phone", "iphone", "--split", "val", cwd=root)
    assert "run iphone-small: its folder is gone, so it is left out" in done.stderr
    assert "iphone-small" not in done.stdout
