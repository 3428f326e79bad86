"""The photo stays the user's: what `dpedkit enhance` makes of photos of every kind, one call for all of them."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_spaces import ADOBE_RGB, DISPLAY_P3, SRGB
from command_line import CommandLine, tree
from photo_album import LONG_NOTE, MAKER_NOTE, SUBJECT, XMP, album, saved, told_exif
from PIL import Image, ImageCms, JpegImagePlugin
from PIL.ExifTags import GPS, IFD, Base

from dpedkit.train import enhance, load_generator
from dpedkit.train.networks.dped import Generator, mix_colours, start_from_photo
from dpedkit.train.weights import save_generator
from dpedkit.types import U8

MIX = np.array([[0.5, 0.3, 0.1], [0.1, 0.6, 0.2], [0.3, 0.1, 0.5]])
"""What the network does to colours: enough that a photo in the wrong space, or turned the wrong way, shows."""

BROKEN = {
    "cut short.jpg": ("turned 1.jpg", 5000),
    "cut short.png": ("alpha.png", 4000),
    "empty.jpg": ("told.jpg", 0),
}
"""Name -> the photo that it was, and how many bytes are left of it."""

ALBUM = album()
PLAIN = ALBUM["alpha.png"]
TOLD = ("told.jpg", "told png.png", "told tiff.tif", "told heic.heic")


@dataclass(frozen=True)
class Enhanced:
    """Folders after `enhance`: the photos, the results, and those of the photos that tell a place without it."""

    photos: Path
    results: Path
    stripped: Path
    model: Path

    def result(self, name: str) -> Path:
        return self.results / as_result(name)

    def wanted(self, name: str) -> U8:
        """The enhanced picture, by the library."""
        return enhance(load_generator(self.model), ALBUM[name].rgb)


def as_result(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.jpg" if suffix in ("heic", "mpo") else name


def save_model(path: Path) -> Path:
    rng = torch.Generator().manual_seed(0)
    generator = Generator(width=4, blocks=1, rng=rng)
    start_from_photo(generator, rng)
    mix_colours(generator, MIX, np.array([0.05, 0.0, 0.1]))
    save_generator(path, generator, {})
    return path


@pytest.fixture(scope="session")
def enhanced(cli: CommandLine, once: Callable[[str, Callable[[Path], object]], Path]) -> Enhanced:
    root = once("photos stay", partial(enhance_all, cli))
    return Enhanced(root / "in", root / "out", root / "stripped", root / "model.safetensors")


def enhance_all(cli: CommandLine, root: Path) -> None:
    save_model(root / "model.safetensors")
    photos = root / "in"
    photos.mkdir()
    for name, sample in ALBUM.items():
        (photos / name).write_bytes(sample.data)
        (photos / name).chmod(0o444)
    for name, (whole, kept) in BROKEN.items():
        (photos / name).write_bytes(ALBUM[whole].data[:kept])
    before = tree(photos)
    words = ("--model", "model.safetensors", "-o")
    told = cli.json("enhance", "in", *words, "out", cwd=root, code=3)
    assert set(told["failures"]) == {f"in/{name}" for name in BROKEN}
    some = [f"in/{name}" for name in ALBUM if name.startswith(("told", "turned"))]
    cli.run("enhance", *some, *words, "stripped", "--strip-gps", cwd=root)
    assert tree(photos) == before


def decoded(path: Path) -> U8:
    """A result's numbers as stored, which its EXIF must not want turned."""
    with Image.open(path) as image:
        assert image.getexif().get(Base.Orientation, 1) == 1
        assert image.mode == "RGB"
        return np.asarray(image)


def test_every_photo_has_one_whole_result_and_no_broken_one_has_any(enhanced: Enhanced) -> None:
    assert {path.name for path in enhanced.results.iterdir()} == {as_result(name) for name in ALBUM}


@pytest.mark.parametrize("name", [name for name in ALBUM if not name.startswith(("p3", "adobe"))])
def test_the_result_is_the_picture_enhanced(enhanced: Enhanced, name: str) -> None:
    """Upright once, whatever its mode, depth, size, name and orientation."""
    result, wanted = decoded(enhanced.result(name)), enhanced.wanted(name)
    assert result.shape == wanted.shape
    lossy = enhanced.result(name).suffix == ".jpg"
    off = np.abs(result.astype(int) - wanted)
    assert off.mean() <= (ALBUM[name].near + 0.1 if not lossy else 14 if "coarse" in name else 4), name
    turned = np.abs(result[::-1, ::-1].astype(int) - wanted).mean()
    assert off.mean() < 0.5 * turned or result.size < 100


