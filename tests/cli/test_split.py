"""dpedkit split: near-duplicates stay together, and a leak that is there is found and named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from command_line import CommandLine

from dpedkit.db import open_corpus
from dpedkit.images import encode_jpeg, read_rgb

Make = Callable[[str], Path]


def test_a_leak_is_found_and_named_and_a_new_twin_goes_where_the_first_is(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    cli.run("split", "--check", cwd=root)
    with open_corpus(root) as corpus:
        shots = corpus.shots()
        splits = dict(zip(shots["shot"], shots["split"], strict=True))
        photos = corpus.photos("picture").set_index(["shot", "device"])["path"]
    first = sorted(splits)[0]
    source = root.parent / "more"
    for device in ("dslr", "sony"):  # the same scene again: the same photos, saved anew
        (source / device).mkdir(parents=True)
        rgb = read_rgb(root / photos[first, device])
        (source / device / "twin.jpg").write_bytes(encode_jpeg(rgb[4:, 7:], quality=80))
    words = ["--pair-by", "name", "--dslr", source / "dslr", "--phone", f"sony={source / 'sony'}"]
    cli.run("import", "folder", *words, cwd=root)
    would = cli.json("split", "--dry-run", cwd=root)
    done = cli.json("split", cwd=root)
    assert done["assigned"] == would["assigned"]
    ((twin, split),) = done["assigned"].items()
    assert split == splits[first]
    assert done["groups"] == {"1": 3, "2": 1}
    assert sorted(done["largest"]) == sorted([first, twin])
    other = next(name for name in ("train", "val", "test") if name != split)
    with closing(sqlite3.connect(root / "corpus.db")) as connection:
        connection.execute(
            "UPDATE split SET split = ? WHERE shot_id = (SELECT id FROM shot WHERE key = ?)", (other, twin)
        )
        connection.commit()
    found = cli.json("split", "--check", cwd=root, code=1)
    assert [found["leaks"][0][side] for side in ("one", "other")] == sorted([first, twin])
    assert "bits differ" in found["leaks"][0]["why"]
    text = cli.run("split", "--check", cwd=root, code=1).stdout
    assert twin in text
    assert f"{len(found['leaks'])} leak" in text
    shutil.rmtree(source)
