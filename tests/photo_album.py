"""Photos of every kind that people have, each with the picture that it shows: upright, sRGB, made before any file."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from colour_spaces import ADOBE_RGB, DISPLAY_P3, SRGB, gray_profile, gray_to_srgb
from mutations import scene
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from dpedkit.types import U8

MAKER_NOTE = b"Maker's own note, whose offsets are absolute\0" * 3
SUBJECT, PLACE_TEXT = "Grandma in the garden", b"47,12.5N"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><exif:GPSLatitude>47,12.5N</exif:GPSLatitude></x:xmpmeta>"
LONG_NOTE = 70_000

# orientation -> what the stored rows and columns are of the upright picture, by EXIF 2.32's table of tag 0x0112
STORED: dict[int, Callable[[U8], U8]] = {
    1: lambda upright: upright,  # 0th row: top, 0th column: left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.swapaxes(0, 1),  # left, top
    6: lambda upright: upright.swapaxes(0, 1)[::-1],  # right, top
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
    8: lambda upright: upright.swapaxes(0, 1)[:, ::-1],  # left, bottom
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One file, and the picture it shows.

    near  how far its pixels may be from the picture, as its format is coarse: mean of absolute differences
    """

    data: bytes
    rgb: U8
    near: float = 0.0


def album() -> dict[str, Sample]:
    """Return name -> sample; the names end as photos do."""
    return {**_turned(), **_coloured(), **_told(), **_of_every_mode(), **_coarse(), **_odd()}


def told_exif(orientation: int = 1, note: bytes = MAKER_NOTE) -> bytes:
    """EXIF that tells all that a phone tells."""
    exif = Image.Exif()
    exif.update({Base.Make: "Maker", Base.Model: "Phone", Base.Orientation: orientation, Base.Copyright: "me"})
    exif[Base.ImageDescription] = SUBJECT
    exif.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: "2026:11:22 17:00:00",
            Base.SubsecTimeOriginal: "123",
            Base.OffsetTimeOriginal: "+09:00",
            Base.DateTimeDigitized: "2026:11:22 17:00:01",
            Base.ExposureTime: 0.008,
            Base.ISOSpeedRatings: 200,
            Base.ExifImageWidth: 4000,
            Base.ExifImageHeight: 3000,
            Base.LensModel: "Lens 4 mm",
            Base.MakerNote: note,
        }
    )
    exif[IFD.GPSInfo] = {
        GPS.GPSLatitudeRef: "N",
        GPS.GPSLatitude: (47.0, 12.0, 30.0),
        GPS.GPSLongitudeRef: "E",
        GPS.GPSLongitude: (8.0, 30.0, 0.0),
        GPS.GPSDateStamp: "2026:11:22",
    }
    return exif.tobytes()


def thumbnail_exif(orientation: int) -> bytes:
    """The same with a thumbnail, stored as the picture is."""
    exif, thumbnail = told_exif(orientation), thumbnail_jpeg(orientation)
    following = 16 + 12 * int.from_bytes(exif[14:16], "big")  # of Pillow's blocks: "Exif\0\0MM\0*\0\0\0\x08", count
    at = len(exif) - 6
    rows = [(259, 3, 1, 6 << 16), (513, 4, 1, at + 42), (514, 4, 1, len(thumbnail))]
    directory = b"\0\3" + b"".join(
        b"".join(n.to_bytes(size, "big") for n, size in zip(row, (2, 2, 4, 4), strict=True)) for row in rows
    )
    return exif[:following] + at.to_bytes(4, "big") + exif[following + 4 :] + directory + bytes(4) + thumbnail


def thumbnail_jpeg(orientation: int) -> bytes:
    return saved(STORED[orientation](scene()[::5, ::5]), "JPEG", quality=60)


def saved(pixels: U8 | Image.Image, kind: str, **options: Any) -> bytes:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.ascontiguousarray(pixels))
    stream = io.BytesIO()
    if kind == "HEIF" and "exif" in options:
        options["exif"] = options["exif"].removeprefix(b"Exif\0\0")  # as iPhones write it, and most others
    image.save(stream, kind, **options)
    return stream.getvalue()


def _turned() -> dict[str, Sample]:
    photos = {}
    for orientation, store in STORED.items():
        exif = thumbnail_exif(orientation)
        fine = {"quality": 97, "subsampling": "4:4:4"}
        photos[f"turned {orientation}.jpg"] = Sample(saved(store(scene()), "JPEG", exif=exif, **fine), scene(), 1.5)
        exif = told_exif(orientation)
        photos[f"turned png {orientation}.png"] = Sample(saved(store(scene()), "PNG", exif=exif), scene())
        photos[f"turned tiff {orientation}.tif"] = Sample(saved(store(scene()), "TIFF", exif=exif), scene())
    heic = saved(STORED[6](scene()), "HEIF", quality=90, exif=told_exif(6))
    return {**photos, "turned heic 6.heic": Sample(heic, scene(), 2.0)}


