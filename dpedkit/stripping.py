"""What a photo tells beside its picture, taken out of the file; not a bit of the picture or its colours changes.

What stays is named here, and all else goes: places, times, serial numbers, owners, maker notes, thumbnails, comments,
XMP, IPTC, further pictures and whatever stands after the end of the first.
"""

from __future__ import annotations

import io
import warnings
import zlib

from PIL import Image
from PIL.ExifTags import IFD, Base

from dpedkit.errors import ImageError
from dpedkit.wholeness import END, MARKER, SCAN

_ABOUT_THE_PICTURE = frozenset(
    {Base.Make, Base.Model, Base.Orientation, Base.XResolution, Base.YResolution, Base.ResolutionUnit}
    | {Base.YCbCrPositioning}
)
_ABOUT_THE_EXPOSURE = frozenset(
    {Base.ExifVersion, Base.ExposureTime, Base.FNumber, Base.ExposureProgram, Base.ISOSpeedRatings}
    | {Base.ExposureBiasValue, Base.MeteringMode, Base.LightSource, Base.Flash, Base.FocalLength, Base.ColorSpace}
    | {Base.ExifImageWidth, Base.ExifImageHeight, Base.ExposureMode, Base.WhiteBalance, Base.DigitalZoomRatio}
    | {Base.FocalLengthIn35mmFilm, Base.SceneCaptureType, Base.LensSpecification, Base.LensMake, Base.LensModel}
)
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"pHYs"}
)
_JPEG_KEPT = {0xE0: b"JFIF\x00", 0xE2: b"ICC_PROFILE\x00", 0xEE: b"Adobe"}  # applications' segments -> how they begin


def strip_private(data: bytes, name: str) -> bytes:
    """Return a JPEG or PNG file with its picture, colour profile and orientation, and of its EXIF the exposure alone.

    name  of the file, for messages

    Raises:
        ImageError: it is of another kind, which cannot be rewritten without a loss.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, _told(data))
    if data.startswith(_PNG_HEAD):
        return _png(data, _told(data))
    raise ImageError(f"{name}: only JPEG and PNG are stripped of what is private without a loss", "leave it out")


def _told(data: bytes) -> bytes:
    """Return the EXIF block that stays; empty where there is none."""
    kept = Image.Exif()
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            exif = image.getexif()
            kept.update({tag: value for tag, value in exif.items() if tag in _ABOUT_THE_PICTURE})
            detail = exif.get_ifd(IFD.Exif)
            kept.get_ifd(IFD.Exif).update({tag: value for tag, value in detail.items() if tag in _ABOUT_THE_EXPOSURE})
            return kept.tobytes() if kept or kept.get_ifd(IFD.Exif) else b""
    except Exception:  # Pillow's parser raises whatever a malformed tag makes it stumble over
        only = Image.Exif()
        turned = kept.get(Base.Orientation)
        if not isinstance(turned, int):
            return b""
        only[Base.Orientation] = turned
        return only.tobytes()


def _jpeg(data: bytes, exif: bytes) -> bytes:
    pieces = [data[:2]]
    if exif:
        pieces.append(b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif)
    at, in_scan = 2, False
    while found := MARKER.search(data, at):
        if in_scan:
            pieces.append(data[at : found.start()])
        code, at = found.group()[-1], found.end()
        if code == END:
            break
        end = at + int.from_bytes(data[at : at + 2], "big")
        if _is_kept(code, data[at + 2 : end]):
            pieces += [bytes([0xFF, code]), data[at:end]]
        at, in_scan = end, code == SCAN
    else:
        pieces.append(data[at:] if in_scan else b"")
    return b"".join([*pieces, bytes([0xFF, END])])


def _is_kept(code: int, content: bytes) -> bool:
    """Whether a segment stays: tables and headers do, of what applications add only what changes the colours."""
    if 0xE0 <= code <= 0xEF or code == 0xFE:
        return code in _JPEG_KEPT and content.startswith(_JPEG_KEPT[code])
    return True


def _png(data: bytes, exif: bytes) -> bytes:
    pieces, at = [_PNG_HEAD], len(_PNG_HEAD)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if name in _PNG_KEPT:
            pieces.append(data[at:end])
        if name == b"IHDR" and exif:
            pieces.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\x00\x00")))
        if name == b"IEND":
            break
        at = end
    return b"".join(pieces)


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
