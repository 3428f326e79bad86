"""dpedkit import: who goes with whom, every photo that stays alone explained, and nothing lost or touched."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine, tree
from small_photos import photo, picture, raw, write

from dpedkit.db import SplitName, open_corpus
from dpedkit.executor import Workers
from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.measures import measure
from dpedkit.photo_writing import write_photo
from dpedkit.progress import Silent
from dpedkit.stages.patches import build_patches
from dpedkit.workspace import find_workspace

WHEN = (0.0, 31.4, 95.2, 95.7, 300.9, 410.3, 900.6)
BEHIND = 3607.0  # how much more the phone's clock shows


@pytest.fixture
def ws(cli: CommandLine, tmp_path: Path) -> Path:
    cli.run("init", "ws", cwd=tmp_path)
    return tmp_path / "ws"


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    """A DSLR's folder and a phone's: C0 goes with broken.jpg, C1 with Z11, and so on."""
    dslr = {f"C{number}.JPG": photo(number, when, digits=2) for number, when in enumerate(WHEN)}
    dslr |= {"C1.CR2": raw(1), "C9.JPG": photo(9, 2000.0, digits=2)}
    phone = {
        f"Z{10 + number}.jpg": photo(50 + number, when + BEHIND, place=(-33.5, 18.25))
        for number, when in enumerate(WHEN)
    }
    phone |= {"broken.jpg": phone.pop("Z10.jpg")[:900], "Z11 (1).jpg": phone["Z11.jpg"]}
    phone |= {"Z99.jpg": photo(60, 1200.0 + BEHIND)}
    write(tmp_path / "canon", dslr)
    write(tmp_path / "sony", phone)
    return tmp_path


def words(cameras: Path, *more: str) -> list[str]:
    return ["import", "folder", "--dslr", f"{cameras}/canon", "--phone", f"sony={cameras}/sony", "--jobs", "1", *more]


def held(ws: Path) -> list[tuple[str, ...]]:
    """The file names, as the cameras had them, that each shot of the corpus holds."""
    with open_corpus(ws) as corpus:
        photos = corpus.photos()
    return [tuple(sorted(Path(name).name for name in group)) for _, group in photos.groupby("shot")["device_path"]]


EXPECTED = [("C1.CR2", "C1.JPG", "Z11.jpg"), *((f"C{number}.JPG", f"Z1{number}.jpg") for number in range(2, 7))]


def test_photos_are_paired_by_time_and_the_others_explained(cli: CommandLine, cameras: Path, ws: Path) -> None:
    before = {name: tree(cameras / name) for name in ("canon", "sony")}
    plan = cli.run(*words(cameras, "--dry-run"), cwd=ws).stdout
    rows = [line.split()[:2] for line in plan.splitlines()]
    assert ["C1.JPG+C1.CR2", "Z11.jpg"] in rows
    assert ["C3.JPG", "Z13.jpg"] in rows
    assert re.search(r"sony: its clock shows 1:00:06\.[4-7] more than the DSLR's", plan)  # its whole seconds are floors
    assert held(ws) == []
    assert list((ws / "photos").iterdir()) == []

    report = cli.json(*words(cameras), cwd=ws, code=3)
    assert held(ws) == EXPECTED
    assert report["unpaired"].keys() == {
        f"{cameras}/{name}" for name in ("canon/C0.JPG", "canon/C9.JPG", "sony/Z99.jpg", "sony/Z11 (1).jpg")
    }
    assert report["unpaired"][f"{cameras}/sony/Z11 (1).jpg"] == "the same bytes as Z11.jpg"
    assert report["unpaired"][f"{cameras}/sony/Z99.jpg"].startswith(
        "no DSLR photo within 2.0 s of it (nearest: C6.JPG, 5 min"
    )
    assert report["unpaired"][f"{cameras}/canon/C0.JPG"] == "what it goes with cannot be read"
    assert report["unpaired"][f"{cameras}/canon/C9.JPG"].startswith(
        "sony: no photo of it within 2.0 s of it (nearest: Z99.jpg, 13 min 20 s"
    )
    assert report["failures"].keys() == {f"{cameras}/sony/broken.jpg"}
    assert {name: tree(cameras / name) for name in before} == before
    assert set(tree(ws / "photos").values()) >= {before["canon"]["C1.CR2"], before["sony"]["Z11.jpg"]}
    with open_corpus(ws) as corpus:
        photos, pairs = corpus.photos(), corpus.pairs()
    assert len(pairs) == 6
    phone = photos[photos["device"] == "sony"]
    assert np.allclose(phone[["latitude", "longitude"]], [-33.5, 18.25])
    assert set(phone["white_balance"]) == {"auto"}
    first = phone.iloc[0]
    told = measure(read_rgb(cameras / "sony" / "Z11.jpg"))
    assert (first["sharpness"], first["noise"], first["phash"]) == (told.sharpness, told.noise, told.phash)
    assert (photos["measured"].notna() == photos["picture"]).all()
    assert set(photos.loc[~photos["picture"], "format"]) == {"cr2"}

    stored = tree(ws / "photos")
    again = cli.json(*words(cameras), cwd=ws, code=3)
    assert (again["imported"], again["known"], again["session"]) == (0, 6, "")
    assert tree(ws / "photos") == stored


def test_regular_intervals_are_refused_where_nobody_looks(cli: CommandLine, tmp_path: Path, ws: Path) -> None:
    write(tmp_path / "canon", {f"C{n}.jpg": photo(n, 10.0 * n) for n in range(5)})
    write(tmp_path / "sony", {f"Z{n}.jpg": photo(50 + n, 10.0 * n + 7200) for n in range(5)})
    told = cli.error(*words(tmp_path, "--pair-by", "time"), cwd=ws, code=2)
    assert "sony: its clock may be off by any of +7200.0 s (5 pairs)" in told
    assert "--pair-by order" in told
    assert held(ws) == []


def test_a_phone_that_changes_its_time_zone_on_the_way_keeps_its_pairs(
    cli: CommandLine, tmp_path: Path, ws: Path
) -> None:
    when = np.cumsum(np.random.default_rng(4).uniform(20, 300, 12))
    zones = [1] * 6 + [-5] * 6
    write(tmp_path / "canon", {f"C{n:02d}.jpg": photo(n, t) for n, t in enumerate(when)})
    there = {f"Z{n:02d}.jpg": photo(50 + n, t + 3600 * zones[n], zone_h=zones[n]) for n, t in enumerate(when)}
    write(tmp_path / "sony", there)
    groups = cli.json(*words(tmp_path, "--pair-by", "time", "--dry-run"), cwd=ws)["groups"]
    pairs = [[Path(take["files"][0]).name for take in group["photos"].values()] for group in groups]
    assert pairs == [[f"C{n:02d}.jpg", f"Z{n:02d}.jpg"] for n in range(12)]


def test_every_format_comes_in(cli: CommandLine, shared_data: Path, tmp_path: Path, ws: Path) -> None:
    """PNG, TIFF, HEIC, MPO and RAW, each beside a JPEG; what is stored is the file itself."""
    rgb = picture(1)
    for suffix in ("png", "tif"):
        write_photo_at(tmp_path / "canon" / f"1.{suffix}", rgb)
        (tmp_path / "canon" / f"1.{suffix}").rename(tmp_path / "canon" / f"a_{suffix}.{suffix.upper()}")
    heic = next((shared_data / "photos" / "heic").glob("*.heic"))
    others = {"b_heic.heic": heic.read_bytes(), "c_raw.nef": raw(3)}
    others["d_mpo.mpo"] = (shared_data / "bad" / "sugarshack.mpo").read_bytes()
    write(tmp_path / "canon", others)
    write(tmp_path / "sony", {f"{number}.jpg": photo(number, None) for number in range(5)})
    cli.run(*words(tmp_path, "--pair-by", "order"), cwd=ws)
    with open_corpus(ws) as corpus:
        photos, pairs = corpus.photos(), corpus.pairs()
    dslr = photos[photos["device"] == "dslr"]
    assert dslr["format"].tolist() == ["png", "tif", "heic", "nef", "mpo"]
    assert dslr["measured"].notna().all()
    assert dslr["width"].notna().all()
    assert len(pairs) == 5
    assert set(dslr["sha256"]) == set(tree(tmp_path / "canon").values())


def test_what_photos_show_decides_where_times_do_not(
    cli: CommandLine, finished: Callable[[str], Path], tmp_path: Path, ws: Path
) -> None:
    """Photos of three scenes without any time, and of one more by the phone alone."""
    source = next((finished("captured") / "photos").iterdir())
    names = {"dslr": "canon", "iphone": "sony"}
    for device, folder in names.items():
        for number in (1, 2, 3, 4) if device == "iphone" else (1, 2, 3):
            name = f"{'zyxw'[number - 1] if device == 'iphone' else 'abcd'[number - 1]}.jpg"
            write(tmp_path / folder, {name: encode_jpeg(read_rgb(source / f"{number:04d}_{device}.jpg"))})
    report = cli.json(*words(tmp_path), cwd=ws)
    assert held(ws) == [("a.jpg", "z.jpg"), ("b.jpg", "y.jpg"), ("c.jpg", "x.jpg")]
    assert report["unpaired"] == {
        f"{tmp_path}/sony/w.jpg": "no time in its EXIF, and it looks like no photo of the other camera"
    }


def test_links_take_no_space(cli: CommandLine, cameras: Path, ws: Path) -> None:
    cli.run(*words(cameras, "--link"), cwd=ws, code=3)
    originals = {path.stat().st_ino for name in ("canon", "sony") for path in (cameras / name).iterdir()}
    copies = [path.stat().st_ino for path in (ws / "photos").glob("import-*/*")]
    assert len(copies) == 13
    assert set(copies) <= originals


def test_a_killed_import_goes_on_where_it_was(cli: CommandLine, tmp_path: Path, ws: Path) -> None:
    when = np.cumsum(np.random.default_rng(1).uniform(5, 60, 40))
    write(tmp_path / "canon", {f"C{n:02d}.jpg": photo(n, t) for n, t in enumerate(when)})
    write(tmp_path / "sony", {f"Z{n:02d}.jpg": photo(50 + n, t + 100) for n, t in enumerate(when)})
    done = cli.stop_when(
        lambda: len(list((ws / "photos").glob("import-*/*"))) > 10, signal.SIGKILL, *words(tmp_path), cwd=ws, group=True
    )
    assert done.returncode == -signal.SIGKILL
    some = len(held(ws))
    assert 0 < some < 40
    report = cli.json(*words(tmp_path), cwd=ws)
    assert report["known"] == some
    assert held(ws) == [(f"C{n:02d}.jpg", f"Z{n:02d}.jpg") for n in range(40)]
    with open_corpus(ws) as corpus:
        shots = corpus.shots()
    assert shots["number"].tolist() == list(range(1, 41))
    assert shots["session"].nunique() == 1
    assert {path.name for path in (ws / "photos" / ".import").iterdir()} == {"lock"}


def basicsr(tmp_path: Path) -> list[str]:
    """Folders that are aligned already, and three pairs that are not fit."""
    scene = np.repeat(np.repeat(picture(1, 60, 75), 4, 0), 4, 1)
    for number in range(2):
        write_photo_at(tmp_path / "gt" / f"{number:04d}.png", np.roll(scene, 40 * number, 1))
        write_photo_at(tmp_path / "lq" / f"{number:04d}.png", np.roll(scene, 40 * number, 1) // 2 + 40)
    for name, lq in (("small", scene[:120, :150]), ("odd", scene[:100])):
        write_photo_at(tmp_path / "gt" / f"{name}.png", scene)
        write_photo_at(tmp_path / "lq" / f"{name}.png", lq)
    write_photo_at(tmp_path / "gt" / "alone.png", scene)
    return [
        "import",
        "pairs",
        "--input",
        f"{tmp_path}/lq",
        "--target",
        f"{tmp_path}/gt",
        "--phone",
        "sony",
        "--jobs",
        "1",
    ]


def write_photo_at(path: Path, rgb: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_photo(path, rgb)


def test_pairs_that_are_aligned_are_cut_pixel_for_pixel(cli: CommandLine, tmp_path: Path, ws: Path) -> None:
    call = basicsr(tmp_path)
    (tmp_path / "meta.txt").write_text("0001.png (240,300,3)\ngone.png (240,300,3)\n")
    plan = cli.json(*call, "--meta-info", f"{tmp_path}/meta.txt", "--dry-run", cwd=ws, code=3)
    assert [group["label"] for group in plan["groups"]] == ["0001"]
    assert plan["failures"] == {f"{tmp_path}/meta.txt: gone": f"{tmp_path}/lq (sony) has no photo of this name"}
    assert held(ws) == []
    report = cli.json(*call, cwd=ws, code=3)
    assert report["unpaired"] == {f"{tmp_path}/gt/alone.png": "no phone photo of this name"}
    failures = report["failures"]
    assert failures.keys() == {f"{tmp_path}/lq/small.png", f"{tmp_path}/lq/odd.png"}
    assert "super-resolution by 2" in failures[f"{tmp_path}/lq/small.png"]
    assert "300 x 100 px, its target 300 x 240" in failures[f"{tmp_path}/lq/odd.png"]
    assert cli.json("align", cwd=ws)["done_before"] == 2
    build_patches(find_workspace(ws), workers=Workers(1), dry_run=False, progress=Silent())
    with open_corpus(ws) as corpus:
        pairs, patches = corpus.pairs(), corpus.patches()
        assert pairs["status"].tolist() == ["aligned"] * 2
        assert len(patches) == 2 * 3 * 2  # the borders, too
        for patch in patches.itertuples():
            scene = dict(zip(pairs["shot"], pairs["scene"], strict=True))[patch.shot]
            shard = np.load(corpus.shard_folder / patch.shard)[patch.row]
            window = np.s_[patch.y : patch.y + 100, patch.x : patch.x + 100]
            for pixels, folder in zip(shard, ("lq", "gt"), strict=True):
                assert (pixels == read_rgb(tmp_path / folder / f"{scene}.png")[window]).all()


def dped(root: Path) -> dict[str, dict[str, bytes]]:
    """A small copy of the dataset; return the pixels of its pairs of patches by split and name."""
    pixels: dict[str, dict[str, bytes]] = {"train": {}, "test": {}}
    for split, folder, count in (("train", "training_data", 1010), ("test", "test_data/patches", 12)):
        for number in range(count):
            pair = b""
            for camera, blue in (("iphone", 60), ("canon", 160)):
                flat = np.full((100, 100, 3), [number % 32 * 8, number // 32 * 7, blue], np.uint8)
                path = write(root / "iphone" / folder / camera, {f"{number}.jpg": encode_jpeg(flat)}) / f"{number}.jpg"
                pair += read_rgb(path).tobytes()
            pixels[split][f"{number}.jpg"] = pair
    write(root / "iphone" / "test_data" / "full_size_test_images", {"1.jpg": photo(1, None), "2.jpg": photo(2, None)})
    return pixels


def test_the_public_dataset_comes_in_with_its_own_split(cli: CommandLine, tmp_path: Path, ws: Path) -> None:
    pixels = dped(tmp_path / "dped")
    train = tmp_path / "dped" / "iphone" / "training_data"
    write(train / "iphone", {"5.jpg": b"no picture"})
    write(train / "canon", {"7.jpg": encode_jpeg(picture(7))})
    (train / "canon" / "9.jpg").unlink()
    for number in (5, 7, 9):
        del pixels["train"][f"{number}.jpg"]
    call = ["import", "dped", f"{tmp_path}/dped", "--jobs", "1"]
    report = cli.json(*call, cwd=ws, code=3)
    assert (report["patches"], report["photos"]) == (1007 + 12, {"iphone": 2})
    assert report["unpaired"] == {f"{train}/iphone/9.jpg": "canon has no patch of this name"}
    assert report["failures"] == {
        f"{train}/iphone/5.jpg": "not a photo of a known kind",
        f"{train}/iphone/7.jpg": "64 x 48 px, not 100 x 100 like the others",
    }
    assert frozen(ws, "train") == set(pixels["train"].values())
    assert frozen(ws, "test") == set(pixels["test"].values())

    again = cli.json(*call, cwd=ws)
    assert (again["patches"], again["known"], again["session"]) == (0, 1019, "")
    assert cli.json("align", cwd=ws)["results"] == []
    max((ws / "patches").glob("*.npy"), key=lambda path: path.stat().st_size).unlink()
    assert cli.json(*call, cwd=ws, code=3)["patches"] == 998
    assert frozen(ws, "train") == set(pixels["train"].values())
    shutil.rmtree(tmp_path / "dped")
    assert "does not hold DPED" in cli.error(*call, cwd=ws, code=2)


def frozen(ws: Path, split: SplitName) -> set[bytes]:
    """The pixels of a snapshot's pairs."""
    with open_corpus(ws) as corpus:
        source = corpus.pair_source(corpus.store.freeze("iphone", split).hash)
        return {phone.tobytes() + dslr.tobytes() for phone, dslr in (source[index] for index in range(len(source)))}
