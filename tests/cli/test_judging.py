"""dpedkit evaluate and artefacts."""

from __future__ import annotations

import csv
import gc
import re
import shutil
import weakref
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_files
import torch
from command_line import CommandLine
from judged_corpus import JUDGED
from PIL import Image

from dpedkit.db import open_corpus
from dpedkit.images import read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.artefacts import find_artefacts
from dpedkit.stages.evaluate import evaluate
from dpedkit.train import enhance
from dpedkit.train.metrics import ms_ssim, psnr, ssim
from dpedkit.train.networks import Generator
from dpedkit.workspace import find_workspace

Stages = Callable[[str], Path]


def photos_of(root: Path, split: str = "test") -> list[Path]:
    with open_corpus(root) as corpus:
        photos = corpus.photos(f"split = '{split}' and role = 'phone'")
    return [root / path for path in photos["path"]]


def dslr_of(photo: Path) -> Path:
    return photo.with_name(photo.name.replace("_sony", "_dslr"))


def scores_of(report: Any) -> dict[str, Any]:
    return {score["name"]: score for score in report["scores"]}


def scored(root: Path, **options: Any) -> dict[str, Any]:
    """`dpedkit evaluate --json` in this process: name -> score."""
    asked = {"phones": [], "split": "test", "protocol": "patches", "device": "cpu", "progress": Silent()}
    return scores_of(asdict(evaluate(find_workspace(root), **(asked | options))))


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


