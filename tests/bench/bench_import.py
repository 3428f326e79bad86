"""Import 1,000 photos of 2.4 MP: hashed, decoded, measured, copied and recorded, beside `read_rgb` alone.

Both run over the same files with as many worker processes (dpedkit.executor), whose start is counted on both sides; the
rate is photos per second of wall time, so that what the command itself does between its workers counts, too: pairing,
files' names, a transaction and an fsync for each shot. Each repeat runs both, one after the other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import Figure, Findings
from pair_scenes import scene

from dpedkit.executor import Workers, run_parallel
from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.importing import import_folders
from dpedkit.types import U8
from dpedkit.workspace import create_workspace

SHOTS = 500
REPEATS = 3
WIDTH, HEIGHT = 1920, 1280


def run() -> Findings:
    """Time both, several times in turn."""
    ours, baseline = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photograph(folder)
        for repeat in range(REPEATS):
            baseline.append(rate(decode_all, folder))
            ours.append(rate(bring_in, folder, folder / f"work{repeat}"))
    figure = Figure("photos per second", ours, baseline=baseline, better="more", target=">= 0.7x")
    return Findings([figure], [f"{2 * SHOTS} JPEGs of {WIDTH} x {HEIGHT} px, two worker processes."])


def rate(function: Callable[..., None], *arguments: Path) -> float:
    """Return photos per second."""
    began = time.perf_counter()
    function(*arguments)
    return 2 * SHOTS / (time.perf_counter() - began)


def photograph(folder: Path) -> None:
    """Write the photos: windows of one large scene, no two alike."""
    texture = scene(1600, 0)
    rng = np.random.default_rng(0)
    for camera in ("dslr", "phone"):
        (folder / camera).mkdir()
        for number in range(SHOTS):
            (folder / camera / f"{number:04d}.jpg").write_bytes(encode_jpeg(window(texture, rng), quality=92))


def window(texture: U8, rng: np.random.Generator) -> U8:
    """Cut a photo's worth somewhere."""
    top, left = (int(rng.integers(0, side - size)) for side, size in zip(texture.shape, (HEIGHT, WIDTH), strict=False))
    return np.ascontiguousarray(texture[top : top + HEIGHT, left : left + WIDTH])


def decode_all(folder: Path) -> None:
    """Decode every photo and drop it."""
    photos = [path for camera in ("dslr", "phone") for path in sorted((folder / camera).iterdir())]
    for outcome in run_parallel(decode, photos, workers=Workers(2)):
        assert outcome.error is None


def decode(path: Path) -> int:
    """Return how many pixels it has."""
    return read_rgb(path).size


def bring_in(folder: Path, root: Path) -> None:
    """Import the photos into a new workspace."""
    report = import_folders(
        create_workspace(root, {}),
        folder / "dslr",
        {"phone": folder / "phone"},
        pair_by="name",
        dry_run=False,
        workers=Workers(2),
        progress=Silent(),
    )
    assert report.imported == SHOTS
