"""Hostile files, one for each seed: what decoders fall over, what is no photo, names that mean to go elsewhere."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import hostile_parts as parts
from hostile_parts import ASCII, LONG, RATIONAL, SHORT, UNDEFINED
from mutations import cases, mutate, originals
from PIL import Image

Fate = Literal["read", "refused", "either"]

SUFFIXES = ("jpg", "png", "tif", "heic", "mpo", "jpeg", "JPG")
NAMES = (
    *("../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "C:\\x.jpg", "~/x.jpg", "....//....//x"),
    *("%2e%2e%2fx", "%00", "a%0d%0ab.jpg", "a\r\nX-Evil: 1.jpg", "a\nb.jpg", "a\x00.jpg", "\x1b[2J.jpg"),
    *("gpj.\u202eexe", "\u2066a\u2069.jpg", "<img src=x onerror=alert(1)>.jpg", "'; --.jpg", "{{7*7}}.png"),
    *("", ".", "..", "...", " ", "con.jpg", "NUL", "aux.png", "COM1.tif", "a/b/c.jpg", "-rf.jpg", "--model.png"),
    *("x" * 4000, "x" * 250 + ".jpg", "é" * 4000, "\U0001f600.jpg", "\U0001f468\u200d\U0001f469.jpg", "$(id).jpg", "*"),
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file.

    kind      what it tries, one of KINDS
    name      how, in a few words
    data      its bytes, at most 2.5 MB
    filename  what it calls itself: for people to read, not for a file system
    fate      "read" where the picture is whole and only what stands around it is bad; "refused" where there is none
    """

    kind: str
    name: str
    data: bytes
    filename: str = "photo.jpg"
    fate: Fate = "either"


def hostile(seed: int) -> Hostile:
    """Return the file of a seed: kinds take turns, the rest is drawn."""
    kinds = list(KINDS)
    return KINDS[kinds[seed % len(kinds)]](random.Random(seed))


def _truncated(draw: random.Random) -> Hostile:
    kind = draw.choice(list(originals()))
    fate: Fate = "either" if kind == "jpeg-mpo" else "refused"  # only its first picture counts
    return Hostile("truncated", kind, mutate(kind, "cut", draw), draw.choice(NAMES), fate)


def _damaged(draw: random.Random) -> Hostile:
    kind = draw.choice(list(originals()))
    how = draw.choice([how for how in cases(kind) if how != "cut"])
    return Hostile("damaged", f"{kind} {how}", mutate(kind, how, draw), _named_so(draw))


