"""Hostile uploads to a real `dpedkit serve`: each is refused with a cause or is a photo after all; it stays up."""

from __future__ import annotations

import io
import random
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # page_server.py is the tests'

import httpx
import psutil
import torch
from command_line import CommandLine, wait_until
from mutations import cases, mutate, originals
from page_server import started
from PIL import Image

from dpedkit.train.networks import Generator
from dpedkit.train.weights import save_generator
from dpedkit.workspace import create_workspace

MOST_BYTES, MOST_PX = 3_000_000, 2_000_000
MEMORY_BYTES = 1_500_000_000
"""What no process of the server may ever hold."""

_PLAIN = "photo.jpg"
_NAMES = (
    *(
        "../../etc/passwd",
        "..\\..\\windows\\win.ini",
        "/etc/shadow",
        "C:\\x.jpg",
        "~/x.jpg",
        "....//....//x",
        "%2e%2e%2fx",
    ),
    *(
        "a\r\nX-Evil: 1.jpg",
        "a\x00.jpg",
        "\x1b[2J.jpg",
        "gpj.\u202eexe",
        "<img src=x onerror=alert(1)>.jpg",
        "'; --.jpg",
    ),
    *(
        "",
        ".",
        "..",
        "...",
        " ",
        "con.jpg",
        "x" * 20_000,
        "é" * 5_000,
        "\U0001f600.jpg",
        "a/b/c.jpg",
        "{{7*7}}.png",
        "%00",
    ),
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One upload.

    kind  what it tries;  bad  whether it must be refused: else it may be a photo after all
    """

    kind: str
    data: bytes
    bad: bool
    name: str = _PLAIN


def hostile(seed: int) -> Hostile:
    """Return the upload of a seed: kinds take turns, the rest is drawn."""
    kinds = list(_KINDS)
    kind = kinds[seed % len(kinds)]
    return _KINDS[kind](random.Random(seed))


class Site:
    """A server, and someone who means it no good; made by `site`."""

    def __init__(self, server: psutil.Process, address: str, uploads: Path) -> None:
        self._server, self._address, self._uploads = server, address, uploads
        self._client = httpx.Client(base_url=address, timeout=300)
        self.send_good()

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def attack(self, seeds: range) -> str:
        """Send the uploads of these seeds; return how many were refused and how many taken.

        Raises:
            AssertionError: one was not refused as it should be, or harmed the server.
        """
        outcomes = Counter(self._attack(hostile(seed), seed) for seed in seeds)
        self.send_good()
        assert self._largest_bytes() < MEMORY_BYTES
        wait_until(lambda: not list(self._uploads.glob("*/*")))
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))

    def send_good(self) -> None:
        """Send a photo that is one, and see it done."""
        answer = self._client.post("/api/photos?model=plain&name=good.png", content=originals()["png"])
        assert answer.status_code == 201, answer.text
        which = answer.json()["id"]
        wait_until(lambda: self._client.get(f"/photos/{which}/result").status_code == 200)
        self._remove(which)

    def _attack(self, upload: Hostile, seed: int) -> str:
        if upload.kind == "broken off":
            return self._break_off(upload.data)
        answer = self._client.post("/api/photos", params={"model": "plain", "name": upload.name}, content=upload.data)
        told = (seed, upload.kind, answer.status_code, answer.text[:300])
        if answer.status_code == 201:
            assert not upload.bad, told
            photo = answer.json()
            assert not set(photo["name"]) & set("/\\\r\n\x00\x1b\u202e"), told
            self._remove(photo["id"])
            return "taken"
        assert answer.status_code in (413, 422, 400, 431), told
        assert "bug" not in answer.text, told
        assert answer.status_code in (400, 431) or answer.json()["error"], told
        assert str(self._uploads) not in answer.text, told
        return "refused"

    def _break_off(self, data: bytes) -> str:
        """Announce a photo, send a part of it, and hang up."""
        parts = urlsplit(self._address)
        head = (
            f"POST /api/photos?model=plain HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {2 * len(data)}\r\n\r\n"
        )
        with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as line:
            line.sendall(head.encode() + data)
        return "hung up"

    def _remove(self, which: str) -> None:
        assert self._client.post(f"/api/photos/{which}/remove", json={}).status_code == 200

    def _largest_bytes(self) -> int:
        everyone = [self._server, *self._server.children(recursive=True)]
        peaks = []
        for process in everyone:
            status = Path(f"/proc/{process.pid}/status").read_text()
            peaks += [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")]
        return max(peaks)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Serve a model that is as small as can be."""
    root = create_workspace(folder / "ws", {}).root
    (root / "runs" / "plain").mkdir()
    generator = Generator(width=8, blocks=1, rng=torch.Generator().manual_seed(0))
    save_generator(root / "runs" / "plain" / "best.safetensors", generator, {})
    limits = ("--max-upload", str(MOST_BYTES), "--max-megapixels", str(MOST_PX / 1e6))
    with started(CommandLine(folder), root, *limits, command="serve") as (server, address):
        made = Site(psutil.Process(server.pid), address, root / ".serve")
        try:
            yield made
        finally:
            made.close()
        assert server.poll() is None, "the server went down"
        server.send_signal(2)
        server.communicate()


def _damaged(draw: random.Random) -> Hostile:
    kind = draw.choice(list(originals()))
    return Hostile("damaged", mutate(kind, draw.choice([how for how in cases(kind) if how != "exif"]), draw), bad=False)


def _truncated(draw: random.Random) -> Hostile:
    kind = draw.choice([kind for kind in originals() if kind != "jpeg-mpo"])  # its first picture may still be whole
    return Hostile("truncated", mutate(kind, "cut", draw), bad=True, name=draw.choice(_NAMES))


def _bomb(draw: random.Random) -> Hostile:
    """A few bytes that would be gigabytes, if one believed them."""
    side = draw.choice([20_000, 60_000, 65_500])
    return Hostile("bomb", draw.choice([_png_of, _jpeg_of, _tiff_of])(side), bad=True)


def _png_of(side: int) -> bytes:
    rows = zlib.compress(bytes(1 << 20))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _jpeg_of(side: int) -> bytes:
    data = bytearray(originals()["jpeg"])
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, side, side)
    return bytes(data)


