"""build-patches end to end on one core: from two JPEGs (DSLR 20 MP, phone 13 MP) to a shard and its rows.

Pairs rendered by tests/pair_truth.py are imported and aligned, then cut with one worker; what is counted is the CPU
time of both processes, the worker's start and the database's part included. The stages are timed apart, on one pair,
by the functions that the worker calls. Beside a stage is what none could do without: for decoding, libjpeg-turbo alone
(by OpenCV: no EXIF, no colour profile); for resampling, linear interpolation of as many pixels; for scoring and
cropping, one copy of what is read; for writing, as many bytes to a file, and their SHA-256, which is the shard's name.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from measure import Figure, Findings, alone, timed
from pair_truth import DSLR_20MP, PHONE_13MP, make_pair

from dpedkit.align import align_pair, resample_dslr
from dpedkit.align.score import covered, crop, score_patches
from dpedkit.db import write_shard
from dpedkit.executor import Workers
from dpedkit.images import read_rgb
from dpedkit.progress import Silent
from dpedkit.stages.align import align_pairs
from dpedkit.stages.importing import import_folders
from dpedkit.stages.patches import PatchReport, build_patches
from dpedkit.workspace import create_workspace

SCENES, COPIES = 2, 8
REPEATS = 3
SIZE = 100


def run() -> Findings:
    """Build a workspace's patches, then time the stages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(SCENES):
            alone(photograph, folder, seed)
        report, cpu_s = alone(build, folder)
        spent = alone(stages, folder / "phone" / "0-0.jpg", folder / "dslr" / "0-0.jpg", folder)
    per_pair = cpu_s / report.pairs
    known = sum(median(ours) for ours, _ in spent.values())
    figures = [
        Figure("patch pairs per CPU second", [report.patches / cpu_s], better="more", target=">= 500"),
        Figure("CPU time a pair of photos", [per_pair], "s"),
        *(Figure(f"of which {stage}", ours, "s", floor) for stage, (ours, floor) in spent.items()),
        Figure("of which all else: rows, database, start of the worker", [per_pair - known], "s"),
    ]
    return Findings(
        figures, [f"{report.patches} patches of {report.pairs} pairs, of which {report.kept} pass the gates."]
    )


def photograph(folder: Path, seed: int) -> None:
    """Write a pair's JPEGs, and copies whose content is told apart by what follows the picture."""
    pair = make_pair(PHONE_13MP, DSLR_20MP, seed=seed)
    pair.save(folder / "made")
    for camera in ("phone", "dslr"):
        (folder / camera).mkdir(exist_ok=True)
        jpeg = (folder / "made" / f"{camera}.jpg").read_bytes()
        for copy in range(COPIES):
            (folder / camera / f"{seed}-{copy}.jpg").write_bytes(jpeg + bytes(copy))


def build(folder: Path) -> tuple[PatchReport, float]:
    """Import, align, and build the patches; return the CPU seconds of the last."""
    workspace = create_workspace(folder / "work", {})
    import_folders(
        workspace,
        folder / "dslr",
        {"phone": folder / "phone"},
        pair_by="name",
        dry_run=False,
        workers=Workers(1),
        progress=Silent(),
    )
    align_pairs(workspace, workers=Workers(1), dry_run=False, progress=Silent())
    began = _cpu_s()
    report = build_patches(workspace, workers=Workers(1), dry_run=False, progress=Silent())
    return report, _cpu_s() - began


def _cpu_s() -> float:
    """Return the CPU seconds of this process and of those it waited for."""
    return sum(os.times()[:4])


def stages(phone_jpeg: Path, dslr_jpeg: Path, folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Return CPU seconds of each stage on one pair, and of what it cannot do without."""
    phone, dslr = read_rgb(phone_jpeg), read_rgb(dslr_jpeg)
    alignment = align_pair(phone, dslr)
    aligned, mask = resample_dslr(phone.shape, dslr, alignment)
    xy = covered(mask, SIZE, SIZE)
    pixels = crop(phone, xy, SIZE), crop(aligned, xy, SIZE)
    at = np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in phone.shape[1::-1])), axis=-1)
    return {
        "decode": (
            spend(lambda: (read_rgb(phone_jpeg), read_rgb(dslr_jpeg))),
            spend(lambda: (cv2.imread(str(phone_jpeg)), cv2.imread(str(dslr_jpeg)))),
        ),
        "resample": (
            spend(resample_dslr, phone.shape, dslr, alignment),
            spend(cv2.remap, dslr, at, None, cv2.INTER_LINEAR),
        ),
        "score": (
            spend(score_patches, phone, aligned, xy, SIZE, alignment),
            spend(lambda: (phone.copy(), aligned.copy())),
        ),
        "crop": (
            spend(lambda: (crop(phone, xy, SIZE), crop(aligned, xy, SIZE))),
            spend(lambda: (pixels[0].copy(), pixels[1].copy())),
        ),
        "write": (spend(write_shard, folder, *pixels), spend(write_plainly, folder / "plain", pixels)),
    }


def write_plainly(path: Path, pixels: tuple[Any, Any]) -> None:
    """Write and hash."""
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for each in pixels:
            digest.update(each.data)
            stream.write(each.data)


def spend(function: Callable[..., Any], *arguments: Any) -> list[float]:
    """Return the CPU seconds of each of several calls."""
    return [timed(function, *arguments).cpu_s for _ in range(REPEATS)]
