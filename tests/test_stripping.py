"""Photos stripped of what is private: the picture is the same to the last bit, and what stays is what was meant."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo
from small_photos import picture

from dpedkit.errors import ImageError
from dpedkit.images import read_photo, read_rgb
from dpedkit.stripping import strip_private

SECRETS = ("SN-4711", "Grandma", "2026:05:01", "shed behind", "xmp secret", "maker note", "thumb")


def telling() -> Image.Exif:
    """EXIF that tells who, where and when, and how the photo was exposed."""
    exif = Image.Exif()
    exif[Base.Model], exif[Base.Orientation] = "Xperia", 6
    exif[Base.Artist], exif[Base.ImageDescription], exif[Base.DateTime] = (
        "Grandma",
        "shed behind",
        "2026:05:01 09:30:00",
    )
    exif.get_ifd(IFD.Exif).update(
        {
            Base.ExposureTime: 0.008,
            Base.ISOSpeedRatings: 200,
            Base.BodySerialNumber: "SN-4711",
            Base.CameraOwnerName: "Grandma",
            Base.DateTimeOriginal: "2026:05:01 09:30:00",
            Base.MakerNote: b"maker note",
            Base.UserComment: b"shed behind",
        }
    )
    exif[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: (33.0, 30.0, 0.0)}
    return exif


def saved(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(1)).save(stream, kind, exif=telling(), **options)
    return stream.getvalue()


def jpeg(**options: Any) -> bytes:
    data = saved("JPEG", comment=b"Grandma", xmp=b"<x>xmp secret</x>", **options)
    iptc = b"Photoshop 3.0\x00Grandma"
    return data[:2] + b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc + data[2:] + b"thumb\xff\xd8" + data


def png() -> bytes:
    text = PngInfo()
    text.add_text("Author", "Grandma")
    return saved("PNG", pnginfo=text) + b"thumb"


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    "data",
    [
        jpeg(icc_profile=PROFILE),
        jpeg(icc_profile=PROFILE, progressive=True, quality=90),
        jpeg(icc_profile=PROFILE, restart_marker_blocks=2, subsampling="4:4:4"),
        png(),
    ],
    ids=["jpeg", "progressive", "restarts", "png"],
)
def test_only_the_picture_and_its_exposure_stay(data: bytes, tmp_path: Path) -> None:
    suffix = ".png" if data.startswith(b"\x89PNG") else ".jpg"
    before, after = tmp_path / f"before{suffix}", tmp_path / f"after{suffix}"
    before.write_bytes(data)
    stripped = strip_private(data, "x")
    after.write_bytes(stripped)
    old, new = read_photo(before), read_photo(after)
    assert (old.rgb == new.rgb).all()
    assert old.rgb.shape == (64, 48, 3)  # as turned
    assert old.icc == new.icc
    assert (new.meta.model, new.meta.exposure_s, new.meta.iso) == ("Xperia", 0.008, 200)
    assert (new.meta.taken_at, new.meta.latitude) == (None, None)
    assert not any(word.encode() in stripped for word in SECRETS)
    assert all(word.encode() in data for word in ("Grandma", "SN-4711", "thumb"))
    with Image.open(after) as image:
        tags = {*image.getexif(), *image.getexif().get_ifd(IFD.Exif), *image.getexif().get_ifd(IFD.GPSInfo)}
    assert tags == {Base.Model, Base.Orientation, Base.ExposureTime, Base.ISOSpeedRatings, IFD.Exif}
    assert strip_private(stripped, "x") == stripped


def stored_as_rgb() -> bytes:
    """A JPEG of which nothing but the Adobe segment tells that it holds R, G and B."""
    stream = io.BytesIO()
    Image.fromarray(picture(2)).save(stream, "JPEG", keep_rgb=True)
    data = stream.getvalue().replace(b"R\x11\x00G\x11\x00B\x11\x00", b"\x01\x11\x00\x02\x11\x00\x03\x11\x00")
    return data.replace(b"\x03R\x00G\x00B\x00", b"\x03\x01\x00\x02\x00\x03\x00")


def test_colours_keep_the_segment_that_they_need(tmp_path: Path) -> None:
    cmyk = io.BytesIO()
    Image.fromarray(picture(2)).convert("CMYK").save(cmyk, "JPEG")
    for data in (cmyk.getvalue(), stored_as_rgb()):
        (tmp_path / "a.jpg").write_bytes(data)
        (tmp_path / "b.jpg").write_bytes(strip_private(data, "x"))
        assert (read_rgb(tmp_path / "a.jpg") == read_rgb(tmp_path / "b.jpg")).all()


def test_photos_of_real_cameras_keep_every_pixel(shared_data: Path, tmp_path: Path) -> None:
    photos = sorted((shared_data / "photos" / "cameras").glob("*.jpg"))
    photos += sorted((shared_data / "photos" / "orientation").glob("*_[1368].jpg"))
    photos += [shared_data / "bad" / "sugarshack.mpo"]
    for path in photos:
        data = path.read_bytes()
        after = tmp_path / f"after{path.suffix}"
        after.write_bytes(strip_private(data, path.name))
        with Image.open(path) as old, Image.open(after) as new:
            assert old.size == new.size
            assert old.getexif().get(Base.Orientation) == new.getexif().get(Base.Orientation)
            assert new.format == "JPEG"  # one picture, whatever else there was
            assert new.tobytes() == old.tobytes()
            detail, place = new.getexif().get_ifd(IFD.Exif), new.getexif().get_ifd(IFD.GPSInfo)
            assert not {Base.MakerNote, Base.BodySerialNumber, Base.DateTimeOriginal} & {*detail, *new.getexif()}
            assert not place
            assert "xmp" not in new.info
            assert old.info.get("icc_profile") == new.info.get("icc_profile")


def test_broken_exif_costs_the_exif_alone(tmp_path: Path) -> None:
    data = bytearray(jpeg())
    start = data.index(b"Exif\x00\x00") + 6
    data[start + 12 : start + 60] = np.random.default_rng(1).bytes(48)
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "b.jpg").write_bytes(strip_private(bytes(data), "x"))
    with Image.open(tmp_path / "a.jpg") as old, Image.open(tmp_path / "b.jpg") as new:
        assert np.array_equal(np.array(old), np.array(new))


@pytest.mark.parametrize("data", [b"", b"II*\x00", b"GIF89a", b"\x00\x00\x00\x18ftypheic"])
def test_what_cannot_be_rewritten_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="only JPEG and PNG"):
        strip_private(data, "x")
