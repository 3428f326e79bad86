"""Whether a photo's data are whole, where its decoder does not say.

PNG and deflated TIFF carry checksums, which Pillow and libtiff do not always compare. JPEG carries none, and libjpeg
paints gray what is missing before an end marker: that is found. Other damage to pixels without a checksum is not.
"""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

from PIL import Image, ImageChops
from PIL.TiffImagePlugin import TiffImageFile

_PNG_HEAD = 8
_COMPRESSION, _DEFLATED = 259, (8, 32946)  # TIFF 6.0 and Adobe's technical notes for Photoshop, 2002
_STRIPS, _TILES = (273, 279), (324, 325)  # where they are, how long
_AT_ONCE = 1 << 20
_SAMPLES_BYTES = 8  # of a pixel, at most: what Pillow reads of TIFF
_WORTH = 2  # tiles stand out beyond the picture
_GRAY = range(127, 130)  # all coefficients zero, in any colour space of JPEG
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # T.81, B.1.1: neither a stuffed byte of a scan nor a restart
SCAN, END = 0xDA, 0xD9
_ALONE = (0x01, 0xD8)  # without a length
_MOST_WORK = 20 * 178_956_970  # pixels times scans: twice what encoders write, at the most pixels of a photo
_ZEROS = bytes(64)
_MORE = bytes(range(1, 255)) * 2  # codes of something, whatever the tables


def strain(path: Path, image: Image.Image) -> str:
    """Return why an image that Pillow has opened from `path` is not worth the time to decode; "" where it is.

    Each scan of a JPEG goes over all of its pixels: a few bytes each, they would keep a decoder busy for hours.
    """
    if image.format not in ("JPEG", "MPO"):
        return ""
    scans = len(_scan_ends(path.read_bytes())[0])
    if scans * image.width * image.height <= _MOST_WORK:
        return ""
    return f"{scans} scans of {image.width} x {image.height} pixels, more than any photo has"


def fault(path: Path, image: Image.Image) -> str:
    """Return what is wrong with the data of an image that Pillow has loaded from `path`; "" where nothing is seen."""
    if image.format == "PNG":
        return _png_fault(path.read_bytes())
    if image.format in ("JPEG", "MPO"):
        return _jpeg_fault(path, image)
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_COMPRESSION) in _DEFLATED:
        return _deflate_fault(path, image)
    return ""


def _png_fault(data: bytes) -> str:
    """Compare the checksum of every chunk (PNG specification, 5.3)."""
    at = _PNG_HEAD
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : end]).to_bytes(4, "big") != data[end : end + 4]:
            return f"damaged: the checksum of its {name.decode('ascii', 'replace')} chunk is wrong"
        if name == b"IEND":
            return ""
        at = end + 4
    return "image file is truncated (no IEND chunk)"


def _deflate_fault(path: Path, image: TiffImageFile) -> str:
    """Compare the checksum at the end of every strip's or tile's stream (RFC 1950, 2.2)."""
    strips, tiles = ([image.tag_v2.get(tag, ()) for tag in pair] for pair in (_STRIPS, _TILES))
    data, left = path.read_bytes(), _WORTH * (image.width * image.height * _SAMPLES_BYTES + _AT_ONCE)
    for offset, length in zip(*(strips if strips[0] else tiles), strict=True):
        piece, unpacking = data[offset : offset + length], zlib.decompressobj()
        while piece and not unpacking.eof and left > 0:
            left -= len(unpacking.decompress(piece, _AT_ONCE))
            piece = unpacking.unconsumed_tail
        if left <= 0:
            return "its strips hold more than its picture"
        if not unpacking.eof:
            return "image file is truncated (a strip ends early)"
    return ""


def _jpeg_fault(path: Path, image: Image.Image) -> str:
    """Look closer at a file that ends in zeros, and at a picture whose last pixel is the gray of missing data."""
    with path.open("rb") as stream:
        stream.seek(-min(len(_ZEROS), path.stat().st_size), io.SEEK_END)
        zeros = stream.read() == _ZEROS
    last = image.getpixel((image.width - 1, image.height - 1))
    gray = all(level in _GRAY for level in (last if isinstance(last, tuple) else (last,)))
    doubtful = gray or "progressive" in image.info  # whose missing scans leave no gray
    if not zeros and not doubtful:
        return ""
    data = path.read_bytes()
    ends, ended = _scan_ends(data)
    if zeros and not ended:
        return "image file is truncated (zeros to its end)"
    if doubtful and _differ(data, _with_more(data, ends)):
        return "image file is truncated (its data end before the picture does)"
    return ""


def _scan_ends(data: bytes) -> tuple[list[int], bool]:
    """Return where the scans of a file's first picture end, and whether its end marker is there."""
    ends: list[int] = []
    at, in_scan = 2, False
    while found := MARKER.search(data, at):
        if in_scan:
            ends.append(_before_fill(data, found.start()))
        code, at = found.group()[-1], found.end()
        if code == END:
            return ends, True
        in_scan = code == SCAN
        if code not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
    return ends, False


def _before_fill(data: bytes, at: int) -> int:
    """Return where the bytes begin that fill up the place before a marker (T.81, B.1.1.2)."""
    while data[at - 1] == 0xFF:
        at -= 1
    return at


def _with_more(data: bytes, ends: list[int]) -> bytes:
    """Return the file with more data at the end of each scan: a decoder reads them only where it misses some."""
    pieces = [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]
    return _MORE.join(pieces)


def _differ(one: bytes, other: bytes) -> bool:
    """Whether two JPEG files show different pictures; one that cannot be decoded differs."""
    try:
        pictures = [Image.open(io.BytesIO(data), formats=("JPEG",)).convert("RGB") for data in (one, other)]
    except OSError:
        return True
    return ImageChops.difference(*pictures).getbbox() is not None