@pytest.mark.parametrize("name", [name for name in ALBUM if name.startswith(("p3", "adobe"))])
def test_a_wide_photo_keeps_its_profile_and_has_the_right_colours(enhanced: Enhanced, name: str) -> None:
    """Stored numbers taken through the formulas of their space land on the colours that the network made."""
    with Image.open(enhanced.result(name)) as image, Image.open(io.BytesIO(ALBUM[name].data)) as source:
        if "by exif" in name:  # the source has none; what the pixels are is said for those who do not read EXIF
            assert "Adobe RGB" in ImageCms.getProfileDescription(io.BytesIO(image.info["icc_profile"]))
        else:
            assert image.info["icc_profile"] == source.info["icc_profile"]
    space = DISPLAY_P3 if name.startswith("p3") else ADOBE_RGB
    result, wanted = decoded(enhanced.result(name)), enhanced.wanted(name)
    off = np.linalg.norm(space.to_lab(result) - SRGB.to_lab(wanted), axis=-1)
    assert np.median(off) < (0.8 if name.endswith(("png", "tif")) else 2.5)
    assert np.percentile(off, 99) < (2 if name.endswith(("png", "tif")) else 12)
    unconverted = np.linalg.norm(space.to_lab(wanted) - SRGB.to_lab(wanted), axis=-1)
    assert np.median(off) < 0.5 * np.median(unconverted)


def facts(path: Path) -> tuple[dict[int, object], dict[int, object], dict[int, object]]:
    """The tags of a picture, of its exposure and of its place, as Pillow reads them."""
    with Image.open(path) as image:
        exif = image.getexif()
        first = {tag: value for tag, value in exif.items() if tag in (Base.Make, Base.Model, Base.Copyright)}
        assert exif[Base.ImageDescription] == SUBJECT
        return first, dict(exif.get_ifd(IFD.Exif)), dict(exif.get_ifd(IFD.GPSInfo))


@pytest.mark.parametrize("name", TOLD)
def test_what_a_photo_tells_is_kept(enhanced: Enhanced, name: str) -> None:
    """Capture time with sub-seconds and time zone, exposure, lens, maker note, place; sizes are the result's."""
    before, after = facts(enhanced.photos / name), facts(enhanced.result(name))
    sizes = {Base.ExifImageWidth: ALBUM[name].rgb.shape[1], Base.ExifImageHeight: ALBUM[name].rgb.shape[0]}
    assert after == (before[0], before[1] | sizes, before[2])
    detail, place = after[1:]
    assert detail[Base.DateTimeOriginal] == "2026:11:22 17:00:00"
    assert (detail[Base.SubsecTimeOriginal], detail[Base.OffsetTimeOriginal]) == ("123", "+09:00")
    assert detail[Base.MakerNote] == MAKER_NOTE
    assert place[GPS.GPSLatitude] == (47.0, 12.0, 30.0)


def test_a_maker_note_stays_where_it_was(enhanced: Enhanced) -> None:
    """Its offsets count from the beginning of the block."""
    for data in (ALBUM["told.jpg"].data, enhanced.result("told.jpg").read_bytes()):
        assert data.index(MAKER_NOTE) - data.index(b"Exif\0\0") == told_exif().index(MAKER_NOTE)


def test_exif_too_long_for_a_jpeg_loses_its_maker_note_alone(enhanced: Enhanced) -> None:
    assert len(ALBUM["told much.heic"].data) > LONG_NOTE
    _, detail, place = facts(enhanced.result("told much.heic"))
    assert detail[Base.SubsecTimeOriginal] == "123"
    assert place[GPS.GPSLatitude] == (47.0, 12.0, 30.0)
    assert Base.MakerNote not in detail


@pytest.mark.parametrize("name", [name for name in ALBUM if name.startswith("turned") and name.endswith("jpg")])
def test_the_thumbnail_of_the_old_picture_is_gone(enhanced: Enhanced, name: str) -> None:
    with Image.open(enhanced.photos / name) as before, Image.open(enhanced.result(name)) as after:
        assert before.getexif().get_ifd(IFD.IFD1)
        assert not after.getexif().get_ifd(IFD.IFD1)
    assert enhanced.result(name).read_bytes().count(b"\xff\xd8\xff") == 1


def test_xmp_iptc_and_comments_are_left_behind(enhanced: Enhanced) -> None:
    """They speak of the old file, and of its place: docs/enhancing.md says so."""
    assert all(word in ALBUM["told.jpg"].data for word in (XMP, b"IPTC's words", b"a comment"))
    for name in TOLD:
        data = enhanced.result(name).read_bytes()
        assert not any(word in data for word in (b"xmpmeta", b"IPTC's words", b"a comment", b"47,12.5N"))


@pytest.mark.parametrize("name", [*TOLD, "told much.heic", "turned 6.jpg", "turned tiff 3.tif", "turned heic 6.heic"])
def test_a_stripped_result_tells_no_place_and_all_else(enhanced: Enhanced, name: str) -> None:
    kept, stripped = enhanced.result(name), enhanced.stripped / as_result(name)
    before, after = facts(kept), facts(stripped)
    assert before[2]
    assert after == ({**before[0]}, before[1], {})
    with Image.open(stripped) as image:
        assert Base.GPSInfo not in image.getexif()
    data = stripped.read_bytes()
    latitudes = [b"".join(n.to_bytes(4, order) for n in (47, 1, 12, 1)) for order in ("big", "little")]
    assert any(latitude in kept.read_bytes() for latitude in latitudes)
    assert not any(latitude in data for latitude in latitudes)
    assert b"2026:11:22\0" not in data  # the satellites' date
    assert (decoded(stripped) == decoded(kept)).all()


