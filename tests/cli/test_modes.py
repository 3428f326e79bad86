"""Both modes on the same photos, through the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from command_line import CommandLine

from dpedkit.db import open_corpus

Stages = Callable[[str], Path]


def test_the_table_compares_both_modes_and_stores_nothing(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("captured")
    report = cli.json("align", "--compare-modes", "--limit", 3, cwd=root)
    assert [(row["phone"], row["mode"]) for row in report["rows"]][-2:] == [("all", "field"), ("all", "paper")]
    field, paper = report["rows"][-2:]
    assert field["aligned"] == paper["aligned"] == 3
    assert field["kept"] > 20
    assert paper["kept"] > 20
    assert field["off_px"] < 0.1 < paper["off_px"]
    assert field["misplaced"] < 0.02
    assert not report["failures"]
    with open_corpus(root) as corpus:
        assert set(corpus.pairs()["status"]) == {"new"}
    text = cli.run("align", "--compare-modes", "--limit", 1, cwd=root).stdout
    assert "by phase correlation" in text


def test_a_corpus_can_be_built_as_published_and_the_other_way_again(cli: CommandLine, workspace: Stages) -> None:
    root = workspace("captured")
    assert "12 aligned" in cli.run("align", "--mode", "paper", cwd=root).stdout
    assert "12 done before" in cli.run("align", "--mode", "paper", cwd=root).stdout
    with open_corpus(root) as corpus:
        assert set(corpus.pairs()["mode"]) == {"paper"}
        assert corpus.lenses().empty
    assert cli.error("build-patches", "--size", 64, "--stride", 32, cwd=root, code=2).startswith(
        "error: patches of 64 px"
    )
    built = cli.json("build-patches", "--size", 64, "--gates", "paper", cwd=root)
    assert built["kept"] > 50
    assert "12 aligned" in cli.run("align", cwd=root).stdout
    with open_corpus(root) as corpus:
        pairs = corpus.pairs()
    assert set(pairs["mode"]) == {"field"}
    assert pairs["patches_key"].isna().all()


def test_a_limit_alone_is_wrong_usage(cli: CommandLine, workspace: Stages) -> None:
    assert "--limit goes with --compare-modes" in cli.error("align", "--limit", 3, cwd=workspace("captured"), code=2)
