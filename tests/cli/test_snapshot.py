"""dpedkit snapshot: made, shown, compared, trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from command_line import CommandLine

from dpedkit.db import open_corpus

Make = Callable[[str], Path]


def test_a_snapshot_is_compared_and_trained_on(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    first = cli.json("snapshot", "create", "first", cwd=root)
    with open_corpus(root) as corpus:
        used = corpus.patches("used")
        sony = used[used["phone"] == "sony"].groupby("shot").size()
        gates = corpus.pairs()["gates"].iloc[0]
    assert sum(sum(splits.values()) for splits in first["patches"].values()) == len(used)
    assert first["made"]["gates"] == [gates]
    shot = sony.index[0]
    cli.run("curate", "--where", f"phone = 'sony' and shot = '{shot}'", "--reject", cwd=root)
    cli.run("snapshot", "create", "second", "--where", "phone != 'iphone'", cwd=root)
    changed = cli.json("snapshot", "diff", "first", "second", cwd=root)
    assert changed["removed"]["sony"] == {"pair rejected": int(sony.iloc[0])}
    assert set(changed["removed"]["iphone"]) == {"not asked for"}
    assert changed["added"] == changed["moved"] == {}
    back = cli.json("snapshot", "diff", "second", "first", cwd=root)
    assert back["added"] == {phone: sum(whys.values()) for phone, whys in changed["removed"].items()}
    assert back["same"] == changed["same"] > 0
    assert [one["name"] for one in cli.json("snapshot", "list", cwd=root)] == ["first", "second"]
    shown = cli.run("snapshot", "show", "second", cwd=root).stdout
    assert "phone != 'iphone'" in shown
    assert "snapshot 'first' of other patches" in cli.error("snapshot", "create", "first", cwd=root, code=1)
    assert "no snapshot 'third'" in cli.error("snapshot", "diff", "first", "third", cwd=root, code=1)
    words = ["train", "--phone", "iphone", "--recipe", "small", "--set", "iterations=2", "--set", "eval_every=2"]
    cli.run(*words, "--snapshot", "first", cwd=root)
    with open_corpus(root) as corpus:
        assert corpus.runs()["snapshot_hash"].iloc[-1] == first["lists"]["iphone"]["train"]
    assert "no training patches of 'iphone'" in cli.error(*words, "--snapshot", "second", cwd=root, code=1)
