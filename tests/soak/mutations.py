"""Files of every format, and what may happen to them on a bad card, a torn cable or in hostile hands."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, Base

from dpedkit.types import U8

WIDTH, HEIGHT = 150, 110
Field = tuple[int, str]
"""Where a number stands in a file, and its struct format."""


@cache
def originals() -> dict[str, bytes]:
    """Return one picture as a file of each kind; the word before the first dash is its format."""
    from pillow_heif import register_heif_opener

    register_heif_opener()
    image = Image.fromarray(scene())
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model], exif[Base.Orientation] = "Maker", "A camera with a long name", 6
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2026:11:22 17:00:00"
    exif[IFD.GPSInfo] = {1: "N", 2: (47.0, 12.0, 30.0), 3: "E", 4: (8.0, 30.0, 0.0)}

    plain = {int(tag): exif[tag] for tag in (Base.Make, Base.Model, Base.Orientation)}

    def saved(kind: str, **options: Any) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **({"exif": exif.tobytes()} | options))
        return stream.getvalue()

    return {
        "jpeg": saved("JPEG", quality=90),
        "jpeg-progressive": saved("JPEG", quality=90, progressive=True),
        "jpeg-restarts": saved("JPEG", quality=90, restart_marker_rows=1),
        "jpeg-mpo": saved("MPO", save_all=True, append_images=[image.rotate(180)]),
        "png": saved("PNG"),
        "png-16": _png_16(),
        "tiff": saved("TIFF"),
        "tiff-lzw": saved("TIFF", compression="tiff_lzw", exif=b"", tiffinfo=plain),
        "tiff-deflate": saved("TIFF", compression="tiff_adobe_deflate", exif=b"", tiffinfo=plain),
        "heic": saved("HEIF", quality=80),
    }


def scene() -> U8:
    """Return a picture with shades, edges, texture and no mid-gray corner."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture = np.stack([x * 1.2 + 40, y * 1.6 + 30, 220 - x], axis=-1)
    picture[20:60, 30:90] = (200, 60, 40)
    picture[70:, 100:] += np.random.default_rng(0).normal(0, 12, (HEIGHT - 70, WIDTH - 100, 1))
    return picture.clip(0, 255).astype(np.uint8)


def _png_16() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene()[..., 0].astype(np.uint16) * 257).save(stream, "PNG")
    return stream.getvalue()


def mutate(kind: str, how: str, draw: random.Random) -> bytes:
    """Return one of the originals after one of HOWS befell it."""
    return HOWS[how](kind, bytearray(originals()[kind]), draw)


