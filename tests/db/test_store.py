"""Writing: what is written is what is read, once or twice, and a snapshot never loses a patch."""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from dpedkit.db import (
    AlignmentRecord,
    Corpus,
    LensRecord,
    PatchRecord,
    PhotoRecord,
    RunRecord,
    ScoreRecord,
    ShotRecord,
    write_shard,
)
from dpedkit.errors import CorpusError, KnownPhoto

FRAMES = ("sessions", "shots", "photos", "pairs", "lenses", "patches", "runs", "scores")


def test_writing_everything_again_changes_nothing(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=3)
    corpus.store.assign_splits(seed=0)
    before = [getattr(corpus, frame)() for frame in FRAMES]
    build.fill(shots=3)
    assert corpus.store.assign_splits(seed=1) == {}
    for frame, old in zip(FRAMES, before, strict=True):
        assert getattr(corpus, frame)().equals(old), frame


def test_an_incomplete_shot_keeps_its_photos_and_can_be_completed(build: Callable, corpus: Corpus) -> None:
    build.session()
    shot = ShotRecord("s/0001", "s", 1, status="incomplete", reason="sony did not answer")
    corpus.store.add_shot(shot, [build.photo("s/0001", "canon")])
    assert corpus.shots().loc[0, ["status", "reason"]].tolist() == ["incomplete", "sony did not answer"]
    assert corpus.counts().incomplete_shots == 1
    complete = replace(shot, status="complete", reason="", skew_ns=4_000_000, skew_bound_ns=1_000_000)
    corpus.store.add_shot(complete, [build.photo("s/0001", "sony")])
    assert corpus.shots().loc[0, ["status", "reason", "skew_ns"]].tolist() == ["complete", "", 4_000_000]
    assert corpus.photos()["device"].tolist() == ["canon", "sony"]
    corpus.store.add_photo("s/0001", replace(build.photo("s/0001", "sony"), sharpness=2.5))
    assert corpus.photos()["sharpness"].tolist()[1] == 2.5


@pytest.mark.parametrize("change", [{"sha256": "other"}, {"path": "photos/other.jpg"}, {"device": "iphone"}])
def test_a_photo_that_clashes_with_another_undoes_its_whole_shot(build: Callable, corpus: Corpus, change: dict) -> None:
    build.session()
    build.shot(1)
    clash = replace(build.photo("s/0001", "sony"), **change)
    before = corpus.photos()
    with pytest.raises(CorpusError, match="clashes with"):
        corpus.store.add_shot(ShotRecord("s/0001", "s", 1, scene="changed"), [clash])
    assert corpus.photos().equals(before)
    assert corpus.shots()["scene"].tolist() == [""]
    with pytest.raises(KnownPhoto, match="clashes with") as caught:
        corpus.store.add_shot(ShotRecord("s/0002", "s", 2), [build.photo("s/0001", "sony")])
    assert (caught.value.shot, caught.value.device) == ("s/0001", "sony")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert len(corpus.shots()) == 1


def test_a_shot_holds_every_format_of_a_device_but_one_photo_stands_for_it_in_a_pair(
    build: Callable, corpus: Corpus
) -> None:
    build.session()
    shot = build.shot(1)
    for device, ending in (("canon", "NEF"), ("sony", "dng"), ("sony", "heic")):
        path = f"photos/{shot}_{device}.{ending}"
        corpus.store.add_photo(shot, PhotoRecord(device, path, f"{device} {ending}", 10, None, None))
    photos = corpus.photos().set_index(["device", "format"])
    assert photos["picture"].to_dict() == {
        ("canon", "jpg"): True,
        ("canon", "nef"): False,
        ("iphone", "jpg"): True,
        ("sony", "dng"): False,
        ("sony", "heic"): False,
        ("sony", "jpg"): True,
    }
    assert photos.loc[[("canon", "nef")], "width"].isna().all()
    assert corpus.pairs()[["phone", "phone_path", "dslr_path"]].to_numpy().tolist() == [
        ["iphone", f"photos/{shot}_iphone.jpg", f"photos/{shot}_canon.jpg"],
        ["sony", f"photos/{shot}_sony.jpg", f"photos/{shot}_canon.jpg"],
    ]
    with pytest.raises(CorpusError, match="one photo of each device and format"):
        corpus.store.add_photo(shot, PhotoRecord("canon", "photos/another.nef", "another", 10, None, None))


