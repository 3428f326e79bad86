"""Real photos written again: what their cameras told is told still, beside the same picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from small_photos import raw

from dpedkit.images import read_photo
from dpedkit.photo_writing import result_suffix, write_photo

CAMERAS = ("iphone_4.jpg", "iphone_5.jpg", "xperia_z2.jpg", "blackberry_z10.jpg", "canon_350d.jpg", "canon_450d.jpg")
SIZES = {Base.ExifImageWidth, Base.ExifImageHeight, Base.ImageWidth, Base.ImageLength}
DIRECTORIES = {IFD.Exif, IFD.GPSInfo}  # as their parents have them: where they lie


def told(path: Path) -> list[dict[int, Any]]:
    """Every tag of a photo, but for what a result must change."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
    with Image.open(path) as image:
        exif = image.getexif()
        first = {tag: value for tag, value in exif.items() if tag not in SIZES | DIRECTORIES | {Base.Orientation}}
        detail = {tag: value for tag, value in exif.get_ifd(IFD.Exif).items() if tag not in SIZES}
        return [first, detail, dict(exif.get_ifd(IFD.GPSInfo))]


@pytest.mark.parametrize(
    "name", [*(f"cameras/{name}" for name in CAMERAS), "heic/exif_at_eof.heic", "heic/img_2927.heic"]
)
def test_a_real_photo_tells_what_its_camera_wrote(shared_data: Path, tmp_path: Path, name: str) -> None:
    source = shared_data / "photos" / name
    photo = read_photo(source)
    result = tmp_path / f"a{result_suffix(source.suffix)}"
    write_photo(result, photo.rgb, like=photo)
    assert told(result) == told(source)
    again = read_photo(result)
    assert again.rgb.shape == photo.rgb.shape
    assert np.abs(again.rgb[::8, ::8].astype(int) - photo.rgb[::8, ::8]).mean() < 3
    assert again.icc == photo.icc
    with Image.open(result) as image:
        assert image.getexif().get(Base.Orientation, 1) == 1
        assert not image.getexif().get_ifd(IFD.IFD1)
        sizes = image.getexif().get_ifd(IFD.Exif)
        assert (sizes[Base.ExifImageWidth], sizes[Base.ExifImageHeight]) == image.size
    assert not {"xmp", "photoshop", "mp"} & image.info.keys()
    assert result.stat().st_size < 3 * source.stat().st_size


def test_a_raw_file_tells_its_picture_what_its_camera_wrote(tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_bytes(raw(1))
    photo = read_photo(tmp_path / "a.dng")
    write_photo(tmp_path / "a.jpg", photo.rgb, like=photo)
    assert read_photo(tmp_path / "a.jpg").meta == replace(photo.meta, format="JPEG")
    assert (photo.meta.model, photo.meta.iso) == ("Canon EOS 70D", 100)
    assert photo.meta.taken_at is not None


def test_files_that_are_odd_but_read_can_be_written_in_every_format(shared_data: Path, tmp_path: Path) -> None:
    """Pillow's collection of broken ones: those that are pictures after all."""
    written = 0
    for source in sorted((shared_data / "bad").iterdir()):
        try:
            photo = read_photo(source)
        except Exception:  # which of them are refused is another test's
            continue
        for suffix in ("jpg", "png", "tif"):
            for with_place in (True, False):
                write_photo(tmp_path / f"a.{suffix}", photo.rgb, like=photo, with_place=with_place)
                assert read_photo(tmp_path / f"a.{suffix}").rgb.shape == photo.rgb.shape
        written += 1
    assert written > 20
