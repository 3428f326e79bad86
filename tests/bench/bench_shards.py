"""Random batches of 50 pairs of 100 px out of 20,000: `PairSource.read_batch`, beside a bare map and JPEG files.

The bare map is one .npy file of all pairs, indexed with the batch's rows by NumPy; the JPEG files (quality 95) are
decoded with Pillow or OpenCV, whichever is faster. All read the same pairs out of the page cache, in one process with
one thread, taking turns; every batch is drawn anew, so that no pair is still in the processor's cache.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from baselines import bare_batches
from measure import Figure, Findings, alone
from pair_scenes import scene

from dpedkit.db import write_shard
from dpedkit.db.pairs import ShardPairs
from dpedkit.images import encode_jpeg
from dpedkit.types import I64, U8

PAIRS, SIDE, BATCH = 20_000, 100, 50
REPEATS, BATCHES = 9, 150
SHARDS = {"20 shards": 1000, "400 shards": 50, "2,000 shards": 10}


def run() -> Findings:
    """Write the same pairs in every form, then read them."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        rates = alone(read_all, Path(folder))
    faster = max(("pillow", "opencv"), key=lambda name: statistics.median(rates[name]))
    figures = []
    for name in SHARDS:
        goal = ">= 0.8x" if name == "20 shards" else ""
        figures.append(Figure(f"{name}, beside the bare map", rates[name], "batches/s", rates["map"], "more", goal))
    jpeg = Figure("20 shards, beside JPEG files", rates["20 shards"], "batches/s", rates[faster], "more", ">= 15x")
    return Findings([*figures, jpeg], [f"The faster decoder of these files: {faster}."])


def write(folder: Path) -> None:
    """Write pairs of windows of a picture: all.npy, jpeg/SIDE/ROW.jpg and a folder of shards for each number."""
    texture, rng = scene(1600, 0), np.random.default_rng(0)
    pixels = np.lib.format.open_memmap(folder / "all.npy", "w+", np.uint8, (PAIRS, 2, SIDE, SIDE, 3))
    for side in ("phone", "dslr"):
        (folder / "jpeg" / side).mkdir(parents=True)
    for row, pair in enumerate(pixels):
        for side, name in zip(pair, ("phone", "dslr"), strict=True):
            top, left = (int(rng.integers(size - SIDE)) for size in texture.shape[:2])
            side[...] = texture[top : top + SIDE, left : left + SIDE]
            (folder / "jpeg" / name / f"{row}.jpg").write_bytes(encode_jpeg(side, quality=95))
    for name, rows in SHARDS.items():
        (folder / name).mkdir()
        written = [
            write_shard(folder / name, *np.asarray(pixels[first : first + rows]).swapaxes(0, 1))
            for first in range(0, PAIRS, rows)
        ]
        (folder / f"{name}.txt").write_text("\n".join(written))


def read_all(folder: Path) -> dict[str, list[float]]:
    """Return every reader's batches per second, a figure for each repeat."""
    readers: dict[str, Callable[[I64], tuple[U8, U8]]] = {
        "map": bare_batches.of_map(folder / "all.npy"),
        "pillow": bare_batches.with_pillow(folder / "jpeg"),
        "opencv": bare_batches.with_opencv(folder / "jpeg"),
    }
    for name, rows in SHARDS.items():
        names, numbers = (folder / f"{name}.txt").read_text().split(), np.arange(PAIRS)
        readers[name] = ShardPairs(folder / name, names, numbers // rows, numbers % rows, "").read_batch
    for first in range(0, PAIRS, BATCH):  # into the page cache, and the same pixels everywhere
        pairs = {name: read(np.arange(first, first + BATCH)) for name, read in readers.items()}
        for name in SHARDS:
            assert all(np.array_equal(*both) for both in zip(pairs[name], pairs["map"], strict=True))
    rng = np.random.default_rng(1)
    rates: dict[str, list[float]] = {name: [] for name in readers}
    for repeat in range(REPEATS):
        for name in np.roll(list(readers), repeat).tolist():
            rates[name].append(rate(readers[name], rng))
    return rates


def rate(read: Callable[[I64], tuple[U8, U8]], rng: np.random.Generator) -> float:
    """Return batches per second."""
    batches = rng.integers(0, PAIRS, (BATCHES, BATCH))
    began = time.perf_counter()
    for rows in batches:
        read(rows)
    return BATCHES / (time.perf_counter() - began)