def test_a_raw_file_is_the_picture_until_there_is_another_or_where_the_settings_prefer_it(
    build: Callable, corpus: Corpus, new_corpus: Callable[[], Corpus]
) -> None:
    build.session()
    raw = PhotoRecord("canon", "photos/s/0001_canon.cr2", "raw", 10, None, None)
    corpus.store.add_shot(ShotRecord("s/0001", "s", 1), [raw, build.photo("s/0001", "sony")])
    assert corpus.pairs()["dslr_sha256"].tolist() == ["raw"]
    corpus.store.add_photo("s/0001", build.photo("s/0001", "canon"))
    assert corpus.photos()["picture"].tolist() == [False, True, True]
    jpeg = corpus.pairs()["dslr_sha256"].tolist()
    assert jpeg != ["raw"]
    for prefer, wanted in (("raw", ["raw"]), ("jpeg", jpeg)):
        (corpus.root / "dpedkit.toml").write_text(f'[images]\nprefer = "{prefer}"\n')
        with new_corpus() as again:
            assert again.pairs()["dslr_sha256"].tolist() == wanted
            assert again.photos()["picture"].sum() == 2


def test_patches_of_a_photo_that_a_better_one_replaced_are_no_longer_of_use(build: Callable, corpus: Corpus) -> None:
    build.session()
    shot = "s/0001"
    heic = PhotoRecord("sony", "photos/s/0001_sony.heic", "heic", 10, 60, 40)
    corpus.store.add_shot(ShotRecord(shot, "s", 1), [build.photo(shot, "canon"), heic])
    corpus.store.add_alignment(AlignmentRecord("old", "heic", build.photo(shot, "canon").sha256, "1", "aligned"))
    build.patches("old", range(8))
    corpus.store.assign_splits(seed=0, shares={"train": 1.0, "val": 0.0, "test": 0.0})
    assert len(corpus.pair_source("sony", "train")) == 6
    corpus.store.add_photo(shot, build.photo(shot, "sony"))
    assert corpus.pairs()["phone_path"].tolist() == ["photos/s/0001_sony.jpg"]
    assert corpus.patches().empty
    build.patches(build.alignment(shot, "sony"), range(4))
    assert len(corpus.pair_source("sony", "train")) == 3


def test_a_session_and_its_shots_remember_what_they_are_told(build: Callable, corpus: Corpus) -> None:
    build.session()
    corpus.store.update_session("s", {"status": "done", "interval_s": 2.5})
    assert corpus.sessions().iloc[0].to_dict() == {
        "session": "s",
        "rig": "tripod",
        "started_ns": 1,
        "settings": {"shots": 3, "status": "done", "interval_s": 2.5},
    }
    build.shot(1)
    devices = {"sony": {"clock": {"offset_ns": -1_790_000_000_123_456_789, "bound_ns": 7}}, "canon": {}}
    shot = ShotRecord("s/0002", "s", 2, flags=("skew", "exposure sony"), devices=devices, retry_of="s/0001")
    photo = replace(
        build.photo("s/0002", "sony"), white_balance="auto", focus_m=math.inf, release_ns=1_790_000_000_123_456_788
    )
    corpus.store.add_shot(shot, [photo])
    first, second = corpus.shots()[["flags", "devices", "retry_of"]].to_numpy().tolist()
    assert first[:2] == [[], {}]
    assert math.isnan(first[2])
    assert second == [["skew", "exposure sony"], devices, "s/0001"]
    row = corpus.photos().query("shot == 's/0002'").iloc[0]
    assert row[["white_balance", "focus_m"]].tolist() == ["auto", math.inf]
    assert row["release_ns"] == 1_790_000_000_123_456_788
    with pytest.raises(CorpusError, match="no shot 's/0009'"):
        corpus.store.add_shot(replace(shot, key="s/0003", retry_of="s/0009"), [])


@pytest.mark.parametrize("path", ["/home/me/a.jpg", "photos\\a.jpg"])
def test_only_portable_relative_paths_are_stored(build: Callable, corpus: Corpus, path: str) -> None:
    build.session()
    with pytest.raises(ValueError, match="relative"):
        corpus.store.add_shot(ShotRecord("s/0001", "s", 1), [replace(build.photo("s/0001", "sony"), path=path)])


def test_what_is_not_in_the_corpus_is_named(build: Callable, corpus: Corpus) -> None:
    build.session()
    build.shot(1)
    store, photo = corpus.store, build.photo("s/0001", "sony")
    calls: dict[str, Callable[[], object]] = {
        "session 'x'": lambda: store.add_shot(ShotRecord("x/1", "x", 1), []),
        "shot 'x'": lambda: store.add_photo("x", photo),
        "device 'x'": lambda: store.add_photo("s/0001", replace(photo, device="x")),
        "photo 'x'": lambda: store.add_alignment(AlignmentRecord("k", photo.sha256, "x", "1", "failed")),
        "alignment 'x'": lambda: store.replace_patches("x", "", "", []),
        "alignment 'z'": lambda: store.judge_patches("z", "default@1#12345678", {}),
        "alignment 'y'": lambda: corpus.alignment_model("y"),
        "snapshot 'x'": lambda: store.add_run(RunRecord("r", "sony", "dped", "x")),
        "snapshot 'y'": lambda: corpus.pair_source("y"),
        "session 'z'": lambda: store.add_lens(LensRecord("z", "sony", "canon", {}, 1)),
        "device 'leica'": lambda: store.add_lens(LensRecord("s", "sony", "leica", {}, 1)),
        "session 'y'": lambda: store.update_session("y", {}),
        "run 'x'": lambda: store.update_run("x", "done"),
        "'nokia' in split 'train'": lambda: store.freeze("nokia", "train"),
    }
    for name, call in calls.items():
        with pytest.raises(CorpusError, match=name) as caught:
            call()
        assert caught.value.remedy


