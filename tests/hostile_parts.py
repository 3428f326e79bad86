"""Pieces that hostile files are put together from: chunks, segments, directories, profiles, and much in few bytes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from functools import cache

from PIL import ImageCms

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7  # TIFF 6.0, section 2
Entry = tuple[int, int, int, int]
"""A directory's entry: tag, type, count, value or offset."""


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_with(png: bytes, chunks: bytes) -> bytes:
    """Return a PNG file with more chunks after its header."""
    return png[:33] + chunks + png[33:]


def png_of(width: int, height: int, packed: bytes, *, bits: int = 8, colour: int = 0) -> bytes:
    """Return a PNG file that announces a size, with whatever it has for pixels."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def jpeg_segment(code: int, content: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(jpeg: bytes, segments: bytes) -> bytes:
    """Return a JPEG file with more segments at its beginning."""
    return jpeg[:2] + segments + jpeg[2:]


def jpeg_sized(jpeg: bytes, width: int, height: int) -> bytes:
    """Return a JPEG file, baseline or progressive, that announces another size."""
    frame = max(jpeg.find(b"\xff\xc0\x00\x11"), jpeg.find(b"\xff\xc2\x00\x11"))
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


def directory(entries: Sequence[Entry], following: int = 0, count: int | None = None) -> bytes:
    """Return a little-endian TIFF directory; it may lie about how many entries it has."""
    rows = b"".join(
        struct.pack("<HHII" if kind != SHORT or number != 1 else "<HHIHxx", tag, kind, number, value)
        for tag, kind, number, value in entries
    )
    return struct.pack("<H", len(entries) if count is None else count) + rows + struct.pack("<I", following)


def tiff(entries: Sequence[Entry], body: bytes = b"", following: int = 0) -> bytes:
    """Return a TIFF file: its header, what lies between (from byte 8 on), its one directory."""
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory(entries, following)


def tiff_picture(width: int, height: int, *, packing: int, strips: int, length: int) -> list[Entry]:
    """Return the entries of a gray picture whose strips' offsets stand at byte 8, their lengths after these."""
    rows = -(-height // strips)
    sizes = [(256, LONG, 1, width), (257, LONG, 1, height), (258, SHORT, 1, 8), (259, SHORT, 1, packing)]
    places = [(262, SHORT, 1, 1), (273, LONG, strips, 8), (277, SHORT, 1, 1), (278, LONG, 1, rows)]
    if strips == 1:  # a single one stands in the entry itself
        places[1] = (273, LONG, 1, 16)
        return [*sizes, *places, (279, LONG, 1, length)]
    return [*sizes, *places, (279, LONG, strips, 8 + 4 * strips)]


@cache
def much(size: int, level: int = 6) -> bytes:
    """Return `size` zeros, deflated: a thousandth of them."""
    return zlib.compress(bytes(size), level)


@cache
def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(tags: Sequence[tuple[bytes, bytes]], *, count: int | None = None, size: int | None = None) -> bytes:
    """Return an ICC profile of RGB with these tags; it may lie about their number and its size."""
    at = 132 + 12 * len(tags)
    table = b""
    for name, content in tags:
        table += struct.pack(">4sII", name, at, len(content))
        at += len(content)
    head = bytearray(srgb()[:128])
    head[:4] = struct.pack(">I", at if size is None else size)
    number = struct.pack(">I", len(tags) if count is None else count)
    return bytes(head) + number + table + b"".join(content for _, content in tags)


def cube(grid: int, inputs: int = 3, outputs: int = 3, *, size: int = 100) -> bytes:
    """Return the head of a lookup table (lut16Type, ICC.1:2022, 10.12) with as many points as it likes to say."""
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    return b"mft2\0\0\0\0" + bytes([inputs, outputs, grid, 0]) + matrix + struct.pack(">HH", 4096, 4096) + bytes(size)


def icc_segments(icc: bytes, numbers: Sequence[tuple[int, int]] = ((1, 1),)) -> bytes:
    """Return a JPEG's segments of a profile, each with its number and how many there are said to be."""
    step = -(-len(icc) // len(numbers))
    parts = [icc[at * step : (at + 1) * step][:65_000] for at in range(len(numbers))]
    return b"".join(
        jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes(number) + part) for number, part in zip(numbers, parts, strict=True)
    )


def flipped(data: bytes, draw: random.Random, count: int, start: int = 0) -> bytes:
    """Return data of which some bits from a place on are the other way round."""
    changed = bytearray(data)
    for _ in range(count):
        changed[draw.randrange(start, len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)
