"""What a camera writes beside, or instead of, a JPEG: raw files and HEIC."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from PIL import Image

from dpedkit.capture.simulate.exif import Shot, stamp
from dpedkit.capture.simulate.specs import CameraSpec
from dpedkit.errors import MissingExtra

RAW_ENDINGS = ("cr2", "cr3", "nef", "arw", "dng")
SENSOR_WHITE = 32768

_PREVIEW_PX = 160
_CFA, _RGB = 32803, 2
_D65 = 21
_XYZ_TO_SRGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _SIGNED_RATIONAL = 1, 2, 3, 4, 5, 7, 10


def check_endings(endings: Sequence[str]) -> None:
    """See that the files a camera is to write can be written here.

    Raises:
        MissingExtra: HEIC, and pillow-heif is not installed.
    """
    if "heic" in endings and find_spec("pillow_heif") is None:
        raise MissingExtra("pillow-heif", "heic")


def encode_heic(jpeg: bytes, exif: bytes, quality: int) -> bytes:
    """Return the picture of a JPEG as HEIC with that EXIF block."""
    from pillow_heif import from_pillow

    stream = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as image:
        from_pillow(image).save(stream, format="HEIF", exif=exif, quality=quality)
    return stream.getvalue()


def encode_dng(spec: CameraSpec, mosaic: bytes, jpeg: bytes, shot: Shot) -> bytes:
    """Return a raw file as DNG 1.4 lays it out: a small preview in IFD0, the sensor's RGGB mosaic in a SubIFD, EXIF.

    It stands for the makers' own formats, too: they are TIFF as well, and readers go by the content.

    mosaic  uint16 [H, W], little-endian, linear; SENSOR_WHITE is white; spec.size_px, rounded down to even numbers
    jpeg    the same shot, for the preview
    """
    with Image.open(io.BytesIO(jpeg)) as image:
        image.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
        preview, preview_px = image.convert("RGB").tobytes(), image.size
    facts = stamp(spec, shot)
    width, height = (side // 2 * 2 for side in spec.size_px)
    first = [
        _entry(254, _LONG, 1),
        *_picture(preview_px, (8, 8, 8), _RGB),
        _entry(271, _ASCII, spec.make),
        _entry(272, _ASCII, spec.model),
        _entry(274, _SHORT, 1),
        _entry(306, _ASCII, facts.second),
        _entry(50706, _BYTE, 1, 4, 0, 0),
        _entry(50707, _BYTE, 1, 1, 0, 0),
        _entry(50708, _ASCII, f"{spec.make} {spec.model}"),
        _entry(50721, _SIGNED_RATIONAL, *(part for x in _XYZ_TO_SRGB for part in (round(x * 10000), 10000))),
        _entry(50728, _RATIONAL, 1, 1, 1, 1, 1, 1),
        _entry(50778, _SHORT, _D65),
    ]
    raw = [
        _entry(254, _LONG, 0),
        *_picture((width, height), (16,), _CFA),
        _entry(33421, _SHORT, 2, 2),
        _entry(33422, _BYTE, 0, 1, 1, 2),
        _entry(50714, _SHORT, 0),
        _entry(50717, _LONG, SENSOR_WHITE),
    ]
    exif = [
        _entry(33434, _RATIONAL, *facts.exposure),
        _entry(33437, _RATIONAL, round(shot.f_number * 10), 10),
        _entry(34855, _SHORT, shot.iso),
        _entry(36864, _UNDEFINED, *b"0230"),
        _entry(36867, _ASCII, facts.second),
        _entry(36881, _ASCII, "+00:00"),
        _entry(37521, _ASCII, facts.subsecond),
        _entry(41987, _SHORT, 0 if shot.auto_white_balance else 1),
        _entry(42033, _ASCII, spec.serial),
    ]
    return _tiff(first, preview, raw, mosaic, exif)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One tag of a TIFF directory, its values as they lie in the file."""

    tag: int
    kind: int
    count: int
    data: bytes


def _entry(tag: int, kind: int, *values: int | str) -> _Entry:
    """Return a tag; a rational is two values."""
    text = "".join(value for value in values if isinstance(value, str))
    numbers = [value for value in values if isinstance(value, int)]
    if kind == _ASCII:
        data = text.encode() + b"\0"
        return _Entry(tag, kind, len(data), data)
    code = {_BYTE: "B", _UNDEFINED: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SIGNED_RATIONAL: "i"}[kind]
    count = len(numbers) // 2 if kind in (_RATIONAL, _SIGNED_RATIONAL) else len(numbers)
    return _Entry(tag, kind, count, struct.pack(f"<{len(numbers)}{code}", *numbers))


def _picture(size_px: tuple[int, int], bits: tuple[int, ...], photometric: int) -> list[_Entry]:
    """Return the tags of an uncompressed picture in one strip; where it lies is told last, by `_tiff`."""
    width, height = size_px
    return [
        _entry(256, _LONG, width),
        _entry(257, _LONG, height),
        _entry(258, _SHORT, *bits),
        _entry(259, _SHORT, 1),
        _entry(262, _SHORT, photometric),
        _entry(277, _SHORT, len(bits)),
        _entry(278, _LONG, height),
        _entry(279, _LONG, width * height * sum(bits) // 8),
        _entry(284, _SHORT, 1),
    ]


def _tiff(first: list[_Entry], preview: bytes, raw: list[_Entry], mosaic: bytes, exif: list[_Entry]) -> bytes:
    """Lay a file out: header, three directories, the two pictures."""
    sizes = [_size(entries) for entries in ([*first, _entry(273, _LONG, 0)], [*raw, _entry(273, _LONG, 0)], exif)]
    sizes[0] += 2 * 12  # the pointers to the other two directories
    at_raw = 8 + sizes[0]
    at_exif = at_raw + sizes[1]
    at_preview = at_exif + sizes[2]
    at_mosaic = at_preview + len(preview) + len(preview) % 2
    pointers = [_entry(273, _LONG, at_preview), _entry(330, _LONG, at_raw), _entry(34665, _LONG, at_exif)]
    directories = (
        _directory([*first, *pointers], 8)
        + _directory([*raw, _entry(273, _LONG, at_mosaic)], at_raw)
        + _directory(exif, at_exif)
    )
    return b"II*\0" + struct.pack("<I", 8) + directories + preview + b"\0" * (len(preview) % 2) + mosaic


def _size(entries: list[_Entry]) -> int:
    return 2 + 12 * len(entries) + 4 + sum(len(entry.data) + len(entry.data) % 2 for entry in entries if _far(entry))


def _far(entry: _Entry) -> bool:
    """Return whether the values are too long to stand in the entry itself."""
    return len(entry.data) > 4


def _directory(entries: list[_Entry], start: int) -> bytes:
    """Return a directory that begins at `start`, with the values that do not fit into its entries after it."""
    head = struct.pack("<H", len(entries))
    values = b""
    behind = start + 2 + 12 * len(entries) + 4
    for entry in sorted(entries, key=lambda entry: entry.tag):
        head += struct.pack("<HHI", entry.tag, entry.kind, entry.count)
        if _far(entry):
            head += struct.pack("<I", behind + len(values))
            values += entry.data + b"\0" * (len(entry.data) % 2)
        else:
            head += entry.data.ljust(4, b"\0")
    return head + struct.pack("<I", 0) + values