@pytest.mark.parametrize("name", [name for name in ALBUM if name.endswith((".jpg", ".mpo"))])
def test_a_jpeg_is_as_coarse_as_its_source(enhanced: Enhanced, name: str) -> None:
    with Image.open(enhanced.result(name)) as after, Image.open(io.BytesIO(ALBUM[name].data)) as before:
        assert isinstance(after, JpegImagePlugin.JpegImageFile)
        assert isinstance(before, JpegImagePlugin.JpegImageFile)
        assert after.quantization == dict(list(before.quantization.items())[:2])
        if before.mode == "RGB":
            assert JpegImagePlugin.get_sampling(after) == JpegImagePlugin.get_sampling(before)


@pytest.mark.parametrize("name", ["deep png.png", "deep tif.tif", "ten bits.heic"])
def test_results_have_eight_bits(enhanced: Enhanced, name: str) -> None:
    """As docs/enhancing.md says."""
    with Image.open(enhanced.result(name)) as image:
        image.load()
        assert image.getbands() == ("R", "G", "B")
        if image.format == "TIFF":
            assert image.tag_v2[258] == (8, 8, 8)  # type: ignore[attr-defined]
        elif image.format == "PNG":
            assert enhanced.result(name).read_bytes()[24] == 8


def test_the_folder_of_the_photos_as_output_replaces_them_only_when_asked(cli: CommandLine, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.safetensors")
    for name in ("a.png", "-b.png"):
        (tmp_path / name).write_bytes(PLAIN.data)
    before = tree(tmp_path)
    words = ["enhance", "--model", model.name, "-o", "."]
    assert cli.json(*words, ".", cwd=tmp_path)["skipped"] == ["-b.png", "a.png"]
    assert tree(tmp_path) == before
    cli.run(*words, "--overwrite", "--", "-b.png", cwd=tmp_path)
    after = tree(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {"-b.png"}
    wanted = enhance(load_generator(model), PLAIN.rgb)
    assert (decoded(tmp_path / "-b.png") == wanted).all()


def test_a_full_disk_keeps_what_was_done_and_nothing_half(cli: CommandLine, tmp_path: Path, small_disk: Path) -> None:
    save_model(tmp_path / "model.safetensors")
    noise = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), dtype=np.uint8)  # 5 MB, the disk has 4
    photos = {"a.png": PLAIN.data, "b.png": saved(noise, "PNG"), "c.png": PLAIN.data}
    for name, data in photos.items():
        (tmp_path / name).write_bytes(data)
    told = cli.error("enhance", ".", "--model", "model.safetensors", "-o", small_disk / "out", cwd=tmp_path, code=1)
    assert "no space left" in told
    assert [path.name for path in (small_disk / "out").iterdir()] == ["a.png"]
    assert decoded(small_disk / "out" / "a.png").shape == PLAIN.rgb.shape


def test_killed_while_it_writes_it_leaves_the_old_file_or_none(cli: CommandLine, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors")
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    (tmp_path / "photo.png").write_bytes(saved(noise, "PNG", compress_level=1))
    results = tmp_path / "out"
    words = ["enhance", "photo.png", "--model", "model.safetensors", "-o", "out"]

    def writing() -> bool:
        return any(path.stat().st_size for path in results.glob(".*.part"))

    killed = cli.stop_when(writing, signal.SIGKILL, *words, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in results.iterdir() if not path.name.startswith(".")] == []
    assert [path.suffix for path in results.iterdir()] == [".part"]
    (results / "photo.png").write_bytes(b"mine")
    for left in results.glob(".*.part"):
        left.unlink()
    killed = cli.stop_when(writing, signal.SIGKILL, *words, "--overwrite", cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert (results / "photo.png").read_bytes() == b"mine"
    assert cli.json(*words, cwd=tmp_path)["skipped"] == ["out/photo.png"]


@pytest.mark.skipif(os.name != "posix", reason="names of other systems are text")
def test_a_name_that_is_no_text_is_no_hindrance(cli: CommandLine, tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"caf\xe9.png")).write_bytes(PLAIN.data)
    (tmp_path / "in" / os.fsdecode(b"bad\xe9.png")).write_bytes(b"")
    strict = cli.with_environment(PYTHONIOENCODING="utf-8:strict")  # as in most locales, but not in the tests' own
    done = strict.run("enhance", "in", "--model", "model.safetensors", "-o", "out", cwd=tmp_path, code=3)
    assert "failed in/bad\\udce9.png: not a photo" in done.stdout
    assert [os.fsencode(path.name) for path in (tmp_path / "out").iterdir()] == [b"caf\xe9.png"]