def test_pictures_made_elsewhere_are_scored_as_if_made_here(judged: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    for index, photo in enumerate(photos_of(judged)):  # half of them below their session's folder, half beside it
        target = folder / ("" if index % 2 else photo.parent.name) / f"{photo.stem}.tif"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(read_rgb(photo)).save(target)
    for protocol in ("patches", "photos"):
        scores = scored(judged, externals=[("copies", folder)], protocol=protocol, against="sony-small")
        assert scores["copies"]["kind"] == "external"
        for key in ("psnr", "ssim", "ms_ssim", "photos", "patches", "estimates", "by_photo"):
            assert scores["copies"][key] == scores["phone"][key]
        assert scores["copies"]["over_phone"]["psnr"] == {"value": 0, "low": 0, "high": 0}
        over_run, over_phone = scores["copies"]["over_run"]["psnr"], scores["sony-small"]["over_phone"]["psnr"]
        assert (over_run["value"], over_run["low"]) == pytest.approx((-over_phone["value"], -over_phone["high"]))


def test_an_imported_model_is_judged_by_its_name(cli: CommandLine, judged: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(judged, tmp_path / "ws"))
    generator = Generator(width=2, blocks=1, rng=torch.Generator().manual_seed(3))
    checkpoint = tf_files.write(tmp_path / "nokia_orig", tf_files.authors_tensors(generator))
    cli.run("import-weights", checkpoint, cwd=root)
    enhanced = tmp_path / "enhanced"
    for photo in photos_of(root):
        target = enhanced / photo.parent.name / f"{photo.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(enhance(generator, read_rgb(photo))).save(target)
    words = ["evaluate", "--run", "nokia_orig", "--external", f"same={enhanced}", "--protocol", "photos"]
    scores = scores_of(cli.json(*words, cwd=root))
    model = scores["nokia_orig"]
    assert (model["kind"], model["recipe"], model["note"]) == ("run", "dped", "weights that the authors' code saved")
    assert model["by_photo"] == scores["same"]["by_photo"]
    assert model["published"]["method"] == "DPED"
    assert "sony-small" not in scores
    assert "nokia_orig" not in scores_of(cli.json("evaluate", cwd=root))  # of every phone, so only where it is named
    told = cli.error("evaluate", "--run", "nokia", cwd=root, code=2)
    assert "runs: sony-small, nokia_orig" in told


def test_each_picture_that_cannot_be_scored_is_named_and_the_others_are(
    cli: CommandLine, judged: Path, tmp_path: Path
) -> None:
    missing, small, doubled, broken, *good = photos_of(judged)
    folder = tmp_path / "APE"
    folder.mkdir()
    for photo in (doubled, broken, *good):
        shutil.copyfile(dslr_of(photo), folder / photo.name)
    Image.fromarray(read_rgb(small)[:120]).save(folder / small.name)
    shutil.copyfile(folder / doubled.name, folder / f"{doubled.stem}.tiff")
    (folder / broken.name).write_bytes((folder / broken.name).read_bytes()[:3000])
    words = ["evaluate", "--external", f"APE={folder}"]
    report = cli.json(*words, cwd=judged, code=3)
    told = "\n".join(report["problems"])
    assert len(report["problems"]) == 4
    assert f"APE: no picture of {missing.parent.name}/{missing.stem}" in told
    assert f"{small.name} is 320 x 120 px, its photo 320 x 240" in told
    assert f"APE: 2 pictures of {doubled.parent.name}/{doubled.stem}: {doubled.name}, {doubled.stem}.tiff" in told
    assert f"{broken.name}: " in told
    score = scores_of(report)["APE"]
    assert (score["photos"], score["of_photos"], score["note"]) == (3, 7, "3 of 7 photos; made elsewhere, whole photos")
    assert score["estimates"]["psnr"]["low"] is None  # three photos say too little
    own = scores_of(report)["phone"]["by_photo"]
    assert set(score["by_photo"]) < set(own)
    published = {"method": "APE", "psnr": 19.45, "ms_ssim": 0.9168}
    assert score["published"] == published
    shown = cli.run(*words, cwd=judged, code=3).stdout
    assert re.search(r"^  APE, published +19.45 +0.9168$", shown, re.MULTILINE)
    assert "\nAPE: 3 of 7 photos; made elsewhere, whole photos\n" in shown
    assert shown.count("left out") == 4
    assert "measured on other photos: for orientation, not to compare with" in shown


def test_pictures_of_one_phone_leave_the_other_phones_alone(
    cli: CommandLine, workspace: Stages, tmp_path: Path
) -> None:
    root, folder = workspace("patched"), tmp_path / "APE"
    folder.mkdir()
    with open_corpus(root) as corpus:
        photos = corpus.photos("role = 'phone'")
    for photo in photos[photos["device"] == "iphone"]["path"]:
        shutil.copyfile(root / photo, folder / Path(photo).name)
    words = ["evaluate", "--external", f"APE={folder}", "--phone", "iphone", "--phone", "sony", "--device", "cpu"]
    done = cli.run(*words, cwd=root)
    assert "APE: no picture of any photo of sony, so it is left out there" in done.stderr
    iphone, sony = done.stdout.split("\niphone: ")[1].split("\nsony: ")
    assert "\nAPE  " in iphone
    assert "\nAPE  " not in sony


def test_two_sessions_need_folders_where_names_repeat(cli: CommandLine, judged: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(judged, tmp_path / "ws"))
    for name in ("lq", "gt"):
        (tmp_path / name).mkdir()
        for index, source in enumerate(sorted((judged.parent / name).iterdir())[:2]):
            Image.fromarray(255 - read_rgb(source)[::-1]).save(tmp_path / name / f"again{index}.png")
    cli.run("import", "pairs", "--input", tmp_path / "lq", "--target", tmp_path / "gt", "--phone", "sony", cwd=root)
    with open_corpus(root) as corpus:
        corpus.store.keep_splits(dict.fromkeys(list(corpus.shots()["shot"])[1:], "test"))
    cli.run("build-patches", "--size", "64", "--jobs", "1", cwd=root)
    folder = tmp_path / "flat"
    folder.mkdir()
    for photo in photos_of(root):
        shutil.copyfile(photo, folder / photo.name)
    report = evaluate(
        find_workspace(root),
        phones=[],
        split="test",
        protocol="patches",
        progress=Silent(),
        externals=[("flat", folder)],
    )
    assert report.problems == ["flat: 0002_sony.png may be of more than one photo"] * 2


def test_a_run_that_is_not_there_is_refused(cli: CommandLine, judged: Path) -> None:
    assert "no run 'sony-smal'" in cli.error("evaluate", "--run", "sony-smal", cwd=judged, code=2)


@pytest.mark.parametrize(
    ("external", "told"),
    [
        ("phone=DIR", "another method has that name"),
        ("sony-small=DIR", "another method has that name"),
        ("APE=nowhere", "no such folder"),
        ("APE", "is not NAME=DIR"),
        ("APE=DIR", "no picture of the test split's photos could be scored"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    cli: CommandLine, judged: Path, tmp_path: Path, external: str, told: str
) -> None:
    words = external.replace("DIR", str(tmp_path))
    assert told in cli.error("evaluate", "--external", words, cwd=judged, code=2)


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
