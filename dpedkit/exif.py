"""What a photo says of itself in EXIF, read with patience: cameras, phones and editors all write it differently."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

_UPRIGHT = 1
_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # TIFF 6.0, section 2: bytes of a value by its type
_HEAD = b"Exif\x00\x00"
_IN_ENTRY = 4  # bytes of values that stand in the entry itself
_LONG, _TIFF = 4, 42  # TIFF 6.0, section 2: a type; what each file says after its byte order
_OF_A_PICTURE = frozenset(
    {Base.ImageDescription, Base.Make, Base.Model, Base.Orientation, Base.XResolution, Base.YResolution}
    | {Base.ResolutionUnit, Base.Software, Base.DateTime, Base.Artist, Base.HostComputer, Base.Copyright}
    | {Base.XPTitle, Base.XPComment, Base.XPAuthor, Base.XPKeywords, Base.XPSubject}
)  # EXIF 2.32, table 3 and Windows' own; not how a TIFF holds its pixels


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


def stored(image: Image.Image) -> bytes:
    """Return the EXIF block of an opened image: as the file holds it, or put together where it lies in pieces.

    It begins with "Exif", as a JPEG's must; a HEIC's does not. A TIFF's own directory holds the EXIF of its picture,
    beside what describes the file; a PNG may hold it as text.
    """
    if block := image.info.get("exif"):
        return _HEAD + bytes(block).removeprefix(_HEAD)
    kept = Image.Exif()
    try:
        exif = image.getexif()
        kept.update({tag: value for tag, value in exif.items() if tag in _OF_A_PICTURE})
        for directory in (IFD.Exif, IFD.GPSInfo):
            if found := exif.get_ifd(directory):
                kept.get_ifd(directory).update(found)
        return kept.tobytes() if kept or kept.get_ifd(IFD.Exif) or kept.get_ifd(IFD.GPSInfo) else b""
    except Exception:  # Pillow's parser raises whatever a malformed tag makes it stumble over
        return b""


def upright(exif: bytes, width: int, height: int) -> bytes:
    """Return the same EXIF block for pixels that have been turned upright: orientation 1, their size, no thumbnail.

    Values are patched in place, so that maker notes, whose offsets are absolute, stay readable. The thumbnail, which
    shows the old picture, is overwritten, and cut off where it stands at the end. A block that cannot be parsed comes
    back empty.
    """
    sizes: dict[int, int] = dict.fromkeys((Base.ImageWidth, Base.ExifImageWidth), width)
    sizes |= dict.fromkeys((Base.ImageLength, Base.ExifImageHeight), height)
    try:
        block = _Block(exif)
        for entry in block.entries(block.first):
            tag = block.read("H", entry)[0]
            if tag == Base.Orientation:
                block.write("HIHH", entry + 2, 3, 1, _UPRIGHT, 0)
            elif tag in sizes:
                block.write("HII", entry + 2, _LONG, 1, sizes[tag])
            elif tag == IFD.Exif:
                with suppress(struct.error):  # it leads out of the block: what stands before it is still good
                    for inner in block.entries(block.start + block.read("I", entry + 8)[0]):
                        if (tag := block.read("H", inner)[0]) in sizes:
                            block.write("HII", inner + 2, _LONG, 1, sizes[tag])
        with suppress(KeyError, struct.error):  # it is cut off, or is where the block begins: its offset is gone
            block.drop_thumbnail()
    except (KeyError, struct.error):
        return b""
    return bytes(block.data)


def is_sound(exif: bytes) -> bool:
    """Whether Pillow can write every value of a block anew, as a TIFF's own."""
    kept = Image.Exif()
    try:
        kept.load(exif)
        kept.tobytes()
    except Exception:  # it raises whatever a malformed value makes it stumble over
        return False
    return True


def within(exif: bytes, limit_bytes: int) -> bytes:
    """Return an EXIF block that fits: itself, or without its maker note and comment, which are what makes one long.

    One that is too long even so comes back empty.
    """
    if len(exif) <= limit_bytes:
        return exif
    kept = Image.Exif()
    try:
        kept.load(exif)
        for tag in (Base.MakerNote, Base.UserComment):
            kept.get_ifd(IFD.Exif).pop(tag, None)
        shorter = kept.tobytes()
    except Exception:  # Pillow's parser raises whatever a malformed tag makes it stumble over
        return b""
    return shorter if len(shorter) <= limit_bytes else b""


def without_place(exif: bytes) -> bytes:
    """Return the same EXIF block without the place: GPS entries and what they point to are gone, all else stays put.

    A block that cannot be parsed comes back empty.
    """
    try:
        block = _Block(exif)
        entries = block.entries(block.first)
        for entry in entries:
            if block.read("H", entry)[0] == Base.GPSInfo:
                block.clear(block.start + block.read("I", entry + 8)[0])
                after = entries.stop + 4  # with the offset of the next directory, which moves up, too
                block.data[entry:after] = block.data[entry + 12 : after] + bytes(12)
                block.write("H", block.first, len(entries) - 1)
                break
    except (KeyError, struct.error):
        return b""
    return bytes(block.data)


class _Block:
    """An EXIF block that is patched in place: TIFF, its offsets counted from `start`; `first` is its first directory.

    Raises KeyError or struct.error where it cannot be parsed, and so does every method.
    """

    def __init__(self, exif: bytes) -> None:
        self.data = bytearray(exif)
        self.start = len(_HEAD) if exif.startswith(_HEAD) else 0
        self._order = {b"II": "<", b"MM": ">"}[exif[self.start : self.start + 2]]
        if self.read("H", self.start + 2)[0] != _TIFF:
            raise KeyError(_TIFF)
        self.first = self.start + self.read("I", self.start + 4)[0]

    def read(self, form: str, at: int) -> tuple[int, ...]:
        """Return the numbers at a place."""
        return struct.unpack_from(self._order + form, self.data, at)

    def write(self, form: str, at: int, *values: int) -> None:
        """Set the numbers at a place."""
        struct.pack_into(self._order + form, self.data, at, *values)

    def entries(self, directory: int) -> range:
        """Return where a directory's entries begin, each of 12 bytes."""
        return range(directory + 2, directory + 2 + 12 * self.read("H", directory)[0], 12)

    def drop_thumbnail(self) -> None:
        """End the list of directories after the first; the second is the thumbnail's (EXIF 2.32, 4.5.1)."""
        following = self.entries(self.first).stop
        (offset,) = self.read("I", following)
        self.write("I", following, 0)
        if not offset:
            return
        place = {self.read("H", entry)[0]: self.read("I", entry + 8)[0] for entry in self.entries(self.start + offset)}
        at, size = place.get(Base.JpegIFOffset, 0), place.get(Base.JpegIFByteCount, 0)
        self.clear(self.start + offset)
        if at:
            self._zero(self.start + at, size)
            if self.start + at + size >= len(self.data) > self.start + at > self.first:
                del self.data[self.start + at :]

    def clear(self, directory: int) -> None:
        """Write zeros over a directory and the values that its entries point to."""
        entries = self.entries(directory)
        for entry in entries:
            _, kind, count, offset = self.read("HHII", entry)
            if (size := _SIZES.get(kind, 1) * count) > _IN_ENTRY:
                self._zero(self.start + offset, size)
        self._zero(directory, entries.stop - directory)

    def _zero(self, at: int, size: int) -> None:
        kept = self.entries(self.first).stop + 4
        if at < self.start + 8 or (at < kept and at + size > self.first):
            raise KeyError(at)  # what it says is its place, or its thumbnail's, is where it begins itself
        self.data[at : at + size] = bytes(len(self.data[at : at + size]))


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