def _tiff_of(side: int) -> bytes:
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, 8)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(tags)) + entries + bytes(4)


def _swollen(draw: random.Random) -> Hostile:
    """A small photo with a compressed text or profile that would fill the memory, or with thousands of chunks."""
    tail = originals()["png"][33:]
    huge = zlib.compress(bytes(200 << 20), 9)
    extra = draw.choice([
        lambda: _chunk(b"zTXt", b"k\0\0" + huge),
        lambda: _chunk(b"iCCP", b"k\0\0" + huge),
        lambda: _chunk(b"iTXt", b"k\0\1\0\0\0" + huge),
        lambda: b"".join(_chunk(b"tEXt", b"k%d\0v" % number) for number in range(50_000)),
    ])()  # fmt: skip
    return Hostile("swollen", originals()["png"][:33] + extra + tail, bad=False)


def _heads(draw: random.Random) -> Hostile:
    """A JPEG with as many and as long segments before its picture as fit, some of them nonsense."""
    data, count = originals()["jpeg"], draw.randrange(1, 40)
    segments = b"".join(
        b"\xff"
        + bytes([draw.choice([0xE1, 0xE2, 0xED, 0xEE, 0xFE])])
        + struct.pack(">H", 65_535)
        + draw.randbytes(65_533)
        for _ in range(count)
    )
    return Hostile("heads", data[:2] + segments + data[2:], bad=False)


def _loops(draw: random.Random) -> Hostile:
    """EXIF whose directories point at themselves."""
    offset = draw.choice([8, 0, 0xFFFFFFFF, 20])
    entry = struct.pack("<HHII", draw.choice([0x8769, 0x8825, 0x0112, 0xA005]), 4, draw.choice([1, 0xFFFFFFFF]), offset)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", offset)
    data = originals()["jpeg"]
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    return Hostile("loops", data[:2] + segment + data[2:], bad=False)


def _foreign(draw: random.Random) -> Hostile:
    """What is no photo of a known kind, under a photo's name."""
    image, stream = Image.new("RGB", (40, 30)), io.BytesIO()
    image.save(stream, draw.choice(["GIF", "BMP", "WEBP", "ICO", "PPM", "TGA", "PCX", "PDF", "EPS"]))
    texts = [
        b"<html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"PK\x03\x04",
    ]
    texts += [b"\x7fELF" + bytes(100), b"#!/bin/sh\n", b"\x80\x04cos\nsystem\n", b"GIF89a", b"\0", b"\xff\xd8", b"\xff"]
    data = draw.choice([stream.getvalue(), draw.choice(texts), draw.randbytes(draw.randrange(1, 100_000))])
    return Hostile("foreign", data, bad=True, name=draw.choice(_NAMES))


def _named(draw: random.Random) -> Hostile:
    """A photo with a name that means to go elsewhere."""
    return Hostile("named", originals()["jpeg"], bad=False, name=draw.choice(_NAMES))


def _vast(draw: random.Random) -> Hostile:
    """More bytes than may be, or more pixels."""
    side = draw.choice([1500, 5000])
    stream = io.BytesIO()
    Image.new("L", (side, side)).save(stream, draw.choice(["PNG", "JPEG"]))
    return Hostile("vast", draw.choice([bytes(MOST_BYTES + 1), stream.getvalue()]), bad=True)


def _empty(draw: random.Random) -> Hostile:
    return Hostile("empty", b"", bad=True, name=draw.choice(_NAMES))


def _broken_off(draw: random.Random) -> Hostile:
    data = originals()["jpeg"]
    return Hostile("broken off", data[: draw.randrange(len(data))], bad=True)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


_KINDS: dict[str, Callable[[random.Random], Hostile]] = {
    "damaged": _damaged,
    "truncated": _truncated,
    "bomb": _bomb,
    "swollen": _swollen,
    "heads": _heads,
    "loops": _loops,
    "foreign": _foreign,
    "named": _named,
    "vast": _vast,
    "empty": _empty,
    "broken off": _broken_off,
}