def test_a_new_alignment_takes_the_old_ones_place_but_not_its_frozen_patches(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=6)
    corpus.store.assign_splits(seed=0)
    snapshot = corpus.store.freeze("sony", "train")
    shot = corpus.shots().query("split == 'train'")["shot"].iloc[0]
    before = len(corpus.patches())
    new = build.alignment(shot, "sony", version="2")

    pair = corpus.pairs().query("shot == @shot and phone == 'sony'").iloc[0]
    assert (pair["alignment"], pair["version"], pair["patches"]) == (new, "2", 0)
    assert len(corpus.pairs()) == 12
    assert len(corpus.patches()) == before - 8
    assert len(corpus.pair_source(snapshot.hash)) == snapshot.patches
    assert len(corpus.pair_source("sony", "train")) == snapshot.patches - 6

    build.alignment(shot, "sony", version="1")
    assert len(corpus.patches()) == before
    assert corpus.store.freeze("sony", "train") == snapshot


def test_replaced_patches_go_but_those_a_snapshot_holds_stay_readable(build: Callable, corpus: Corpus) -> None:
    build.session()
    alignment = build.alignment(build.shot(1), "sony")
    build.patches(alignment, range(8))
    corpus.store.assign_splits(seed=0, shares={"train": 1.0, "val": 0.0, "test": 0.0})
    snapshot = corpus.store.freeze("sony", "train")
    source = corpus.pair_source(snapshot.hash)
    frozen = source.read_batch(range(len(source)))

    build.patches(alignment, range(4, 12), recipe="cut 2")  # half of them again, in another shard
    patches = corpus.patches()
    assert sorted(patches["x"]) == list(range(4, 12))
    assert patches["shard"].nunique() == 1
    assert corpus.pairs().query("phone == 'sony'").iloc[0][["patches", "kept", "patches_key"]].tolist() == [
        8,
        6,
        "cut 2",
    ]
    again = corpus.pair_source(snapshot.hash)
    assert again.content_hash == snapshot.hash
    assert all(np.array_equal(*both) for both in zip(again.read_batch(range(len(again))), frozen, strict=True))
    assert corpus.store.freeze("sony", "train").hash != snapshot.hash

    corpus.store.replace_patches(alignment, "cut 3", "", [])
    assert corpus.patches().empty
    assert len(corpus.pair_source(snapshot.hash)) == 6


def test_the_same_list_is_the_same_snapshot(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=5)
    corpus.store.assign_splits(seed=0)
    first = corpus.store.freeze("sony", "train")
    assert corpus.store.freeze("sony", "train") == first
    assert corpus.store.freeze("iphone", "train").hash != first.hash
    assert corpus.store.freeze("sony", "test").hash != first.hash
    kept = corpus.patches().query("phone == 'sony' and split == 'train' and keep")["patch"]
    assert first.patches == len(kept)
    assert first.hash == hashlib.sha256("".join(f"{key}\n" for key in sorted(kept)).encode()).hexdigest()
    assert corpus.counts().snapshots == 3


@pytest.mark.parametrize(
    ("other", "words"),
    [({"size": 8}, "several sizes: 6 px, 8 px"), ({"match": "curve"}, "several tones: curve, none")],
)
def test_patches_of_several_kinds_are_no_training_set(build: Callable, corpus: Corpus, other: dict, words: str) -> None:
    build.session()
    alignment = build.alignment(build.shot(1), "sony")
    zeros = np.zeros((2, 6, 6, 3), np.uint8)
    shard = write_shard(corpus.shard_folder, zeros, zeros)
    first = PatchRecord("a", 0, 0, 0, 6)
    corpus.store.replace_patches(alignment, "", shard, [first, replace(first, key="b", row=1, **other)])
    corpus.store.assign_splits(seed=0)
    with pytest.raises(CorpusError, match=words):
        corpus.pair_source("sony", "train")


