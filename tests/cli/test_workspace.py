"""dpedkit init, status, doctor; how a workspace is found, and that it may be moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine, tree

Stages = Callable[[str], Path]


def test_init_makes_a_workspace_once(cli: CommandLine, tmp_path: Path) -> None:
    done = cli.run("init", "ws", "--rig", "simulated", cwd=tmp_path)
    assert "cd ws && dpedkit devices" in done.stdout
    made = tree(tmp_path / "ws")
    assert {"dpedkit.toml", "rigs/tripod.toml", "corpus.db"} <= made.keys()
    assert 'address = "simulated"' in (tmp_path / "ws/rigs/tripod.toml").read_text()
    assert "is a workspace already" in cli.error("init", "ws", cwd=tmp_path, code=2)
    assert tree(tmp_path / "ws") == made


def test_init_leaves_other_folders_alone(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    assert "not empty" in cli.error("init", "full", cwd=tmp_path, code=2)
    assert list(tree(tmp_path / "full")) == ["thesis.tex"]


def test_the_rig_of_ones_own_is_a_template_to_fill_in(cli: CommandLine, tmp_path: Path) -> None:
    assert cli.json("init", "ws", cwd=tmp_path) == {"workspace": str(tmp_path / "ws"), "rig": "tripod"}
    text = (tmp_path / "ws/rigs/tripod.toml").read_text()
    assert "usb:" in text
    assert 'address = "simulated"' not in text


def test_a_workspace_is_found_from_within_by_option_and_by_environment(
    cli: CommandLine, finished: Stages, tmp_path: Path
) -> None:
    root = finished("patched")
    inside = cli.json("status", cwd=next((root / "photos").iterdir()))
    assert inside["root"] == str(root)
    assert cli.run("-C", root, "status", "--json", cwd=tmp_path).stdout == json.dumps(inside, indent=2) + "\n"
    by_environment = cli.run("status", "--json", cwd=tmp_path, env={"DPEDKIT_WORKSPACE": str(root)})
    assert json.loads(by_environment.stdout) == inside


def test_a_wrong_option_is_not_made_good_by_the_folder_above(cli: CommandLine, finished: Stages) -> None:
    assert "no folder typo" in cli.error("-C", "typo", "status", cwd=finished("captured"), code=2)


def test_status_counts_what_is_there_and_says_what_comes_next(cli: CommandLine, finished: Stages) -> None:
    found = cli.json("status", cwd=finished("captured"))
    assert found["counts"]["photos"] == {"blackberry": 4, "dslr": 4, "iphone": 4, "sony": 4}
    assert found["counts"]["pairs"] == {"new": 12}
    assert found["next_step"] == "dpedkit align"
    assert cli.json("status", cwd=finished("aligned"))["next_step"] == "dpedkit build-patches"
    assert cli.json("status", cwd=finished("patched"))["next_step"] == "dpedkit review, or dpedkit train --phone NAME"
    text = cli.run("status", cwd=finished("trained")).stdout
    assert "photos   blackberry 4, dslr 4, iphone 4, sony 4\n" in text
    assert "runs     iphone-small done\n" in text
    assert text.endswith("next: dpedkit evaluate\n")


def test_a_moved_workspace_goes_on(cli: CommandLine, workspace: Stages, tmp_path: Path) -> None:
    old = workspace("trained")
    new = old.rename(tmp_path / "moved [here]")
    assert cli.json("align", cwd=new)["done_before"] == 12
    assert cli.json("build-patches", cwd=new)["done_before"] == 12
    report = cli.json("evaluate", "--phone", "iphone", cwd=new)
    assert {score["name"] for score in report["scores"]} >= {"phone", "iphone-small"}
    assert not old.exists()


def test_doctor_looks_at_the_machine_and_at_the_workspace(cli: CommandLine, workspace: Stages, tmp_path: Path) -> None:
    outside = {finding["topic"]: finding for finding in cli.json("doctor", cwd=tmp_path)}
    assert outside["torch"]["level"] == "ok"
    assert outside["workspace"]["level"] == "note"
    root = workspace("patched")
    inside = {finding["topic"]: finding for finding in cli.json("doctor", cwd=root)}
    assert inside["rig tripod"]["found"] == "dslr, sony, blackberry, iphone"
    assert inside["corpus"]["found"].startswith("4 shots, ")
    next((root / "patches").iterdir()).unlink()
    shard = {finding["topic"]: finding for finding in cli.json("doctor", cwd=root, code=1)}["shard"]
    assert (shard["level"], shard["remedy"]) == ("problem", "dpedkit build-patches")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["train", "--help"]])
def test_what_needs_no_workspace_works_anywhere(cli: CommandLine, tmp_path: Path, words: list[str]) -> None:
    gone = {"DPEDKIT_WORKSPACE": str(tmp_path / "gone")}
    assert "dpedkit" in cli.run(*words, cwd=tmp_path, env=gone).stdout
