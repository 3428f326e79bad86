"""What a photo says of itself in EXIF, read with patience: cameras, phones and editors all write it differently."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_UPRIGHT = 1
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # TIFF 6.0, section 2: bytes of a value by its type
_IN_ENTRY = 4  # bytes of values that stand in the entry itself


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """The part of EXIF that dpedkit uses; None or "" where the photo does not tell.

    orientation  1-8, EXIF 2.32 tag 0x0112; 1 where missing or senseless
    taken_at     the camera's local wall clock when the shutter opened, with sub-seconds; no time zone
    taken_step   of taken_at, as the number of its digits tells: 10 ms where a Canon writes two after the second
    utc_offset   the time zone of taken_at
    exposure_s   exposure time, s
    auto_white   whether the camera chose its white balance
    focus_m      what it was focused at, m; infinity where it says so
    flash        whether the flash fired
    latitude     degrees, north positive
    longitude    degrees, east positive
    """

    orientation: int = _UPRIGHT
    make: str = ""
    model: str = ""
    taken_at: datetime | None = None
    taken_step: timedelta = timedelta(seconds=1)
    exposure_s: float | None = None
    f_number: float | None = None
    iso: int | None = None
    focal_mm: float | None = None
    auto_white: bool | None = None
    focus_m: float | None = None
    flash: bool | None = None
    latitude: float | None = None
    longitude: float | None = None
    utc_offset: timedelta | None = None


def read_facts(image: Image.Image) -> ExifFacts:
    """Read the EXIF of an opened image; whatever is broken in it counts as missing."""
    try:
        exif = image.getexif()
        detail, place = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
    except Exception:  # Pillow's parser raises whatever a malformed tag makes it stumble over
        return ExifFacts()
    orientation = exif.get(Base.Orientation)
    taken_at, taken_step = _taken_at(detail)
    iso = _number(detail, Base.ISOSpeedRatings)
    return ExifFacts(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else _UPRIGHT,
        make=_text(exif, Base.Make),
        model=_text(exif, Base.Model),
        taken_at=taken_at,
        taken_step=taken_step,
        exposure_s=_number(detail, Base.ExposureTime),
        f_number=_number(detail, Base.FNumber),
        iso=int(iso) if iso is not None else None,
        focal_mm=_number(detail, Base.FocalLength),
        auto_white=None if (white := detail.get(Base.WhiteBalance)) not in (0, 1) else white == 0,
        focus_m=_focus_m(detail),
        flash=bool(flash & 1) if isinstance(flash := detail.get(Base.Flash), int) else None,
        latitude=_degrees(place, GPS.GPSLatitude, GPS.GPSLatitudeRef, "NS", 90),
        longitude=_degrees(place, GPS.GPSLongitude, GPS.GPSLongitudeRef, "EW", 180),
        utc_offset=_utc_offset(_text(detail, Base.OffsetTimeOriginal)),
    )


def upright(exif: bytes) -> bytes:
    """Return the same EXIF block for pixels that have been turned upright: orientation 1, no thumbnail.

    Only those two values are patched, in place, so that maker notes, whose offsets are absolute, stay readable.
    A block that cannot be parsed comes back empty.
    """
    start = 6 if exif.startswith(b"Exif\x00\x00") else 0
    patched = bytearray(exif)
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(patched[start : start + 2])]
        ifd = start + struct.unpack_from(order + "I", patched, start + 4)[0]
        (entries,) = struct.unpack_from(order + "H", patched, ifd)
        for entry in range(ifd + 2, ifd + 2 + 12 * entries, 12):
            if struct.unpack_from(order + "H", patched, entry)[0] == Base.Orientation:
                struct.pack_into(order + "HIHH", patched, entry + 2, 3, 1, _UPRIGHT, 0)
        struct.pack_into(order + "I", patched, ifd + 2 + 12 * entries, 0)  # the thumbnail shows the old picture
    except (KeyError, struct.error):
        return b""
    return bytes(patched)


def without_place(exif: bytes) -> bytes:
    """Return the same EXIF block without the place: GPS entries and what they point to are gone, all else stays put.

    A block that cannot be parsed comes back empty.
    """
    start = 6 if exif.startswith(b"Exif\x00\x00") else 0
    patched = bytearray(exif)
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(patched[start : start + 2])]

        def read(form: str, at: int) -> tuple[int, ...]:
            return struct.unpack_from(order + form, patched, at)

        ifd = start + read("I", start + 4)[0]
        (count,) = read("H", ifd)
        end = ifd + 2 + 12 * count + 4  # the offset of the next directory included
        for entry in range(ifd + 2, end - 4, 12):
            if read("H", entry)[0] != Base.GPSInfo:
                continue
            place = start + read("I", entry + 8)[0]
            (entries,) = read("H", place)
            for value in range(place + 2, place + 2 + 12 * entries, 12):
                _, kind, times, offset = read("HHII", value)
                if (size := _SIZES.get(kind, 1) * times) > _IN_ENTRY:
                    patched[start + offset : start + offset + size] = bytes(len(patched[start + offset :][:size]))
            patched[place : place + 2 + 12 * entries] = bytes(2 + 12 * entries)
            patched[entry:end] = patched[entry + 12 : end] + bytes(12)
            struct.pack_into(order + "H", patched, ifd, count - 1)
            break
    except (KeyError, struct.error):
        return b""
    return bytes(patched)


def _taken_at(detail: Mapping[int, Any]) -> tuple[datetime | None, timedelta]:
    stamp = _text(detail, Base.DateTimeOriginal)
    fraction = _text(detail, Base.SubsecTimeOriginal)
    second = timedelta(seconds=1)
    try:
        taken = datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None, second
    if not (fraction.isascii() and fraction.isdigit()):
        return taken, second
    return taken + second * float(f"0.{fraction}"), max(second / 10 ** len(fraction), timedelta.resolution)


def _utc_offset(zone: str) -> timedelta | None:
    """Return "+09:00" as a length of time."""
    try:
        return datetime.strptime(zone, "%z").utcoffset()
    except ValueError:
        return None


def _focus_m(detail: Mapping[int, Any]) -> float | None:
    """Return SubjectDistance; EXIF 2.32 writes infinity as the numerator 0xFFFFFFFF and "unknown" as 0."""
    distance = detail.get(Base.SubjectDistance)
    if getattr(distance, "numerator", None) == 0xFFFFFFFF:
        return math.inf
    return _number(detail, Base.SubjectDistance)


def _degrees(place: Mapping[int, Any], tag: int, reference: int, signs: str, most: int) -> float | None:
    """Return degrees, minutes and seconds with their N/S or E/W as one signed number; None where they make no sense."""
    sign = _text(place, reference).upper()
    try:
        degrees, minutes, seconds = (float(part) for part in place.get(tag, ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if sign not in signs or not sign or not 0 <= value <= most:  # NaN is not within, either
        return None
    return value if sign == signs[0] else -value


def _text(tags: Mapping[int, Any], tag: int) -> str:
    value = tags.get(tag)
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip(" \x00") if isinstance(value, str) else ""


def _number(tags: Mapping[int, Any], tag: int) -> float | None:
    value = tags.get(tag)
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever cannot be a number is caught
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None