def test_another_verdict_changes_nothing_but_which_patches_are_kept(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=2)
    corpus.store.assign_splits(seed=0, shares={"train": 1.0, "val": 0.0, "test": 0.0})
    snapshot = corpus.store.freeze("sony", "train")
    before = corpus.patches()
    alignment, other = before["alignment"].iloc[0], before["patch"].iloc[-1]
    mine = before[before["alignment"] == alignment]
    reasons = dict.fromkeys(mine["patch"][:3], "flat") | {mine["patch"].iloc[3]: "", other: "flat"}
    corpus.store.judge_patches(alignment, "strict@2#12345678", reasons)
    after = corpus.patches()
    assert after["keep"].tolist() == [False] * 3 + [True] + before["keep"].tolist()[4:]
    assert after["reason"].tolist() == ["flat"] * 3 + [""] * (len(before) - 3)
    judged = ["keep", "used", "reason", "gates"]
    assert after.drop(columns=judged).equals(before.drop(columns=judged))
    assert after["used"].equals(after["keep"])
    assert corpus.pairs().set_index("alignment")["gates"].dropna().to_dict() == {alignment: "strict@2#12345678"}
    assert len(corpus.pair_source(snapshot.hash)) == snapshot.patches


def test_numbers_of_numpy_and_nan_are_stored(build: Callable, corpus: Corpus) -> None:
    build.session()
    alignment = build.alignment(build.shot(1), "sony")
    patch = PatchRecord("k", np.int64(3), np.int32(5), 0, 6, np.float32(0.5), keep=np.bool_(False), std=math.nan)
    corpus.store.replace_patches(alignment, "", "shard", [patch])
    row = corpus.patches().iloc[0]
    assert row[["row", "x", "ncc", "keep"]].tolist() == [3, 5, 0.5, False]
    assert math.isnan(row["std"])


def test_a_session_remembers_the_newest_of_each_pair_of_lenses(build: Callable, corpus: Corpus) -> None:
    build.session()
    first = LensRecord("s", "sony", "canon", {"k": [-0.1]}, pairs=3)
    for lens in (first, replace(first, phone="iphone"), replace(first, terms={"k": [-0.12, 0.3]}, pairs=9)):
        corpus.store.add_lens(lens)
    assert corpus.lenses().to_dict("records") == [
        {"session": "s", "phone": "iphone", "dslr": "canon", "terms": {"k": [-0.1]}, "pairs": 3, "created_ns": 2},
        {"session": "s", "phone": "sony", "dslr": "canon", "terms": {"k": [-0.12, 0.3]}, "pairs": 9, "created_ns": 1},
    ]


def test_every_score_comes_back_exactly(build: Callable, corpus: Corpus) -> None:
    build.session()
    alignment = build.alignment(build.shot(1), "sony")
    names = [field.name for field in fields(PatchRecord) if field.type == "float | None"]
    scores = {name: math.pi * 10.0**power for power, name in enumerate(names, start=-len(names))}
    tone = {"red": [[0.0, 3.5], [255.0, 240.25]]}
    patch = PatchRecord("k", 0, 1, 2, 6, **scores, match="curve")
    corpus.store.replace_patches(alignment, "", "shard", [patch], gates="paper@1#12345678", tone=tone)
    assert corpus.pairs().query("phone == 'sony'")[["gates", "tone"]].to_numpy().tolist() == [
        ["paper@1#12345678", tone]
    ]
    row = corpus.patches().iloc[0]
    assert {name: row[name] for name in names} == scores
    assert (len(names), row["match"]) == (18, "curve")


def test_runs_and_scores_are_brought_up_to_date(build: Callable, corpus: Corpus) -> None:
    build.fill(shots=1)
    corpus.store.assign_splits(seed=0)
    snapshot = corpus.store.freeze("sony", "train")
    run = RunRecord("sony-small-1", "sony", "small", snapshot.hash, config={"lr": 5e-4})
    corpus.store.add_run(run)
    created = corpus.runs()["created_ns"][0]
    corpus.store.update_run(run.name, "done")
    assert corpus.runs().iloc[0].to_dict() == {
        "run": "sony-small-1",
        "phone": "sony",
        "recipe": "small",
        "snapshot_hash": snapshot.hash,
        "status": "done",
        "config": {"lr": 5e-4},
        "created_ns": created,
    }
    corpus.store.add_run(run)
    assert corpus.runs()[["status", "created_ns"]].to_numpy().tolist() == [["running", created]]

    score = ScoreRecord("phone", "sony", "test", "photos", 20.5, 0.8, math.nan, photos=2, patches=0)
    corpus.store.add_scores([score, replace(score, name=run.name)])
    corpus.store.add_scores([replace(score, psnr=21.0)])
    assert corpus.scores()[["name", "psnr"]].to_numpy().tolist() == [["phone", 21.0], ["sony-small-1", 20.5]]
    assert corpus.scores()["ms_ssim"].isna().all()
