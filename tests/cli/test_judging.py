"""dpedkit evaluate and artefacts."""

from __future__ import annotations

import csv
import gc
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lpips_files
import numpy as np
import pytest
from command_line import CommandLine
from judged_corpus import JUDGED, dslr_of, photos_of, scored
from PIL import Image

from dpedkit.db import open_corpus
from dpedkit.images import read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.artefacts import find_artefacts
from dpedkit.train.lpips import load_lpips
from dpedkit.train.metrics import ms_ssim, psnr, ssim
from dpedkit.workspace import find_workspace

Stages = Callable[[str], Path]


def test_table_json_and_csv_agree(cli: CommandLine, judged: Path, tmp_path: Path) -> None:
    report = cli.json("evaluate", "--csv", tmp_path / "scores.csv", cwd=judged)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        written = list(csv.DictReader(stream))
    heading, _, *lines = cli.run("evaluate", cwd=judged).stdout.splitlines()
    patches = report["scores"][0]["patches"]
    assert heading == f"sony: {JUDGED} photos, {patches} patches"
    assert [score["name"] for score in report["scores"]] == [
        "phone",
        "gain and offset",
        "matrix and curve",
        "sony-small",
    ]
    for score, row, line in zip(report["scores"], written, lines, strict=False):
        assert (row["phone"], row["method"]) == (score["phone"], score["name"])
        assert line.startswith(score["name"])
        assert max(len(line) for line in lines[: len(written)]) <= 100
        for metric, digits in (("psnr", 2), ("ssim", 4), ("ms_ssim", 4)):
            estimate = score["estimates"][metric]
            assert float(row[metric]) == score[metric] == estimate["value"]
            assert (float(row[f"{metric}_low"]), float(row[f"{metric}_high"])) == (estimate["low"], estimate["high"])
            assert estimate["low"] < estimate["value"] < estimate["high"]
            half = (estimate["high"] - estimate["low"]) / 2
            assert f"  {score[metric]:.{digits}f} ±{half:.{digits}f}" in line
        for other in ("over_phone", "over_baseline"):
            if score[other]:
                assert float(row[f"psnr_{other}"]) == score[other]["psnr"]["value"]
                assert f"  {score[other]['psnr']['value']:+.2f} ±" in line
        assert (int(row["photos"]), int(row["of_photos"]), int(row["patches"])) == (JUDGED, JUDGED, patches)
    with open_corpus(judged) as corpus:
        stored = corpus.scores()
    stored = stored[stored["protocol"] == "patches"]
    assert {name: value for name, value in zip(stored["name"], stored["psnr"], strict=True) if name != "copies"} == {
        score["name"]: score["psnr"] for score in report["scores"]
    }


def test_scores_and_differences_are_what_the_pixels_say(judged: Path) -> None:
    scores = scored(judged, protocol="photos", against="sony-small")
    with open_corpus(judged) as corpus:
        pairs = corpus.pair_source("sony", "test")
        phone, dslr = pairs.read_batch(np.arange(len(pairs)))
    own = scores["phone"]
    assert own["patches"] == len(pairs)
    for metric, function in (("psnr", psnr), ("ssim", ssim), ("ms_ssim", ms_ssim)):
        assert own[metric] == pytest.approx(np.mean([function(a, b) for a, b in zip(phone, dslr, strict=True)]))
    assert own["psnr_authors"] == pytest.approx(psnr(phone, dslr), abs=0.2)  # pooled, but for the last five patches
    run = scores["sony-small"]
    assert run["over_phone"]["psnr"]["value"] == pytest.approx(run["psnr"] - own["psnr"])
    best = scores["matrix and curve"]
    assert run["over_baseline"]["psnr"]["value"] == pytest.approx(run["psnr"] - best["psnr"])
    assert own["over_phone"] == own["over_baseline"] == own["over_run"] == best["over_baseline"] == {}
    assert run["over_run"] == best["over_run"] == {}
    gain = scores["gain and offset"]["over_baseline"]["psnr"]  # both fail on the same photos: only the pair tells
    assert gain["high"] - gain["low"] < 0.2 * (best["estimates"]["psnr"]["high"] - best["estimates"]["psnr"]["low"])


def test_a_run_that_is_not_there_is_refused(cli: CommandLine, judged: Path) -> None:
    assert "no run 'sony-smal'" in cli.error("evaluate", "--run", "sony-smal", cwd=judged, code=2)