def _bomb(draw: random.Random) -> Hostile:
    """A few bytes that are gigabytes, all of them there: more than the limit of pixels, or within it, or lied about."""
    side = draw.choice([13_000, 13_000, 20_000, 60_000])
    packed = parts.much(13_000 * 13_001)
    how = draw.choice(["png", "png rgba", "png short", "tiff", "tiff strips", "gif", "webp", "heic"])
    data = {
        "png": lambda: parts.png_of(side, side, packed),
        "png rgba": lambda: parts.png_of(side, side // 4, packed, colour=6),
        "png short": lambda: parts.png_of(500, 500, packed),
        "tiff": lambda: parts.tiff(
            parts.tiff_picture(side, side, packing=8, strips=1, length=len(packed)), bytes(8) + packed
        ),
        "tiff strips": lambda: _strips(packed, count=draw.choice([100, 20_000])),
        "gif": lambda: b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x08",
        "webp": lambda: b"RIFF\x30\0\0\0WEBPVP8L\x20\0\0\0\x2f\xff\xff\xff\x0f" + bytes(27),
        "heic": lambda: _heic_sized(draw.choice([13_000, 65_535, 2**31, 2**32 - 1])),
    }[how]()
    return Hostile("bomb", how, data, fate="refused" if how in ("gif", "webp") else "either")


def _strips(packed: bytes, count: int) -> bytes:
    """A small TIFF each of whose rows is the same strip, of 169 MB when unpacked."""
    body = struct.pack(f"<{count}I", *[8 + 8 * count] * count) + struct.pack(f"<{count}I", *[len(packed)] * count)
    return parts.tiff(parts.tiff_picture(100, count, packing=8, strips=count, length=0), body + packed)


def _heic_sized(side: int) -> bytes:
    data = bytearray(originals()["heic"])
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", side, side)
    return bytes(data)


def _header(draw: random.Random) -> Hostile:
    """A header that announces more than follows."""
    side = draw.choice([13_000, 20_000, 60_000, 65_500])
    how = draw.choice(["jpeg", "jpeg progressive", "png", "png wide", "png 16", "tiff", "tiff samples", "tiff tiles"])
    entries = parts.tiff_picture(side, side, packing=1, strips=1, length=8)
    data = {
        "jpeg": lambda: parts.jpeg_sized(originals()["jpeg"], side, side),
        "jpeg progressive": lambda: parts.jpeg_sized(originals()["jpeg-progressive"], side, side),
        "png": lambda: parts.png_of(side, side, parts.much(1 << 20), colour=2),
        "png wide": lambda: parts.png_of(2**31 - 1, draw.choice([1, 2**31 - 1]), parts.much(1 << 20)),
        "png 16": lambda: parts.png_of(side, side, parts.much(1 << 20), bits=16, colour=6),
        "tiff": lambda: parts.tiff(entries, bytes(16)),
        "tiff samples": lambda: parts.tiff([*entries, (277, SHORT, 1, 65_535), (338, SHORT, 65_535, 8)], bytes(16)),
        "tiff tiles": lambda: parts.tiff(
            [*entries[:5], (322, LONG, 1, side), (323, LONG, 1, side), (324, LONG, 2**31, 8)], bytes(16)
        ),
    }[how]()
    return Hostile("header", f"{how} {side}", data, fate="refused")


def _exif(draw: random.Random) -> Hostile:
    """EXIF whose directories point at themselves, count to four billion, or hold what no tag may hold."""
    most = 2**32 - 1
    how = draw.choice(["itself", "chain", "count", "entries", "nested", "types", "zeros", "noise", "long"])
    one = draw.choice([0x8769, 0x8825, 0xA005, 0x014A, 0x0112, 0x9003, 0x927C])
    block = {
        "itself": lambda: parts.tiff([(one, LONG, 1, 8)], following=8),
        "chain": lambda: _chain(draw.choice([10, 3000])),
        "count": lambda: parts.tiff([(one, draw.choice([ASCII, RATIONAL, 12]), draw.choice([most, 2**29]), 0)]),
        "entries": lambda: b"II*\0\x08\0\0\0" + parts.directory([(one, LONG, 1, 8)] * 3, count=65_535),
        "nested": lambda: parts.tiff([(0x8769, LONG, 1, 8), (0x8825, LONG, 1, 8), (0xA005, LONG, 1, 8)]),
        "types": lambda: parts.tiff([(tag, draw.randrange(20), 1, draw.randrange(99)) for tag in (0x0112, one)]),
        "zeros": lambda: parts.tiff([(0x8825, LONG, 1, 8)], parts.directory([(2, RATIONAL, 3, 40)]) + bytes(64)),
        "noise": lambda: b"II*\0\x08\0\0\0" + draw.randbytes(draw.randrange(2000)),
        "long": lambda: parts.tiff([(one, UNDEFINED, 65_000, 8)], bytes(65_000)),
    }[how]()
    holder = draw.choice(["jpeg", "png", "tiff"])
    if holder == "tiff":
        return Hostile("exif", f"tiff {how}", block)
    if holder == "png":
        data = parts.png_with(originals()["png"], parts.png_chunk(b"eXIf", block))
    else:
        data = parts.jpeg_with(originals()["jpeg"], parts.jpeg_segment(0xE1, b"Exif\0\0" + block[:65_000]))
    return Hostile("exif", f"{holder} {how}", data, fate="read")


def _chain(count: int) -> bytes:
    """Directories each of which is inside the one before it, and the last in the first."""
    return b"II*\0\x08\0\0\0" + b"".join(
        parts.directory([(0x8769, LONG, 1, 8 + 18 * (number % count))], following=8 + 18 * (number % count))
        for number in range(1, count + 1)
    )


def _icc(draw: random.Random) -> Hostile:
    """A colour profile of garbage, with lies about its size, or with huge tables."""
    how = draw.choice(["garbage", "flipped", "size", "count", "many", "cube", "name", "numbers", "large"])
    curve = (b"rTRC", b"curv\0\0\0\0" + struct.pack(">I", draw.choice([0, 2**31, 2**32 - 1])))
    icc = {
        "garbage": lambda: draw.randbytes(draw.randrange(1, 5000)),
        "flipped": lambda: parts.flipped(parts.srgb(), draw, draw.choice([1, 8, 100]), start=draw.choice([0, 128])),
        "size": lambda: parts.profile([curve], size=2**32 - 1),
        "count": lambda: parts.profile([curve], count=draw.choice([101, 2**32 - 1])),
        "many": lambda: parts.profile([(b"%04d" % number, curve[1]) for number in range(1000)]),
        "cube": lambda: parts.profile(
            [
                (name, parts.cube(draw.choice([2, 65, 255]), draw.choice([3, 15]), draw.choice([3, 15])))
                for name in (b"A2B0", b"B2A0")
            ]
        ),
        "name": lambda: parts.profile([(b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2**32 - 1))]),
        "numbers": parts.srgb,
        "large": lambda: parts.profile([(b"A2B0", parts.cube(31, size=31**3 * 6 + 30_000))]),
    }[how]()
    numbers = [(draw.randrange(256), draw.randrange(256)) for _ in range(5)] if how == "numbers" else [(1, 1)]
    if draw.choice([True, False]):
        return Hostile("icc", f"jpeg {how}", parts.jpeg_with(originals()["jpeg"], parts.icc_segments(icc, numbers)),
                       fate="read")  # fmt: skip
    chunk = parts.png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(icc))
    return Hostile("icc", f"png {how}", parts.png_with(originals()["png"], chunk), fate="read")


