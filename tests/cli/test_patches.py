"""dpedkit build-patches and gates: other gates judge what is there, other pixels are cut again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from command_line import CommandLine, shards, tree

from dpedkit.db import open_corpus, open_shard
from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.stages.judging import judge_again
from dpedkit.stages.policies import load_policy
from dpedkit.workspace import find_workspace

Stages = Callable[[str], Path]
STRICT = 'version = 1\npurpose = "only what is sharp"\n[limits]\nmin_sharpness_ratio = 1.2\nmax_crlb_px = 0.02\n'


def patches_of(root: Path) -> pd.DataFrame:
    with open_corpus(root) as corpus:
        return corpus.patches()


def column(root: Path, name: str) -> list[Any]:
    """Return what the pairs hold in a column."""
    with open_corpus(root) as corpus:
        return corpus.pairs()[name].tolist()


def write_gates(root: Path, text: str = STRICT) -> Path:
    (root / "gates").mkdir(exist_ok=True)
    (root / "gates" / "strict.toml").write_text(text)
    return root / "gates" / "strict.toml"


def pixels(root: Path, patches: pd.DataFrame) -> np.ndarray:
    """Return the patches' pixels [N, 2, S, S, 3]."""
    return np.stack([open_shard(root / "patches", row.shard)[row.row] for row in patches.itertuples()])