def adobe_rgb_exif() -> bytes:
    """What a camera that is set to Adobe RGB writes: no known colour space, and interoperability "R03"."""
    directories = (
        [(0x8769, 4, 1, (26).to_bytes(4, "little"))],
        [(0xA001, 3, 1, b"\xff\xff\0\0"), (0xA005, 4, 1, (56).to_bytes(4, "little"))],
        [(1, 2, 4, b"R03\0")],
    )
    entries = [b"".join(struct.pack("<HHI4s", *entry) for entry in directory) for directory in directories]
    return b"Exif\0\0II*\0\x08\0\0\0" + b"".join(
        struct.pack("<H", len(directory)) + packed + bytes(4)
        for directory, packed in zip(directories, entries, strict=True)
    )


def _coloured() -> dict[str, Sample]:
    photos = {}
    for space, name in ((DISPLAY_P3, "p3"), (ADOBE_RGB, "adobe")):
        shown = SRGB.from_xyz(space.to_xyz(scene()))
        for icc, how in ((space.matrix_profile(), "matrix"), (space.table_profile(), "tables")):
            near = 0.3 if how == "tables" else 0.1
            photos[f"{name} {how}.png"] = Sample(saved(scene(), "PNG", icc_profile=icc), shown, near)
            fine = saved(scene(), "JPEG", quality=97, subsampling="4:4:4", icc_profile=icc)
            photos[f"{name} {how}.jpg"] = Sample(fine, shown, 1.5)
            tiff = saved(scene(), "TIFF", icc_profile=icc, compression="tiff_adobe_deflate")
            photos[f"{name} {how}.tif"] = Sample(tiff, shown, near)
    named = saved(scene(), "JPEG", quality=97, subsampling="4:4:4", exif=adobe_rgb_exif())
    photos["adobe by exif.jpg"] = Sample(named, SRGB.from_xyz(ADOBE_RGB.to_xyz(scene())), 1.5)
    icc = DISPLAY_P3.matrix_profile()
    shown = SRGB.from_xyz(DISPLAY_P3.to_xyz(scene()))
    photos["p3 heic.heic"] = Sample(saved(scene(), "HEIF", quality=95, icc_profile=icc), shown, 2.5)
    return photos