def _scans(draw: random.Random) -> Hostile:
    """A JPEG that takes long: scans by the thousand over a picture that is said to be huge, restarts, fill bytes."""
    how = draw.choice(["scans", "huge scans", "restarts", "restart marks", "fill", "fill in scan", "heads"])
    progressive, restarts = originals()["jpeg-progressive"], originals()["jpeg-restarts"]
    last = progressive.rindex(b"\xff\xda")
    more = progressive[:-2] + progressive[last:-2] * draw.choice([50, 3000]) + b"\xff\xd9"
    start = restarts.index(b"\xff\xda")
    filled = b"\xff" * draw.choice([1000, 1_000_000])
    data = {
        "scans": lambda: more,
        "huge scans": lambda: parts.jpeg_sized(more, 13_000, 13_000),
        "restarts": lambda: parts.jpeg_with(restarts, parts.jpeg_segment(0xDD, b"\xff\xff")),
        "restart marks": lambda: restarts[:-2] + bytes([0xFF, 0xD0 + draw.randrange(8)]) * 500_000 + b"\xff\xd9",
        "fill": lambda: parts.jpeg_with(restarts, filled),
        "fill in scan": lambda: restarts[: start + 14] + filled + b"\0" + filled + restarts[start + 14 :],
        "heads": lambda: parts.jpeg_with(restarts, _heads(draw)),
    }[how]()
    return Hostile("scans", how, data, fate="read" if how in ("fill", "heads") else "either")


def _heads(draw: random.Random) -> bytes:
    codes = (0xE1, 0xE2, 0xED, 0xEE, 0xFE)
    return b"".join(
        parts.jpeg_segment(draw.choice(codes), draw.randbytes(65_533)) for _ in range(draw.randrange(1, 36))
    )


def _chunks(draw: random.Random) -> Hostile:
    """A small PNG with a text or a profile that would fill the memory, or with thousands of chunks."""
    huge = parts.much(200 << 20)
    how = draw.choice(["zTXt", "iCCP", "iTXt", "many", "exif", "length", "animated", "palette"])
    extra = {
        "zTXt": lambda: parts.png_chunk(b"zTXt", b"k\0\0" + huge),
        "iCCP": lambda: parts.png_chunk(b"iCCP", b"k\0\0" + huge),
        "iTXt": lambda: parts.png_chunk(b"iTXt", b"k\0\1\0\0\0" + huge),
        "many": lambda: b"".join(parts.png_chunk(b"tEXt", b"k%d\0v" % number) for number in range(50_000)),
        "exif": lambda: parts.png_chunk(b"zTXt", b"Raw profile type exif\0\0" + huge),
        "length": lambda: struct.pack(">I", draw.choice([2**31 - 1, 2**32 - 1])) + b"tEXtk\0v",
        "animated": lambda: parts.png_chunk(b"acTL", struct.pack(">II", draw.choice([0, 2**31]), 0)),
        "palette": lambda: parts.png_chunk(b"PLTE", bytes(3 * 256)) + parts.png_chunk(b"tRNS", bytes(10_000)),
    }[how]()
    return Hostile("chunks", how, parts.png_with(originals()["png"], extra), "photo.png")


def _mpo(draw: random.Random) -> Hostile:
    """A JPEG whose index of further pictures points anywhere; its first picture is whole."""
    data = originals()["jpeg-mpo"]
    start = data.index(b"MPF\0") + 4
    changed = bytearray(data)
    for _ in range(draw.choice([1, 2, 8])):
        at = start + draw.randrange(8, 78)
        changed[at : at + 4] = draw.choice([bytes(4), b"\xff\xff\xff\xff", draw.randbytes(4), struct.pack("<I", 8)])
    return Hostile("mpo", "index", bytes(changed), "photo.mpo", "read")


