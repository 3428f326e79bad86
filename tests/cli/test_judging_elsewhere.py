"""dpedkit evaluate on pictures and models that were made elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tf_files
import torch
from command_line import CommandLine
from judged_corpus import dslr_of, photos_of, scored, scores_of
from PIL import Image

from dpedkit.db import open_corpus
from dpedkit.images import read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.evaluate import evaluate
from dpedkit.train import enhance
from dpedkit.train.networks import Generator
from dpedkit.workspace import find_workspace

Stages = Callable[[str], Path]


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
    assert score["psnr"] is None  # infinite, which JSON has no word for: these are the DSLR's own pictures
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
