"""Placing patches: the scores of cut_patches against a brute-force search in numpy; one thread.

A DSLR photo is resampled onto the phone's pixels through the cameras' true geometry, and every cell of a grid on top
of that by a motion of its own: up to 6 px each way, up to 1.5 degrees. Both must find the motions again, on the same
patches of 100 px, in the same lumas; ours also bounds its error. Then all that is stored with a patch (tone, sharpness,
clipping and so on) is measured of the same patches, and whole photos are cut, resampling included: neither has a
counterpart. The photos are the simulated rig's, whose phone denoises and sharpens as phones do, at half size.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from baselines import patch_search
from measure import Figure, Findings, Timed, alone, timed

from dpedkit.align import align_pair, cut_patches
from dpedkit.align.luma import to_gray
from dpedkit.align.place import Places, place_patches
from dpedkit.align.score import score_patches
from dpedkit.capture.simulate.frame import Order
from dpedkit.capture.simulate.optics import View
from dpedkit.capture.simulate.render import develop
from dpedkit.capture.simulate.specs import SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.images import read_rgb
from dpedkit.types import F64, I64, U8

PHONE, SCALE = "sony", 0.5
SIZE, MARGIN = 100, 20
CELL = SIZE + 2 * MARGIN
EDGE = 8  # px of the DSLR's photo that the resampling may reach for
SEARCHED = 60  # patches that the baseline gets
REPEATS = 5
MOST_PX, MOST_DEG, LEAST_STD = 6.0, 1.5, 8.0


@dataclass(frozen=True, eq=False)
class Task:
    """Patches to place.

    xy       [N, 2], top left pixels
    moved    [N, 2], where the DSLR's content lies from where it should, (x, y) px
    turned   [N], degrees
    """

    phone: U8
    dslr: U8
    xy: I64
    moved: F64
    turned: F64


@dataclass(frozen=True, slots=True)
class Calls:
    """What was measured: ours on all patches, the baseline on some, all scores of all patches, whole photos cut."""

    ours: list[Timed]
    searched: Timed
    scored: list[Timed]
    cut: list[Timed]


def run() -> Findings:
    """Place patches that were moved, then cut a whole photo."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        views = alone(photograph, folder)
        task = make_task(*photos(folder), views)
        rows = np.linspace(0, len(task.xy) - 1, min(SEARCHED, len(task.xy))).astype(np.int64)
        calls = alone(measure, task, rows, folder)
    count = len(task.xy)
    rate = [count / call.cpu_s for call in calls.ours]
    figures = [
        Figure("patches placed per CPU second", rate, "", [len(rows) / calls.searched.cpu_s], "more", ">= 130x"),
        *accuracy(task, rows, calls.ours[0].value, calls.searched.value),
        Figure("position error of all patches, median", [_off(task, calls.ours[0].value)], "px", target="<= 0.04"),
        Figure("patches scored per CPU second", [count / call.cpu_s for call in calls.scored]),
        Figure("cut_patches, whole photo, per CPU second", [len(call.value) / call.cpu_s for call in calls.cut]),
    ]
    return Findings(figures, [f"Errors beside the baseline's are those of its {len(rows)} patches of {count}."])


def _off(task: Task, places: Places) -> float:
    return float(np.median(np.linalg.norm(places.shift_xy_px - task.moved, axis=1)))


def accuracy(task: Task, rows: I64, places: Places, searched: list[tuple[F64, float]]) -> list[Figure]:
    """Return how far both found the patches of `rows` from where they had been moved."""
    shifts, angles = map(np.array, zip(*searched, strict=True))
    off = [np.linalg.norm(shift - task.moved[rows], axis=1) for shift in (places.shift_xy_px[rows], shifts)]
    twist = [np.abs(angle - task.turned[rows]) for angle in (places.rotation_deg[rows], angles)]
    wanted = (("position error, median", off, 0.5, "px", "<= 0.04"), ("position error, p95", off, 0.95, "px", ""))
    figures = []
    for name, both, quantile, unit, target in (*wanted, ("rotation error, median", twist, 0.5, "deg", "")):
        ours, baseline = ([float(np.quantile(error, quantile))] for error in both)
        figures.append(Figure(name, ours, unit, baseline, target=target))
    return figures