def _boxes(draw: random.Random) -> Hostile:
    """A HEIC file whose boxes are longer than they are, inside themselves, or say there are billions of items."""
    data = originals()["heic"]
    how = draw.choice(["size", "count", "nested", "brand", "flipped", "grid"])
    name = draw.choice([b"meta", b"iinf", b"iloc", b"iprp", b"ipco", b"ipma", b"ispe", b"hvcC", b"iref", b"mdat"])
    at = max(data.find(name), 4)
    sizes = [bytes(4), b"\0\0\0\1", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", struct.pack(">I", draw.randrange(500))]
    changed = {
        "size": lambda: data[: at - 4] + draw.choice(sizes) + data[at:],
        "count": lambda: data[: at + 8] + b"\xff" * draw.choice([2, 4, 8]) + data[at + 16 :],
        "nested": lambda: data[:24] + b"".join(struct.pack(">I", 40_000 - 8 * n) + b"meta" for n in range(5000)),
        "brand": lambda: data[:8] + draw.choice([b"avif", b"mif1", b"msf1", b"hevx", b"\0\0\0\0"]) + data[12:],
        "flipped": lambda: parts.flipped(data[:600], draw, draw.choice([1, 4, 20])) + data[600:],
        "grid": lambda: data.replace(b"hvc1", b"grid"),
    }[how]()
    return Hostile("boxes", how, changed, "photo.heic")


def _polyglot(draw: random.Random) -> Hostile:
    """A photo that is something else as well, or something else that holds a photo."""
    jpeg, png = originals()["jpeg"], originals()["png"]
    script, packed = b"<script>alert(1)</script>", b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)
    whole, how = draw.choice([jpeg, png]), draw.choice(["tail", "comment", "inside", "head", "heic"])
    remark = parts.png_with(png, parts.png_chunk(b"tEXt", b"k\0" + script))
    data = {
        "tail": lambda: whole + draw.choice([packed, script, b"%PDF-1.7", b"\x7fELF" + bytes(100), png, jpeg]),
        "comment": lambda: draw.choice([remark, parts.jpeg_with(jpeg, parts.jpeg_segment(0xFE, script + packed))]),
        "inside": lambda: draw.choice([packed, script, b"GIF89a/*", b"MZ"]) + whole,
        "head": lambda: b"II*\0" + whole,
        "heic": lambda: originals()["heic"][:24] + whole,
    }[how]()
    return Hostile("polyglot", how, data, fate="read" if how in ("tail", "comment") else "refused")


def _foreign(draw: random.Random) -> Hostile:
    """What is no photo of a known kind, under a photo's name."""
    image, stream = Image.new("RGB", (40, 30)), io.BytesIO()
    image.save(stream, draw.choice(["GIF", "BMP", "WEBP", "ICO", "PPM", "TGA", "PCX", "PDF", "EPS"]))
    entity = (
        b"<!DOCTYPE svg [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><svg xmlns='http://www.w3.org/2000/svg'>&b;</svg>"
    )
    texts = [b"", b"<html><script>alert(1)</script>", entity, b"%PDF-1.7", b"PK\x03\x04", b"\x7fELF" + bytes(100)]
    texts += [
        b"#!/bin/sh\nrm -rf ~\n",
        b"\x80\x04cos\nsystem\n",
        b"<?php system('id');",
        b"\0",
        b"push graphic-context",
    ]
    magic = [b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"\0\0\0\x18ftypheic"]
    data = draw.choice([
        stream.getvalue(), draw.choice(texts), draw.choice(magic), draw.randbytes(draw.randrange(1, 100_000)),
    ])  # fmt: skip
    return Hostile("foreign", repr(data[:12]), data, _named_so(draw), "refused")


def _named(draw: random.Random) -> Hostile:
    """A photo with a name that means to go elsewhere."""
    name = draw.choice(NAMES)
    return Hostile("named", ascii(name)[:40], originals()[draw.choice(["jpeg", "png"])], name, "read")


def _named_so(draw: random.Random) -> str:
    return draw.choice([*NAMES, *(f"photo.{suffix}" for suffix in SUFFIXES)])


KINDS: dict[str, Callable[[random.Random], Hostile]] = {
    "truncated": _truncated,
    "damaged": _damaged,
    "bomb": _bomb,
    "header": _header,
    "exif": _exif,
    "icc": _icc,
    "scans": _scans,
    "chunks": _chunks,
    "mpo": _mpo,
    "boxes": _boxes,
    "polyglot": _polyglot,
    "foreign": _foreign,
    "named": _named,
}