def _flip(kind: str, data: bytearray, draw: random.Random) -> bytes:
    reach = draw.choice([700, len(data)])
    for _ in range(draw.choice([1, 1, 2, 8])):
        data[draw.randrange(min(reach, len(data)))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _cut(kind: str, data: bytearray, draw: random.Random) -> bytes:
    return bytes(data[: draw.randrange(len(data))])


def _hole(kind: str, data: bytearray, draw: random.Random) -> bytes:
    """Zeros instead of the data, to the end or for a while: what a file system leaves after a power cut."""
    start = draw.randrange(len(data))
    length = draw.choice([len(data) - start, draw.randrange(1, 512)])
    data[start : start + length] = bytes(min(length, len(data) - start))
    return bytes(data)


def _swap(kind: str, data: bytearray, draw: random.Random) -> bytes:
    size = draw.randrange(1, len(data) // 8)
    one, two = (draw.randrange(len(data) - size) for _ in range(2))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]
    return bytes(data)


def _lose(kind: str, data: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    del data[start : start + draw.choice([1, 2, 64, 512])]
    return bytes(data)


def _repeat(kind: str, data: bytearray, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    data[start:start] = data[start : start + draw.choice([1, 2, 64, 512])]
    return bytes(data)


def _length(kind: str, data: bytearray, draw: random.Random) -> bytes:
    return _renumber(data, draw.choice(list(_lengths(kind, data))), draw)


def _size(kind: str, data: bytearray, draw: random.Random) -> bytes:
    for field in draw.choice([[0], [1], [0, 1]]):
        _renumber(data, list(_sizes(kind, data))[field], draw)
    return _with_checksums(data) if kind.startswith("png") else bytes(data)


def _exif(kind: str, data: bytearray, draw: random.Random) -> bytes:
    """Noise in the EXIF block, which no pixel hangs on."""
    start, end = _exif_span(kind, data)
    for _ in range(draw.choice([1, 4, 100])):
        data[draw.randrange(start, end)] = draw.randrange(256)
    return _with_checksums(data) if kind.startswith("png") else bytes(data)


def cases(kind: str) -> list[str]:
    """Return which of HOWS can befall a kind."""
    return [how for how in HOWS if how != "exif" or kind != "png-16"]


HOWS: dict[str, Callable[[str, bytearray, random.Random], bytes]] = {
    "flip": _flip,
    "cut": _cut,
    "hole": _hole,
    "swap": _swap,
    "lose": _lose,
    "repeat": _repeat,
    "length": _length,
    "size": _size,
    "exif": _exif,
}


def _renumber(data: bytearray, field: Field, draw: random.Random) -> bytes:
    offset, form = field
    (value,) = struct.unpack_from(form, data, offset)
    most = 256 ** struct.calcsize(form) - 1
    new = draw.choice(
        [0, 1, value - 1, value + 1, value + 16, 2 * value, 13_000, most // 2, most, draw.randint(0, most)]
    )
    struct.pack_into(form, data, offset, min(max(new, 0), most))
    return bytes(data)


def _lengths(kind: str, data: bytearray) -> Iterator[Field]:
    if kind.startswith("jpeg"):
        return ((at + 2, ">H") for at, _ in _segments(data))
    if kind.startswith("png"):
        return ((at, ">I") for at, _ in _chunks(data))
    if kind.startswith("tiff"):
        return (field for entry in _entries(data).values() for field in entry)
    return ((at, ">I") for at, _ in _boxes(data, 0, len(data)))


def _sizes(kind: str, data: bytearray) -> Iterator[Field]:
    """Yield where the width stands, and the height."""
    if kind.startswith("jpeg"):
        frame = next(at for at, marker in _segments(data) if marker in (0xC0, 0xC1, 0xC2))
        return iter([(frame + 7, ">H"), (frame + 5, ">H")])
    if kind.startswith("png"):
        return iter([(16, ">I"), (20, ">I")])
    if kind.startswith("tiff"):
        entries = _entries(data)
        return iter([entries[0x100][1], entries[0x101][1]])
    spatial = next(at for at, name in _boxes(data, 0, len(data)) if name == b"ispe")
    return iter([(spatial + 12, ">I"), (spatial + 16, ">I")])


def _exif_span(kind: str, data: bytearray) -> tuple[int, int]:
    if kind.startswith("jpeg"):
        at = next(at for at, marker in _segments(data) if marker == 0xE1)
        return at + 10, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if kind.startswith("png"):
        at = next(at for at, name in _chunks(data) if name == b"eXIf")
        return at + 8, at + 8 + int.from_bytes(data[at : at + 4], "big")
    start = data.rindex(b"Maker" if kind.startswith("tiff") else b"Exif\0\0")  # a TIFF file's tags are its structure
    return start, start + (5 if kind.startswith("tiff") else 150)


def _segments(data: bytearray) -> Iterator[tuple[int, int]]:
    """Yield the place and the marker of a JPEG's segments, up to its first scan's."""
    at = 2
    while True:
        yield at, data[at + 1]
        if data[at + 1] == 0xDA:
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def _chunks(data: bytearray) -> Iterator[tuple[int, bytes]]:
    at = 8
    while at < len(data):
        yield at, bytes(data[at + 4 : at + 8])
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _with_checksums(data: bytearray) -> bytes:
    """Return a PNG file whose checksums are right again."""
    for at, _ in list(_chunks(data)):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
    return bytes(data)


def _entries(data: bytearray) -> dict[int, tuple[Field, Field]]:
    """Return where each tag of a little-endian TIFF file has its count and its value."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    places = [start + 2 + 12 * number for number in range(count)]
    short = {at: struct.unpack_from("<H", data, at + 2)[0] == 3 for at in places}
    return {
        struct.unpack_from("<H", data, at)[0]: ((at + 4, "<I"), (at + 8, "<H" if short[at] else "<I")) for at in places
    }


def _boxes(data: bytearray, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the place and the name of a HEIC file's boxes, those inside others too."""
    inside = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"iinf": 14}
    while start + 8 <= end:
        size, name = int.from_bytes(data[start : start + 4], "big"), bytes(data[start + 4 : start + 8])
        yield start, name
        if name in inside:
            yield from _boxes(data, start + inside[name], start + size)
        start += max(size, 8)
