"""dpedkit query and curate: what is found is counted, decided, remembered, and taken back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine

from dpedkit.db import open_corpus

Make = Callable[[str], Path]
RULES = """
name = "sharp"
version = 1
[[rule]]
name = "all"
where = "not alignment is missing"
decide = "accept"
[[rule]]
name = "one-shot"
where = "shot like '*/0002' and phone = 'sony'"
decide = "reject"
why = "a test"
[[rule]]
name = "phone"
where = "phone = 'iphone'"
tag = "small"
"""


def test_what_a_query_finds_is_printed_and_counted(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    with open_corpus(root) as corpus:
        pairs, patches = corpus.pairs("phone = 'sony'"), corpus.patches("ncc > 0.9 and phone = 'sony'")
    answer = cli.json("query", "pairs", "--where", "phone = 'sony'", "--order", "-residual_px", cwd=root)
    assert answer["count"] == len(pairs) == 4
    residuals = [row["residual_px"] for row in answer["rows"]]
    assert residuals == sorted(pairs["residual_px"], reverse=True)
    shown = cli.run("query", "patches", "--where", "ncc > 0.9 and phone = 'sony'", "--limit", 3, cwd=root).stdout
    assert shown.splitlines()[0].split()[:3] == ["shot", "phone", "split"]
    assert shown.splitlines()[-1] == f"{len(patches)} patches, the first 3 are shown"
    text = cli.run("query", "photos", "--csv", "--columns", "device,path", "--limit", 0, cwd=root).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted({row["device"] for row in rows}) == ["blackberry", "dslr", "iphone", "sony"]
    assert all((root / row["path"]).is_file() for row in rows)
    assert cli.json("query", "pairs", "--list-columns", cwd=root)["residual_px"] == "number"


def test_a_mistake_in_a_query_is_pointed_at(cli: CommandLine, workspace: Make) -> None:
    done = cli.run("query", "pairs", "--where", "phone = 'sony' and residul_px > 1", cwd=workspace("patched"), code=2)
    error, line, caret, remedy = done.stderr.splitlines()
    assert error.startswith("error: no column 'residul_px', did you mean 'residual_px'? (character 20, after ")
    assert line[caret.index("^") :].startswith("residul_px")
    assert "--list-columns" in remedy


def test_decisions_take_patches_out_of_use_and_are_taken_back(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    words = ["curate", "--where", "phone = 'sony' and shot like '*/0001'"]
    before = cli.json("query", "patches", "--where", "used", "--limit", 1, cwd=root)["count"]
    would = cli.json(*words, "--reject", "--dry-run", cwd=root)
    assert (would["decided"], would["batch"]) == (1, 0)
    done = cli.json(*words, "--reject", "--why", "moved", "--who", "ann", cwd=root)
    with open_corpus(root) as corpus:
        (lost,) = corpus.pairs("verdict = 'reject'")["kept"]
        assert done["in_use"] == [before, before - lost]
        assert corpus.count("patches", "used") == before - lost
        assert corpus.pairs("verdict = 'reject'")[["decided_by", "decided_why"]].to_numpy().tolist() == [
            ["ann", "moved"]
        ]
    cli.run(*words, "--tag", "night", "--on", "shots", cwd=root)
    assert cli.json("query", "pairs", "--where", "shot_verdict is missing", cwd=root)["count"] == 12
    history = cli.json("curate", "--history", cwd=root)
    assert [(row["who"], row["topic"], row["verdict"]) for row in history[:1]] == [("ann", "verdict", "reject")]
    assert history[1]["topic"] == "tag:night"
    cli.run("curate", "--undo", "--batch", 1, cwd=root)
    assert cli.json("query", "patches", "--where", "used", "--limit", 1, cwd=root)["count"] == before
    assert "no batch 77" in cli.error("curate", "--undo", "--batch", 77, cwd=root, code=1)


def test_rules_are_applied_again_to_what_is_new_only(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    rules = root / "rules.toml"
    rules.write_text(RULES)
    cli.run("curate", "--where", "phone = 'blackberry' and shot like '*/0003'", "--reject", cwd=root)
    would = cli.json("curate", "--rules", rules, "--dry-run", cwd=root)
    first = cli.json("curate", "--rules", rules, cwd=root)
    assert first["rules"] == would["rules"] == {"all": 10, "one-shot": 1, "phone": 4}
    assert first["by_people"] == would["by_people"] == 1
    assert set(cli.json("curate", "--rules", rules, cwd=root)["rules"].values()) == {0}
    rules.write_text(RULES.replace("*/0002", "*/0004").replace("version = 1", "version = 2"))
    changed = cli.json("curate", "--rules", rules, cwd=root)
    assert changed["rules"] == {"all": 1, "one-shot": 1, "phone": 0}
    rules.write_text(RULES.partition('[[rule]]\nname = "one-shot"')[0].replace("not alignment", "alignment"))
    gone = cli.json("curate", "--rules", rules, cwd=root)
    assert gone["rules"]["no longer"] == 11
    with open_corpus(root) as corpus:
        assert corpus.pairs("verdict is not missing")["phone"].tolist() == ["blackberry"]
    rules.write_text(RULES.replace("phone = 'iphone'", "phone = iphone"))
    assert "no column 'iphone'" in cli.run("curate", "--rules", rules, cwd=root, code=2).stderr


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["--reject"], "--where is missing"),
        (["--where", "phone = 'sony'"], "say one thing to do"),
        (["--undo", "--history"], "say one thing to do"),
        (["--where", "phone = 'sony'", "--reject", "--tag", "x"], "say one thing to do"),
    ],
)
def test_one_thing_at_a_time(cli: CommandLine, finished: Make, words: list[str], cause: str) -> None:
    assert cause in cli.error("curate", *words, cwd=finished("patched"), code=2)