def photograph(folder: Path) -> dict[str, View]:
    """Save what the simulated cameras make of a scene as CAMERA.npy; return their true geometry."""
    views = {}
    for camera in ("dslr", PHONE):
        spec = camera_spec(camera).at_scale(SCALE)
        frame = develop(spec, StateFolder(folder), SimulatedConfig(SCALE), Order(0, 0))
        jpeg = folder / f"{camera}.jpg"
        jpeg.write_bytes(frame.jpeg)
        np.save(folder / f"{camera}.npy", read_rgb(jpeg))
        views[camera] = View.from_json(frame.truth["view"])
    return views


def photos(folder: Path) -> tuple[U8, U8]:
    """Return the phone's photo and the DSLR's, as `photograph` saved them."""
    return np.load(folder / f"{PHONE}.npy"), np.load(folder / "dslr.npy")


def make_task(phone: U8, dslr: U8, views: dict[str, View]) -> Task:
    """Move the patches of every cell that is textured and lies well inside both photos."""
    rng = np.random.default_rng(0)
    seen, shown = views[PHONE], views["dslr"]
    soft = cv2.GaussianBlur(dslr, (0, 0), 0.5 * shown.focal_px / seen.focal_px)  # against aliases
    luma, moved = to_gray(phone, "phone"), np.zeros_like(phone)
    found: list[tuple[tuple[int, int], F64, float]] = []
    for top, left in product(*(range(0, side - CELL + 1, CELL) for side in phone.shape[:2])):
        shift, angle = rng.uniform(-MOST_PX, MOST_PX, 2), rng.uniform(-MOST_DEG, MOST_DEG)
        rows, columns = slice(top, top + CELL), slice(left, left + CELL)
        pixels = np.stack(np.meshgrid(np.arange(left, left + CELL), np.arange(top, top + CELL)), axis=-1)
        source = shown.from_plane(seen.to_plane(undo(pixels, shift, angle)))
        inside = ((source > EDGE) & (source < np.array(shown.size_px) - 1 - EDGE)).all()
        if inside and luma[rows, columns][MARGIN:-MARGIN, MARGIN:-MARGIN].std() >= LEAST_STD:
            moved[rows, columns] = cv2.remap(soft, *cv2.split(source.astype(np.float32)), cv2.INTER_LANCZOS4)
            found.append(((left + MARGIN, top + MARGIN), shift, angle))
    xy, shifts, angles = map(np.array, zip(*found, strict=True))
    return Task(phone, moved, xy, shifts, angles)


def undo(pixels: F64, shift: F64, angle_deg: float) -> F64:
    """Return where the content of a cell's pixels [CELL, CELL, 2] lay before it was turned and then moved."""
    centre = (pixels[0, 0] + pixels[-1, -1]) / 2
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return (pixels - centre - shift) @ np.array([[c, -s], [s, c]]) + centre


def measure(task: Task, rows: I64, folder: Path) -> Calls:
    """Place, search, score and cut."""
    phone, dslr = photos(folder)
    alignment = align_pair(phone, dslr)
    still, moved = (to_gray(picture, "picture") for picture in (task.phone, task.dslr))
    reach = patch_search.REACH
    pairs = [
        (still[y : y + SIZE, x : x + SIZE], moved[y - reach : y + SIZE + reach, x - reach : x + SIZE + reach])
        for x, y in task.xy[rows]
    ]
    return Calls(
        ours=[timed(place_patches, still, moved, task.xy, SIZE) for _ in range(REPEATS)],
        searched=timed(patch_search.place_all, pairs),
        scored=[timed(score_patches, task.phone, task.dslr, task.xy, SIZE, alignment) for _ in range(REPEATS)],
        cut=[timed(cut_patches, phone, dslr, alignment) for _ in range(REPEATS)],
    )
