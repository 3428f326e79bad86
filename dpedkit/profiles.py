"""Colour profiles: pixels into sRGB, and from there into the profile that a photo carries."""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
from PIL import Image, ImageCms
from PIL.ExifTags import IFD, Interop

_ADOBE_RGB = "R03"  # EXIF's interoperability index of DCF's optional colour space: JEITA CP-3461, DCF 2.0
_GAMMA = 563 / 256
_D50 = (0.9642, 1.0, 0.8249)
_RED, _GREEN, _BLUE = (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)
"""Adobe RGB (1998) Color Image Encoding, version 2005-05: XYZ of its primaries, adapted to D50, and its curve."""


def carried_profile(image: Image.Image) -> bytes:
    """Return the colour profile of an opened photo, b"" where it has none.

    A camera that is set to Adobe RGB embeds none: it says so in EXIF.
    """
    icc = image.info.get("icc_profile") or b""
    return icc or (_adobe_rgb() if _says_adobe_rgb(image) else b"")


def _says_adobe_rgb(image: Image.Image) -> bool:
    try:
        exif = image.getexif()
        return IFD.Exif in exif and exif.get_ifd(IFD.Interop).get(Interop.InteropIndex) == _ADOBE_RGB
    except Exception:  # Pillow's parser raises whatever a malformed tag makes it stumble over
        return False


@cache
def _adobe_rgb() -> bytes:
    """Return its ICC profile: three colours and a curve (ICC.1:2001-04, 6.3.1.2)."""
    name = b"Compatible with Adobe RGB (1998)\0"
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * _GAMMA)) + bytes(2)
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text\0\0\0\0No copyright, use freely\0",
        b"wtpt": _xyz(_D50),
        **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, (_RED, _GREEN, _BLUE)), strict=True)),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(body), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2005, 5, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + table + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Return a photo's pixels, of whatever mode and in whatever profile it carries, as RGB in sRGB, 8 bit.

    Transparency is dropped: the colours under it are shown as they are stored.

    Raises:
        ValueError: its numbers are fractions, whose white nothing tells.
    """
    if image.mode == "F":
        raise ValueError("its pixels are fractions; those of photos are whole numbers of up to 16 bits")
    if image.mode.startswith("I"):  # 16-bit gray: 65535 / 257 = 255
        gray = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(gray / 257), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("L" if image.mode in ("LA", "1") else "RGB")
    profile = _profile(icc, "RGB" if image.mode == "RGB" else image.mode)
    if profile is not None:
        try:
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return converted if converted is not None else image.convert("RGB")
        except ImageCms.PyCMSError:
            pass  # a profile that does not fit its pixels: they are taken for sRGB, as viewers do
    return image.convert("RGB")


def to_profile(image: Image.Image, icc: bytes) -> tuple[Image.Image, bytes]:
    """Convert sRGB pixels into an RGB profile; return them with the profile to embed."""
    profile = _profile(icc, "RGB")
    if profile is None:
        return image, icc if _is_srgb(icc) else b""
    try:
        converted = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), profile, outputMode="RGB")
    except ImageCms.PyCMSError:
        return image, b""
    return (converted, icc) if converted is not None else (image, b"")


def _profile(icc: bytes, mode: str) -> ImageCms.ImageCmsProfile | None:
    """Return the profile to convert from; None where there is none, it is sRGB, or it is for other pixels."""
    space = {"RGB": b"RGB ", "CMYK": b"CMYK", "L": b"GRAY"}[mode]
    if icc[16:20] != space or _is_srgb(icc):
        return None
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ImageCms.PyCMSError):
        return None


def _is_srgb(icc: bytes) -> bool:
    try:
        return bool(icc) and "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    except (OSError, ImageCms.PyCMSError):
        return False
