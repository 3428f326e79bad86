"""Named snapshots: the same content has the same hash, nothing changes them, and what left them is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpedkit.db import Corpus, PatchRecord
from dpedkit.errors import CorpusError, QueryError


@pytest.fixture
def filled(build: Callable, corpus: Corpus) -> Corpus:
    build.fill(shots=8)
    corpus.store.assign_splits(seed=0)
    return corpus


def test_a_snapshot_holds_what_is_in_use_by_phone_and_split(filled: Corpus) -> None:
    parts = filled.store.name_snapshot("first", {"dpedkit": "1"})
    used = filled.patches("used")
    held = filled.snapshot_patches("first")
    assert set(held["patch"]) == set(used["patch"])
    by_key = used.set_index("patch")
    for part in parts:
        mine = held[(held["phone"] == part.phone) & (held["split"] == part.split)]["patch"]
        assert len(mine) == part.patches == len(filled.pair_source(part.hash))
        assert set(by_key.loc[mine, "phone"]) == {part.phone}
        assert set(by_key.loc[mine, "split"]) == {part.split}
    frame = filled.snapshots()
    assert frame["patches"].sum() == len(used)
    assert frame["made"].iloc[0]["dpedkit"] == "1"


def test_the_same_content_has_the_same_hash_and_a_name_is_taken_once(filled: Corpus) -> None:
    filled.store.name_snapshot("a", {})
    filled.store.name_snapshot("b", {}, where="x >= 0")
    before = filled.snapshots()
    filled.store.name_snapshot("a", {"dpedkit": "2"})  # asked for again: it is there
    assert filled.snapshots().equals(before)
    filled.store.decide("patch", {filled.patches("used")["patch"].iloc[0]: "reject"}, who="ann")
    filled.store.name_snapshot("c", {})
    hashes = filled.snapshots().drop_duplicates("snapshot").set_index("snapshot")["hash"]
    assert hashes["a"] == hashes["b"] != hashes["c"]
    with pytest.raises(CorpusError, match="snapshot 'a' of other patches"):
        filled.store.name_snapshot("a", {})
    with pytest.raises(QueryError):
        filled.store.name_snapshot("d", {}, where="nonsense = 1")
    with pytest.raises(CorpusError, match="no patches in use"):
        filled.store.name_snapshot("d", {}, where="x > 1000")
    assert set(filled.snapshots()["snapshot"]) == {"a", "b", "c"}


def test_a_query_and_phones_narrow_it(filled: Corpus) -> None:
    filled.store.name_snapshot("few", {}, where="x < 2", phones=["sony"])
    wanted = filled.patches("used and x < 2 and phone = 'sony'")
    assert set(filled.snapshot_patches("few")["patch"]) == set(wanted["patch"])
    assert filled.snapshots()["made"].iloc[0]["where"] == "x < 2"


def test_nothing_that_comes_later_changes_a_snapshot(filled: Corpus, build: Callable) -> None:
    filled.store.name_snapshot("first", {})
    before = filled.snapshot_patches("first")["patch"].tolist()
    pixels = {part: filled.pair_source(part).read_batch([0])[0].tobytes() for part in filled.snapshots()["list"]}
    alignment = filled.pairs("phone = 'sony'")["alignment"].iloc[0]
    filled.store.replace_patches(alignment, "cut 2", "", [])
    filled.store.judge_patches(filled.pairs("phone = 'iphone'")["alignment"].iloc[0], "g@2#1", {before[0]: "flat"})
    filled.store.decide("shot", {"s/0003": "reject"}, who="ann")
    assert filled.snapshot_patches("first")["patch"].tolist() == before
    assert {part: filled.pair_source(part).read_batch([0])[0].tobytes() for part in pixels} == pixels
    with pytest.raises(CorpusError, match="no snapshot 'other'"):
        filled.snapshot_patches("other")


def test_patches_that_come_make_another_hash(filled: Corpus, build: Callable) -> None:
    filled.store.name_snapshot("first", {})
    alignment = filled.pairs("phone = 'sony'")["alignment"].iloc[0]
    shard = filled.patches(f"alignment = '{alignment}'")["shard"].iloc[0]
    rows = filled.patches(f"alignment = '{alignment}'")
    kept = [PatchRecord(row.patch, row.row, row.x, row.y, row.size, keep=True) for row in rows.itertuples()]
    filled.store.replace_patches(alignment, "cut 1", shard, kept)
    filled.store.name_snapshot("second", {})
    hashes = filled.snapshots().drop_duplicates("snapshot").set_index("snapshot")["hash"]
    assert hashes["first"] != hashes["second"]
    assert len(filled.snapshot_patches("second")) == len(filled.snapshot_patches("first")) + 2
