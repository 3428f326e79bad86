"""Reading: documented columns of fixed types, exact values, honest counts."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd
import pytest

from dpedkit.db import AlignmentRecord, Corpus, Counts, DeviceRecord, SessionRecord, ShotRecord
from dpedkit.db.corpus import open_corpus

FRAMES = ("sessions", "shots", "photos", "pairs", "lenses", "patches", "runs", "scores")


@pytest.mark.parametrize("frame", FRAMES)
def test_columns_are_as_documented_and_their_types_do_not_depend_on_the_data(
    build: Callable, corpus: Corpus, frame: str
) -> None:
    empty = getattr(corpus, frame)()
    build.fill(shots=2)
    full = getattr(corpus, frame)()
    assert empty.dtypes.equals(full.dtypes)
    columns = re.sub(r"\(.*?\)", "", str(getattr(Corpus, frame).__doc__).split("\n\n")[1].replace("\n", " "))
    documented = [word for word in columns.split() if word.rstrip("?") in full]
    assert [word.rstrip("?") for word in documented] == list(full)
    assert {word.rstrip("?") for word in documented if word.endswith("?")} == set(full.columns[full.dtypes == "Int64"])


def test_values_come_back_exactly(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=2)
    photo = corpus.photos().query("shot == 's/0002' and device == 'sony'").iloc[0]
    wrote = build.photo("s/0002", "sony")
    assert photo["shutter_ns"] == 1_790_000_000_123_456_789
    assert (photo["path"], photo["sha256"], photo["role"]) == (wrote.path, wrote.sha256, "phone")
    pair = corpus.pairs().iloc[0]
    assert pair[["shot", "phone", "dslr", "residual_px", "inliers"]].tolist() == ["s/0001", "iphone", "canon", 0.25, 90]
    assert corpus.alignment_model(pair["alignment"]) == {"h": [1.5]}
    patch = corpus.patches().query("x == 3").iloc[0]
    assert patch[["size", "ncc", "keep", "row", "shot", "phone"]].tolist() == [6, 0.9, False, 3, "s/0001", "iphone"]


def test_patches_are_in_the_order_of_their_pixels(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=4)
    patches = corpus.patches()
    assert patches.equals(patches.sort_values(["shot", "phone", "shard", "row"], ignore_index=True))
    assert len(patches) == 4 * 2 * 8
    assert pd.unique(patches["patch"]).size == len(patches)


def test_pairs_name_what_still_has_to_be_done(build: Callable, corpus: Corpus) -> None:
    build.session()
    done, refused, new = build.shot(1), build.shot(2), build.shot(3)
    build.patches(build.alignment(done, "sony"), range(4))
    photos = build.photo(refused, "sony").sha256, build.photo(refused, "canon").sha256
    corpus.store.add_alignment(AlignmentRecord("refused", *photos, "1", "rejected", "mirrored"))
    pairs = corpus.pairs().query("phone == 'sony'").set_index("shot")
    assert pairs["status"].to_dict() == {done: "aligned", refused: "rejected", new: "new"}
    assert pairs.loc[refused, "reason"] == "mirrored"
    assert pairs["patches"].tolist() == [4, 0, 0]
    assert pairs["alignment"].isna().tolist() == [False, False, True]


def test_counts_are_those_of_the_rows(build: Callable, corpus: Corpus) -> None:
    assert corpus.counts() == Counts(0, 0, 0, {}, {}, 0, 0, {}, 0, 0)
    build.fill(shots=4)
    build.shot(5)
    corpus.store.assign_splits(seed=0)
    assert corpus.counts() == Counts(
        sessions=1,
        shots=5,
        incomplete_shots=0,
        photos={"canon": 5, "iphone": 5, "sony": 5},
        pairs={"aligned": 8, "new": 2},
        patches=64,
        kept_patches=48,
        splits={"test": 1, "train": 3, "val": 1},
        snapshots=0,
        runs=0,
    )


def test_text_is_in_the_order_of_its_code_points_in_every_database(corpus: Corpus) -> None:
    names = ["B 2", "a-1", "a_1", "a1", "Z", "é", "e"]
    corpus.store.add_session(SessionRecord("s", "tripod", 1), [DeviceRecord("canon", "dslr")])
    for number, name in enumerate(names):
        corpus.store.add_shot(ShotRecord(name, "s", number), [])
    assert list(corpus.shots()["shot"]) == sorted(names)


def test_a_workspace_can_be_moved(build: Callable, corpus: Corpus, database: str) -> None:
    build.fill(shots=1)
    corpus.store.assign_splits(seed=0)
    corpus.close()
    with open_corpus(corpus.root.rename(corpus.root.with_name(f"{corpus.root.name} moved")), database) as moved:
        assert len(moved.pair_source("sony", "train")) == 6
