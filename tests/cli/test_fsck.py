"""dpedkit fsck: every damaged file is named, what can be made again is, and nothing is deleted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from command_line import CommandLine, shards, wait_until
from damages import damage_and_find

from dpedkit.db import open_corpus
from dpedkit.files import sha256_file

Make = Callable[[str], Path]
_OLD_S = 7200


def age(path: Path) -> None:
    then_s = path.stat().st_mtime - _OLD_S
    os.utime(path, (then_s, then_s))


def test_every_flip_deletion_and_cut_is_found(workspace: Make) -> None:
    root = workspace("patched")
    kinds = {damage_and_find(root, seed).partition(" ")[0] for seed in range(20)}
    assert kinds == {"flip", "delete", "cut"}


def test_what_can_be_made_again_is_and_the_rest_says_what_to_restore(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    assert cli.json("fsck", cwd=root)["faults"] == []
    before = shards(root)
    flipped, deleted = sorted(before)[:2]
    data = bytearray((root / "patches" / flipped).read_bytes())
    data[-1] ^= 1
    (root / "patches" / flipped).write_bytes(data)
    (root / "patches" / deleted).unlink()
    unused, half = root / "patches" / f"{'0' * 64}.npy", root / "patches" / ".x.npy.999999999.part"
    orphan = next((root / "photos").iterdir()) / "0099_sony.jpg"
    for stray in (unused, half, root / "patches" / "young.npy", orphan, orphan.with_name("young.jpg")):
        stray.write_bytes(b"stray")
    age(orphan)
    age(unused)
    age(half)

    found = {fault["what"]: fault["kind"] for fault in cli.json("fsck", "--quick", cwd=root, code=1)["faults"]}
    assert found == {
        f"patches/{deleted}": "missing",
        f"patches/{unused.name}": "unused",
        f"patches/{half.name}": "leftover",
        orphan.relative_to(root).as_posix(): "orphan",
    }
    report = cli.json("fsck", "--repair", cwd=root)
    assert {fault["what"] for fault in report["faults"]} == found.keys() | {f"patches/{flipped}"}
    assert {name: digest for name, digest in shards(root).items() if name != "young.npy"} == before
    assert (root / "lost+found" / "patches" / flipped).read_bytes() == data
    assert (root / "lost+found" / "patches" / unused.name).read_bytes() == b"stray"
    orphan.unlink()  # left where it was
    assert cli.json("fsck", cwd=root)["faults"] == []


def test_what_is_lost_says_what_to_restore_and_keeps_what_is_left(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    with open_corpus(root) as corpus:
        pair = corpus.pairs("phone = 'sony'").iloc[0]
    photo, shard = root / pair["phone_path"], root / "patches" / pair["shard"]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    sha256 = sha256_file(photo)
    photo.unlink()
    report = cli.json("fsck", "--repair", cwd=root, code=1)
    assert report["damage"] == 2
    remedies = {fault["what"]: fault["remedy"] for fault in report["faults"]}
    assert remedies[pair["phone_path"]] == f"restore it from your backup (sha256 {sha256})"
    assert shard.read_bytes() == data, "a shard that cannot be cut again is still better than none"


def test_rows_that_point_nowhere_are_named(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    with closing(sqlite3.connect(root / "corpus.db")) as database:
        database.execute("UPDATE patch SET shard_id = 999 WHERE id = 1")
        database.execute("UPDATE patch SET row = 100000 WHERE id = 2")
        database.commit()
    faults = cli.json("fsck", cwd=root, code=1)["faults"]
    assert [fault["found"] for fault in faults if fault["kind"] == "index"] == [
        "row 1 of patch names a row of shard that is not there"
    ]
    assert ["not 100001" in fault["found"] for fault in faults if fault["kind"] == "size"] == [True]


def test_compacting_puts_shards_together_but_takes_none_from_a_training(cli: CommandLine, workspace: Make) -> None:
    root = workspace("patched")
    with open_corpus(root) as corpus:
        pixels = corpus.pair_source("iphone", "train").read_batch([0, 5])
    before = shards(root)
    foreseen = cli.json("compact", "--dry-run", cwd=root)
    assert shards(root) == before
    words = ["train", "--phone", "iphone", "--recipe", "small", "--set", "iterations=100000", "--device", "cpu"]
    training = cli.start(*words, cwd=root)
    try:
        wait_until(lambda: (root / "runs").exists() and any((root / "runs").iterdir()), 120)
        assert "another process is using the shards" in cli.error("compact", cwd=root, code=1)
    finally:
        training.kill()
        training.communicate()
    assert shards(root) == before
    assert cli.json("compact", cwd=root) == foreseen
    assert len(shards(root)) == 1 < len(before)
    with open_corpus(root) as corpus:
        again = corpus.pair_source("iphone", "train").read_batch([0, 5])
    assert [side.tobytes() for side in again] == [side.tobytes() for side in pixels]
    assert cli.json("fsck", cwd=root)["faults"] == []