def test_lpips_is_measured_where_its_weights_are_given(cli: CommandLine, judged: Path, tmp_path: Path) -> None:
    files = lpips_files.write(tmp_path)
    words = ["evaluate", "--device", "cpu", "--lpips", *files, "--csv", tmp_path / "scores.csv"]
    _, columns, *lines = cli.run(*words, cwd=judged).stdout.splitlines()
    assert columns.split()[:5] == ["method", "PSNR", "SSIM", "MS-SSIM", "LPIPS"]
    assert "LPIPS 0.1 with AlexNet (alexnet.pth " in lines[-1]
    with open_corpus(judged) as corpus:
        pairs = corpus.pair_source("sony", "test")
        phone, dslr = pairs.read_batch(np.arange(len(pairs)))
    own = scored(judged, lpips=files)["phone"]["estimates"]["lpips"]
    assert own["value"] == pytest.approx(load_lpips(*files).measure(phone, dslr).mean(), rel=1e-5)
    assert own["low"] < own["value"] < own["high"]
    with (tmp_path / "scores.csv").open(newline="") as stream:
        assert float(next(csv.DictReader(stream))["lpips"]) == own["value"]
    assert f"  {own['value']:.3f} ±" in lines[0]


def test_what_a_person_rejected_is_not_scored(judged: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(judged, tmp_path / "ws"))
    before = scored(root)["phone"]
    shot = next(iter(before["by_photo"]))
    with open_corpus(root) as corpus:
        corpus.store.decide("shot", {shot: "reject"}, who="me")
    after = scored(root)["phone"]
    assert set(after["by_photo"]) == set(before["by_photo"]) - {shot}
    assert after["patches"] < before["patches"]


def test_no_more_than_one_photo_is_in_memory(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Any]] = []

    def watched(path: Path, **options: Any) -> Any:
        gc.collect()
        if "_sony" in path.name:
            assert [photo for photo in alive if photo() is not None] == []
        rgb = read_rgb(path, **options)
        alive.append(weakref.ref(rgb))
        return rgb

    monkeypatch.setattr("dpedkit.stages.held_out.read_rgb", watched)
    scored(judged, protocol="photos")
    assert len(alive) == JUDGED
    find_artefacts(find_workspace(judged), phones=[], split="test", device="cpu", progress=Silent())
    assert len(alive) == 3 * JUDGED  # and the DSLR's


def test_artefacts_that_were_made_on_purpose_are_found_where_they_are(
    cli: CommandLine, judged: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    random = np.random.default_rng(0)
    photos = photos_of(judged)
    for index, photo in enumerate(photos):
        rgb = read_rgb(dslr_of(photo)).astype(np.float64)
        if index == 2:
            rgb[100:150, 200:250] += (25, 0, -25)
        if index == 4:
            rgb = rgb.mean(axis=(0, 1)) + 1.6 * (rgb - rgb.mean(axis=(0, 1)))
        if index == 5:
            rgb += random.normal(0, 12, rgb.shape)
        Image.fromarray(np.clip(np.rint(rgb), 0, 255).astype(np.uint8)).save(folder / photo.name)
    report = cli.json("artefacts", "--external", f"made={folder}", "--device", "cpu", cwd=judged)
    made = next(each for each in report["methods"] if each["method"] == "made")
    with open_corpus(judged) as corpus:
        shots = corpus.photos("split = 'test' and role = 'phone'")["shot"].tolist()
    by_shot = {each["shot"]: each["numbers"] for each in report["by_photo"] if each["method"] == "made"}
    assert made["worst"]["contrast"]["shot"] == shots[4]
    assert made["worst"]["contrast"]["value"] == pytest.approx(1.6, abs=0.1)
    assert made["worst"]["noise"]["shot"] == shots[5]
    untouched = [by_shot[shots[index]]["colour_dslr"] for index in (0, 1, 3, 6)]
    assert untouched == [0, 0, 0, 0]
    spot = next(each for each in report["by_photo"] if (each["method"], each["shot"]) == ("made", shots[2]))
    x, y = spot["at"]["colour"]
    assert 200 <= x < 250
    assert 100 <= y < 150
    assert made["means"]["colour_dslr"]["value"] == pytest.approx(
        np.mean([each["colour_dslr"] for each in by_shot.values()])
    )
    assert made["photos"] == JUDGED
    lines = cli.run(
        "artefacts", "--photos", "3", "--run", "sony-small", "--device", "cpu", cwd=judged
    ).stdout.splitlines()
    assert lines[0] == f"sony: 3 of {JUDGED} photos"
    assert max(map(len, lines[:6])) <= 100
