"""align_pair against the script that everyone writes (full-resolution SIFT, brute force, one homography); one thread.

Both get the same arrays, rendered by the simulated rig at full size (DSLR 20 MP, phones 13 and 3 MP) and at the demo's.
Errors are in px of the phone, against the cameras' true geometry, over a grid on the overlap of all scenes together.
Each call has a process of its own, so the peak memory is that of one alignment with its photos. The scenes are planes,
and smoother than many real ones, which spares the script: it spends its time on keypoints, of which they have fewer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from baselines import align_script
from measure import Figure, Findings, Timed, alone, costs, timed

from dpedkit.align import align_pair
from dpedkit.capture.simulate.frame import Frame, Order
from dpedkit.capture.simulate.optics import View
from dpedkit.capture.simulate.render import develop
from dpedkit.capture.simulate.specs import SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.images import read_rgb
from dpedkit.types import F64, U8

PHONES = ("sony", "iphone")


@dataclass(frozen=True, slots=True)
class Size:
    """`scenes`, of which the script sees the first `script_scenes`; targets of the median and p95 error."""

    name: str
    scale: float
    scenes: int
    script_scenes: int
    targets: tuple[str, str]


SIZES = (Size("full size", 1.0, 3, 1, ("<= 0.03", "<= 0.1")), Size("demo's size", 0.25, 3, 3, ("<= 0.1", "<= 0.3")))


def run() -> Findings:
    """Align every phone's photo of every scene, at every size."""
    found = [at_size(size) for size in SIZES]
    slow = [
        f"At {size.name} the script, being slow, saw {size.script_scenes} of the {size.scenes} scenes."
        for size in SIZES
        if size.script_scenes < size.scenes
    ]
    return Findings([figure for size in found for figure in size.figures], [*slow, *found[0].notes])


def at_size(size: Size) -> Findings:
    """Return the figures of each phone at one size."""
    ours: dict[str, list[tuple[Timed, F64]]] = {phone: [] for phone in PHONES}
    script: dict[str, list[tuple[Timed, F64]]] = {phone: [] for phone in PHONES}
    for scene in range(size.scenes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            views = alone(photograph, folder, ("dslr", *PHONES), size.scale, scene)
            for phone in PHONES:
                call = alone(align_ours, folder, phone)
                ours[phone].append((call, errors(views[phone], views["dslr"], call.value.dslr_to_phone)))
                if scene < size.script_scenes:
                    call = alone(align_by_script, folder, phone)
                    back = through(np.linalg.inv(call.value))
                    script[phone].append((call, errors(views[phone], views["dslr"], back)))
    figures = [figure for phone in PHONES for figure in compare(size, phone, ours[phone], script[phone])]
    return Findings(figures, [limit(size, phone, views[phone], views["dslr"]) for phone in PHONES])


def limit(size: Size, phone: str, seen: View, shown: View) -> str:
    """Say how well the best of all homographies would do, which the script could at most find."""
    grid, true = overlap(seen, shown)
    median, p95 = np.quantile(errors(seen, shown, through(cv2.findHomography(true, grid)[0])), [0.5, 0.95])
    return (
        f"No homography follows both lenses: the one nearest to the truth leaves {median:.1f} px median, {p95:.1f} px "
        f"p95 ({phone}, {size.name})."
    )


def compare(size: Size, phone: str, ours: list[tuple[Timed, F64]], script: list[tuple[Timed, F64]]) -> list[Figure]:
    """Return time, memory and errors of one phone."""
    width, height = camera_spec(phone).at_scale(size.scale).size_px
    name = f"{phone} {width * height / 1e6:.1f} MP, {size.name}"
    faster = ">= 60x" if size.scale == 1 else ""
    figures = costs(name, [call for call, _ in ours], [call for call, _ in script], faster)
    pooled = [np.concatenate([distance for _, distance in calls]) for calls in (ours, script)]
    for label, quantile, target in (("median", 0.5, size.targets[0]), ("p95", 0.95, size.targets[1]), ("max", 1, "")):
        both = [[float(np.quantile(distance, quantile))] for distance in pooled]
        figures.append(Figure(f"{name}: error, {label}", both[0], "px", both[1], target=target))
    return figures


def photograph(folder: Path, cameras: tuple[str, ...], scale: float, scene: int) -> dict[str, View]:
    """Save what the simulated cameras make of a scene as CAMERA.npy; return their true geometry."""
    views = {}
    for camera in cameras:
        spec = camera_spec(camera).at_scale(scale)
        frame: Frame = develop(spec, StateFolder(folder), SimulatedConfig(scale), Order(scene, 0))
        jpeg = folder / f"{camera}.jpg"
        jpeg.write_bytes(frame.jpeg)
        np.save(folder / f"{camera}.npy", read_rgb(jpeg))
        views[camera] = View.from_json(frame.truth["view"])
    return views


def photos(folder: Path, phone: str) -> tuple[U8, U8]:
    """Return the phone's photo and the DSLR's, as `photograph` saved them."""
    return np.load(folder / f"{phone}.npy"), np.load(folder / "dslr.npy")


def align_ours(folder: Path, phone: str) -> Timed:
    """Align with dpedkit."""
    return timed(align_pair, *photos(folder, phone))


def align_by_script(folder: Path, phone: str) -> Timed:
    """Align with the baseline."""
    return timed(align_script.align, *photos(folder, phone))


def through(homography: F64) -> Callable[[F64], F64]:
    """Return the map of points [N, 2] through a homography."""

    def mapped(points: F64) -> F64:
        homogeneous = points @ homography[:, :2].T + homography[:, 2]
        return homogeneous[:, :2] / homogeneous[:, 2:]

    return mapped


def errors(phone: View, dslr: View, dslr_to_phone: Callable[[F64], F64]) -> F64:
    """Return how far, px of the phone, a found map is from the true one over a grid on the photos' overlap."""
    grid, true = overlap(phone, dslr)
    return np.linalg.norm(dslr_to_phone(true) - grid, axis=1)


def overlap(phone: View, dslr: View) -> tuple[F64, F64]:
    """Return a grid [N, 2] over what both photos show, px of the phone's, and its true place in the DSLR's."""
    width, height = phone.size_px
    grid = np.stack(np.meshgrid(np.linspace(0, width - 1, 48), np.linspace(0, height - 1, 36)), axis=-1).reshape(-1, 2)
    true = dslr.from_plane(phone.to_plane(grid))
    inside = ((true >= 0) & (true <= np.array(dslr.size_px) - 1)).all(axis=1)
    return grid[inside], true[inside]
