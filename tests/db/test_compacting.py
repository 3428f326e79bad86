"""Shards written anew: every patch keeps its pixels, what is of no use goes, and a kill at any step loses nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dpedkit.db import Corpus, open_shard, using_shards, write_shard
from dpedkit.db.checking import read_index
from dpedkit.errors import StorageError
from dpedkit.executor import Workers
from dpedkit.progress import Silent
from dpedkit.stages import compacting
from dpedkit.stages.checking import check_files
from dpedkit.stages.compacting import CompactReport
from dpedkit.workspace import Settings, Workspace

PAIR_BYTES = 2 * 6 * 6 * 3


def compact(root: Path, database: str, *, dry_run: bool = False, full: int = 20 * PAIR_BYTES) -> CompactReport:
    workspace = Workspace(root, Settings(database=database))
    return compacting.compact(workspace, dry_run=dry_run, progress=Silent(), full_bytes=full)


def damaged(root: Path, database: str) -> list[str]:
    """What fsck says, but for the photos, which this corpus does not have."""
    workspace = Workspace(root, Settings(database=database))
    report = check_files(workspace, quick=False, repair=False, workers=Workers(1), progress=Silent())
    return [fault.what for fault in report.damage if not fault.what.startswith("photos/")]


def named_shards(root: Path, database: str) -> set[str]:
    return {name for name, rows in read_index(root, database).shards.items() if rows}


def files(corpus: Corpus) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in corpus.shard_folder.glob("*.npy")}


@pytest.fixture
def used(build: Any, corpus: Corpus) -> Corpus:
    """Six shots of two phones; cut again in part, aligned again in part, rejected in part, and frozen before that."""
    build.fill(shots=6)
    corpus.store.assign_splits(seed=0)
    corpus.store.name_snapshot("first", {})
    for number in (1, 2):
        build.patches(build.alignment(f"s/{number:04d}", "sony"), range(4, 12), "cut 2")
    build.patches(build.alignment("s/0003", "sony", "2"), range(3))  # of the first alignment, the snapshot holds six
    later = build.alignment(build.shot(7), "sony")
    build.patches(later, range(8))
    build.patches(later, range(6, 10), "cut 2")  # what no snapshot holds is gone
    build.patches(build.alignment("s/0007", "iphone"), range(8))
    build.patches(build.alignment("s/0007", "iphone", "2"), range(3))
    rejected = corpus.patches()["patch"].tolist()[::5]
    corpus.store.decide("patch", dict.fromkeys(rejected, "reject"), who="me")
    return corpus


def check_pixels(corpus: Corpus, build: Any) -> int:
    """Compare all patches of the index and of all snapshots with what was cut; return how many lie in shards."""
    patches = corpus.patches()
    for row in patches.itertuples():
        pair = open_shard(corpus.shard_folder, row.shard)[row.row]
        assert pair.tobytes() == b"".join(side.tobytes() for side in build.pixels[row.patch])
    listed = corpus.snapshot_patches("first")
    for part in corpus.snapshots().itertuples():
        source = corpus.pair_source(part.list)
        keys = listed["patch"][(listed["phone"] == part.phone) & (listed["split"] == part.split)]
        for index, key in enumerate(keys):
            assert all((one == other).all() for one, other in zip(source[index], build.pixels[key], strict=True))
    return len(patches)


def test_every_patch_keeps_its_pixels_and_the_rest_is_freed(
    used: Corpus, build: Any, tmp_path: Path, database: str
) -> None:
    before, known = files(used), used.patches().drop(columns=["shard", "row"])
    foreseen = compact(tmp_path, database, dry_run=True)
    assert files(used) == before
    assert used.patches().drop(columns=["shard", "row"]).equals(known)
    done = compact(tmp_path, database)
    assert done == foreseen
    after = files(used)
    assert done.forgotten == 8 + 2
    assert done.shards_after == len(after) < len(before) / 1.5
    assert done.freed_bytes == sum(map(len, before.values())) - sum(map(len, after.values())) > 0
    assert check_pixels(used, build) == len(known)
    assert used.patches().drop(columns=["shard", "row"]).equals(known)
    assert all(len(data) <= 20 * PAIR_BYTES + 128 for data in after.values())
    frozen = set(used.snapshot_patches("first")["patch"]) - set(known["patch"])
    assert sum(len(data) - 128 for data in after.values()) == (len(known) + len(frozen)) * PAIR_BYTES
    assert damaged(tmp_path, database) == []
    again = compact(tmp_path, database)
    assert (again.rows, again.freed_bytes, again.forgotten, files(used)) == (0, 0, 0, after)


def die_after(root: Path, database: str, step: str, calls: int) -> None:
    """Compact in a process that is killed after some calls of a step."""
    owner = compacting.ShardRows if hasattr(compacting.ShardRows, step) else compacting
    real, left = getattr(owner, step), iter(range(calls - 1))

    def call(*arguments: Any) -> Any:
        value = real(*arguments)
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    with mock.patch.object(owner, step, call):
        compact(root, database)


@pytest.mark.parametrize(("step", "calls"), [("forget", 1), ("write_shard", 2), ("move", 2)])
def test_killed_at_any_step_it_loses_nothing_and_goes_on(
    used: Corpus, build: Any, tmp_path: Path, database: str, step: str, calls: int
) -> None:
    victim = multiprocessing.get_context("spawn").Process(target=die_after, args=(tmp_path, database, step, calls))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    known = check_pixels(used, build)
    assert damaged(tmp_path, database) == []
    (used.shard_folder / f".{'0' * 64}.npy.99999.part").write_bytes(b"half")
    compact(tmp_path, database)
    assert check_pixels(used, build) == known
    assert {path.name for path in used.shard_folder.iterdir()} == {".lock", *named_shards(tmp_path, database)}
    assert compact(tmp_path, database).rows == 0


def test_while_shards_are_used_they_stay_where_they_are(used: Corpus, tmp_path: Path, database: str) -> None:
    before = files(used)
    with using_shards(used.shard_folder), using_shards(used.shard_folder):
        with pytest.raises(StorageError, match="another process is using the shards"):
            compact(tmp_path, database)
        assert compact(tmp_path, database, dry_run=True).rows
    assert files(used) == before
    compact(tmp_path, database)


def test_damage_is_not_called_sound(used: Corpus, build: Any, tmp_path: Path, database: str) -> None:
    flipped, gone = sorted(set(used.patches("shot in ('s/0004', 's/0005')")["shard"]))[:2]
    data = bytearray((used.shard_folder / flipped).read_bytes())
    data[-1] ^= 1
    (used.shard_folder / flipped).write_bytes(data)
    (used.shard_folder / gone).unlink()
    assert set(compact(tmp_path, database).skipped) == {flipped, gone}
    assert (used.shard_folder / flipped).read_bytes() == data
    assert sorted(damaged(tmp_path, database)) == sorted([f"patches/{flipped}", f"patches/{gone}"])
    other = write_shard(used.shard_folder, *(side[None] for side in next(iter(build.pixels.values()))))
    (used.shard_folder / "mine.npy").write_bytes(b"mine")
    compact(tmp_path, database)
    assert not (used.shard_folder / other).exists()
    assert (used.shard_folder / "mine.npy").exists()


def test_an_alignment_that_comes_back_is_cut_again(used: Corpus, build: Any, tmp_path: Path, database: str) -> None:
    compact(tmp_path, database)
    build.alignment("s/0007", "iphone", "1")
    assert used.pairs("shot = 's/0007' and phone = 'iphone'")["patches_key"].isna().all()