def _told() -> dict[str, Sample]:
    comments = {"comment": b"a comment", "xmp": XMP}
    jpeg = saved(scene(), "JPEG", quality=97, subsampling="4:4:4", exif=told_exif(), **comments)
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x12\x1c\x02\x78\0\x0dIPTC's words."
    jpeg = jpeg[:2] + b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc + jpeg[2:]
    long = saved(scene(), "HEIF", quality=95, exif=told_exif(note=bytes(range(1, 251)) * (LONG_NOTE // 250)))
    return {
        "told.jpg": Sample(jpeg, scene(), 1.5),
        "told png.png": Sample(saved(scene(), "PNG", exif=told_exif(), xmp=XMP), scene()),
        "told tiff.tif": Sample(saved(scene(), "TIFF", exif=told_exif()), scene()),
        "told heic.heic": Sample(saved(scene(), "HEIF", quality=95, exif=told_exif(), xmp=XMP), scene(), 2.0),
        "told much.heic": Sample(long, scene(), 2.0),
    }


def _of_every_mode() -> dict[str, Sample]:
    image, gray = Image.fromarray(scene()), scene()[..., 0]
    grays = np.repeat(gray[..., None], 3, axis=-1)
    dark, darker = gray_profile(3.0), gray_to_srgb(gray, 3.0)
    shade = np.random.default_rng(2).integers(0, 256, gray.shape, dtype=np.uint8)
    palette = image.quantize(64)
    few = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)[np.asarray(palette)]
    ink = Image.fromarray(np.dstack([255 - scene(), np.zeros_like(gray)]), "CMYK")
    black = np.repeat(((gray > 128) * np.uint8(255))[..., None], 3, axis=-1)
    return {
        "gray.png": Sample(saved(gray, "PNG"), grays),
        "gray.jpg": Sample(saved(gray, "JPEG", quality=97), grays, 1.5),
        "gray alpha.png": Sample(saved(np.dstack([gray, shade]), "PNG"), grays),
        "gray dark.png": Sample(saved(gray, "PNG", icc_profile=dark), darker, 0.1),
        "gray dark.jpg": Sample(saved(gray, "JPEG", quality=97, icc_profile=dark), darker, 2.5),
        "gray dark alpha.png": Sample(saved(np.dstack([gray, shade]), "PNG", icc_profile=dark), darker, 0.1),
        "alpha.png": Sample(saved(np.dstack([scene(), shade]), "PNG"), scene()),
        "alpha tiff.tif": Sample(saved(np.dstack([scene(), shade]), "TIFF"), scene()),
        "palette.png": Sample(saved(palette, "PNG"), few),
        "palette clear.png": Sample(saved(palette, "PNG", transparency=3), few),
        "ink.tif": Sample(saved(ink, "TIFF"), scene()),
        "ink.jpg": Sample(saved(ink, "JPEG", quality=97, subsampling="4:4:4"), scene(), 2.0),
        "black and white.png": Sample(saved(Image.fromarray(gray > 128), "PNG"), black),
        "fax.tif": Sample(saved(Image.fromarray(gray > 128), "TIFF", compression="group4"), black),
        "two pictures.mpo": Sample(
            saved(scene(), "MPO", quality=97, subsampling="4:4:4", save_all=True, append_images=[_other()]),
            scene(),
            1.5,
        ),
        "moving.png": Sample(saved(scene(), "PNG", save_all=True, append_images=[_other()]), scene()),
        "pages.tif": Sample(saved(scene(), "TIFF", save_all=True, append_images=[_other()]), scene()),
        **_deep(),
    }


def _other() -> Image.Image:
    return Image.fromarray(scene()[::-1])


def _deep() -> dict[str, Sample]:
    """Pictures of 10 and 16 bits; what is made of them has eight."""
    deep = scene().astype(np.uint16) * 257
    deep += np.random.default_rng(1).integers(-120, 120, deep.shape).astype(np.uint16) * (deep > 120) * (deep < 65_400)
    shown = np.rint(deep / 257).astype(np.uint8)
    grays = np.repeat(shown[..., :1], 3, axis=-1)
    photos = {}
    for suffix in ("png", "tif"):
        for name, pixels, rgb in (("deep", deep[..., ::-1], shown), ("deep gray", deep[..., 0], grays)):
            data = cv2.imencode(f".{suffix}", np.ascontiguousarray(pixels))[1].tobytes()
            photos[f"{name} {suffix}.{suffix}"] = Sample(data, rgb, 0.6)  # Pillow cuts instead of rounding
    return {**photos, "ten bits.heic": Sample(_ten_bits(deep), shown, 2.0)}


def _ten_bits(deep: Any) -> bytes:
    import pillow_heif

    file = pillow_heif.from_bytes("RGB;16", deep.shape[1::-1], deep.tobytes())
    stream = io.BytesIO()
    file.save(stream, quality=95)
    assert pillow_heif.open_heif(stream, convert_hdr_to_8bit=False).info["bit_depth"] == 10
    return stream.getvalue()


def _coarse() -> dict[str, Sample]:
    photos = {}
    for quality, sampling, name in ((35, "4:2:0", "coarse"), (75, "4:2:2", "middling"), (98, "4:4:4", "fine")):
        for how in ({}, {"progressive": True}):
            data = saved(scene(), "JPEG", quality=quality, subsampling=sampling, **how)
            photos[f"{name}{' progressive' if how else ''}.jpg"] = Sample(data, _decoded(data), 0.0)
    return photos


def _decoded(data: bytes) -> U8:
    """The picture of a JPEG that is too coarse to compare with what it was made of."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _odd() -> dict[str, Sample]:
    """Sizes and names that are seldom tried."""
    photos = {
        f"{width} x {height}.{suffix}": Sample(saved(scene()[:height, :width], kind), scene()[:height, :width], near)
        for width, height in ((1, 1), (1, 7), (9, 1), (131, 97))
        for suffix, kind, near in (("png", "PNG", 0.0), ("tif", "TIFF", 0.0))
    }
    dot = saved(scene()[:1, :1], "JPEG")
    photos["1 x 1.jpg"] = Sample(dot, _decoded(dot))
    plain = Sample(saved(scene(), "PNG"), scene())
    names = ("-leading.png", "--model.png", "a  b.png", "Ünï写真 \U0001f600.png", 'it\'s "so".png', "UPPER.PNG")
    return photos | dict.fromkeys((*names, "%s {0} $HOME.png", "two\nlines.png", "a.b.c.png"), plain)