def test_other_gates_judge_what_is_there_exactly_as_if_it_were_cut_now(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    write_gates(root)
    files, default = shards(root), patches_of(root)
    plan = cli.json("build-patches", "--gates", "strict", "--dry-run", cwd=root)
    assert (plan["pairs"], plan["judged"], plan["done_before"]) == (0, 12, 0)
    assert patches_of(root).equals(default)

    judged = cli.json("build-patches", "--gates", "strict", cwd=root)
    assert (judged["pairs"], judged["judged"], judged["done_before"]) == (0, 12, 0)
    assert 0 < judged["kept"] < len(default) == judged["patches"]
    again = patches_of(root)
    assert set(again["reason"]) == {"", *judged["reasons"]} <= {"", "softer", "unlocated"}
    assert (again["keep"] == (again["reason"] == "")).all()
    assert set(column(root, "gates")) == {judged["gates"]}
    assert shards(root) == files

    for name in files:
        (root / "patches" / name).unlink()
    cut = cli.json("build-patches", "--gates", "strict", cwd=root)
    assert (cut["pairs"], cut["cut_again"], cut["judged"]) == (12, 0, 0)
    assert [cut[key] for key in ("kept", "reasons")] == [judged[key] for key in ("kept", "reasons")]
    assert patches_of(root).equals(again)
    cli.run("build-patches", cwd=root)
    assert patches_of(root).equals(default)


def test_judging_goes_on_where_it_was_stopped(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    with open_corpus(root) as corpus:
        paper = load_policy(find_workspace(root), "paper")
        stopped = judge_again(corpus, corpus.pairs(), paper)
        first = [next(stopped) for _ in range(5)]
    told = cli.json("build-patches", "--gates", "paper", cwd=root)
    assert (told["judged"], told["done_before"]) == (7, 5)
    patches = patches_of(root)
    assert told["patches"] == len(patches) - sum(map(len, first))
    assert (patches["keep"] == (patches["ncc"] >= 0.9)).all()


def test_gates_are_compared_before_one_is_chosen(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    write_gates(root)
    before = tree(root)
    rows = {row["name"]: row for row in cli.json("gates", cwd=root)}
    assert list(rows) == ["default", "paper", "strict"]
    assert rows["paper"]["limits"] == {"min_ncc": 0.9}
    assert [row["in_use"] for row in rows.values()] == [len(patches_of(root)), 0, 0]
    shown = cli.run("gates", cwd=root).stdout
    assert "default@2" in shown.splitlines()[0]
    assert "strict: only what is sharp" in shown
    assert tree(root) == before
    for name in ("strict", "paper", "default"):
        told = cli.json("build-patches", "--gates", name, cwd=root)
        found = rows[name]["tally"]
        assert (found["kept"], found["reasons"]) == (
            int(patches_of(root)["keep"].sum()),
            told["reasons"] if told["judged"] else found["reasons"],
        )
        assert str(found["kept"]) in shown


def test_limits_that_change_without_their_version_are_caught(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    file = write_gates(root)
    cli.run("build-patches", "--gates", "strict", cwd=root)
    before = patches_of(root)
    write_gates(root, STRICT.replace("0.02", "0.03"))
    message = cli.error("build-patches", "--gates", file, cwd=root, code=2)
    assert "limits changed, but the version is still 1" in message
    assert "version = 2" in message
    assert "strict: its limits changed" in cli.run("gates", cwd=root).stdout
    assert patches_of(root).equals(before)
    write_gates(root, STRICT.replace("0.02", "0.03").replace("version = 1", "version = 2"))
    assert cli.json("build-patches", "--gates", file, cwd=root)["judged"] == 12


def test_what_is_no_policy_is_named(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    assert "no gates 'papr', did you mean 'paper'?" in cli.error("build-patches", "--gates", "papr", cwd=root, code=2)
    write_gates(root, STRICT.replace("max_crlb_px", "max_crlb"))
    message = cli.error("build-patches", "--gates", "strict", cwd=root, code=2)
    assert "strict.toml: limits: unknown limit 'max_crlb', did you mean 'max_crlb_px'?" in message
    write_gates(root).rename(root / "gates" / "paper.toml")
    assert "has the name of gates that come with dpedkit" in cli.error("gates", cwd=root, code=2)


def test_size_stride_and_count_cut_again_and_say_so(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    words = ["build-patches", "--size", 48, "--stride", 24]
    assert (
        "12 pairs to cut (12 that were cut with other settings before)" in cli.run(*words, "--dry-run", cwd=root).stdout
    )
    assert "12 pairs cut (12 that were cut with other settings before)" in cli.run(*words, cwd=root).stdout
    dense = patches_of(root)
    assert set(dense["size"]) == {48}
    assert (dense[["x", "y"]] % 24 == 0).all(axis=None)
    (root / "dpedkit.toml").write_text("[patches]\nsize_px = 48\nstride_px = 24\ncount = 10\n")
    assert cli.json("build-patches", cwd=root)["cut_again"] == 12
    few = patches_of(root)
    assert set(few.groupby("alignment").size()) == {10}
    scores = ["alignment", "x", "y", "ncc", "crlb_px", "reason"]
    assert len(few[scores].merge(dense[scores])) == len(few)
    assert cli.json("build-patches", cwd=root)["done_before"] == 12
    cli.run("build-patches", "--size", 64, cwd=root)
    assert (patches_of(root)[["x", "y"]] % 64 == 0).all(axis=None)


def test_a_matched_tone_is_nearer_to_the_phones_and_recorded(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    own = patches_of(root)
    photos = pixels(root, own)
    distance = {"none": off(photos)}
    for match in ("gain", "curve"):
        assert cli.json("build-patches", "--match", match, cwd=root)["cut_again"] == 12
        patches = patches_of(root)
        assert set(patches["match"]) == {match}
        assert {len(tone["green"]) == 2 for tone in column(root, "tone")} == {match == "gain"}
        left = [name for name in own if name not in ("patch", "shard", "match")]
        order = ["alignment", "y", "x"]
        both = [frame.sort_values(order, ignore_index=True)[left] for frame in (own, patches)]
        assert both[0].equals(both[1])
        matched = pixels(root, patches)
        distance[match] = off(matched)
        assert np.array_equal(matched[:, 0][np.lexsort(keys(patches))], photos[:, 0][np.lexsort(keys(own))])
    assert distance["curve"] < distance["gain"] < 0.5 * distance["none"]
    assert set(own["match"]) == {"none"}


def test_a_pair_that_does_not_tell_its_tone_is_shown_and_loses_its_patches(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("patched")
    with open_corpus(root) as corpus:
        pair = corpus.pairs().iloc[0]
    photo = root / pair["phone_path"]
    photo.write_bytes(encode_jpeg(np.full_like(read_rgb(photo), 255)))
    told = cli.json("build-patches", "--match", "gain", cwd=root, code=3)
    words = "too little of the photos tells their tone in red"
    assert told["failures"] == {f"{pair['shot']} {pair['phone']}": words}
    assert column(root, "tone")[0] == {"refused": words}
    assert [kept > 0 for kept in column(root, "patches")] == [False] + [True] * 11
    assert cli.json("build-patches", "--match", "gain", cwd=root)["done_before"] == 12


def keys(patches: pd.DataFrame) -> list[Any]:
    return [patches["x"], patches["y"], patches["alignment"]]


def off(both: np.ndarray) -> float:
    """Return how far the patches' mean colours are from the phone's, in levels."""
    means = both.astype(float).mean(axis=(2, 3))
    return float(np.abs(means[:, 1] - means[:, 0]).mean())
