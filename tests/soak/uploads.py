"""Hostile uploads to a real `dpedkit serve`: each is refused with a cause or is a photo after all; it stays up."""

from __future__ import annotations

import random
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # page_server.py is the tests'

import httpx
import psutil
import torch
from command_line import CommandLine, wait_until
from hostile_files import Hostile, hostile
from mutations import originals
from page_server import started

from dpedkit.train.networks import Generator
from dpedkit.train.weights import save_generator
from dpedkit.workspace import create_workspace

MOST_BYTES = 3_000_000
MEMORY_BYTES = 1_500_000_000
"""What no process of the server may ever hold."""


def upload_of(seed: int) -> Hostile:
    """Return what a seed sends: mostly a hostile file, now and then what only a connection can do."""
    draw = random.Random(seed)
    how = _BY_CONNECTION.get(draw.randrange(12))
    return how(draw) if how else hostile(seed)


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
        outcomes = Counter(self._attack(upload_of(seed), seed) for seed in seeds)
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
        asked = {"model": "plain", "name": upload.filename}
        answer = self._client.post("/api/photos", params=asked, content=upload.data)
        told = (seed, upload.kind, upload.name, answer.status_code, answer.text[:300])
        if answer.status_code == 201:
            assert upload.fate != "refused", told
            photo = answer.json()
            assert not set(photo["name"]) & set("/\\\r\n\x00\x1b\u202e"), told
            self._remove(photo["id"])
            return "taken"
        assert upload.fate != "read", told
        assert answer.status_code in (400, 413, 422, 431), told
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
        return "disconnected"

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
    with started(CommandLine(folder), root, "--max-upload", str(MOST_BYTES), command="serve") as (server, address):
        made = Site(psutil.Process(server.pid), address, root / ".serve")
        try:
            yield made
        finally:
            made.close()
        assert server.poll() is None, "the server went down"
        server.send_signal(2)
        server.communicate()


def _vast(draw: random.Random) -> Hostile:
    return Hostile("vast", "bytes", bytes(MOST_BYTES + draw.choice([1, 1_000_000])), fate="refused")


def _broken_off(draw: random.Random) -> Hostile:
    data = originals()["jpeg"]
    return Hostile("broken off", "jpeg", data[: draw.randrange(len(data))], fate="refused")


_BY_CONNECTION: dict[int, Callable[[random.Random], Hostile]] = {0: _vast, 1: _broken_off}
