"""What stands before the cameras: a far plane, painted or taken from a folder of photos, in linear light."""

from __future__ import annotations

import fcntl
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dpedkit.capture.simulate.optics import View
from dpedkit.capture.simulate.painting import Levels, paint_scene, to_levels
from dpedkit.capture.simulate.specs import SimulatedConfig, camera_spec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.images import read_rgb
from dpedkit.types import F64

_HALF_PLANE = (0.72, 0.56)
"""How far the plane reaches (X/Z, Y/Z): a little further than the widest camera sees."""
_OVERSAMPLING = 1.25
"""Scene pixels per DSLR pixel."""
_KEPT_SCENES = 2


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene.

    light       uint16 [H, W, 3], linear, WHITE is 1.0
    density     px per unit of X/Z
    distance_m  from the DSLR
    ev          how bright it is: exposure value at ISO 100
    """

    light: Levels
    density: float
    distance_m: float
    ev: float

    def to_px(self, plane: F64) -> F64:
        """Return the pixels [..., 2] of points of the plane (X/Z, Y/Z)."""
        height, width = self.light.shape[:2]
        return plane * self.density + (np.array([width, height]) - 1) / 2


def load_scene(state: StateFolder, config: SimulatedConfig, index: int) -> Scene:
    """Return scene number `index`; whichever camera needs it first draws it, the others wait and share the file.

    Raises:
        UsageError: the folder of photos holds none.
        ImageError: a photo of the folder cannot be read.
    """
    density = View.of(camera_spec("dslr").at_scale(config.scale), 1.0).focal_px * _OVERSAMPLING
    width, height = (round(2 * half * density) for half in _HALF_PLANE)
    state.scenes.mkdir(parents=True, exist_ok=True)
    made_of = hashlib.sha256(f"{config.seed} {config.scenes} {width} {height}".encode()).hexdigest()[:8]
    kept = state.scenes / f"{index}-{made_of}.npy"
    with (state.scenes / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            light = _draw(config, index, (width, height))
            unfinished = kept.with_suffix(".part")
            with unfinished.open("wb") as stream:
                np.save(stream, light)
            unfinished.replace(kept)
            for old in sorted(state.scenes.glob("*.npy"), key=lambda path: path.stat().st_mtime)[:-_KEPT_SCENES]:
                old.unlink()
        light = np.load(kept, mmap_mode="r")
    random = np.random.default_rng([config.seed, index, 2])
    distance_m = math.exp(random.uniform(math.log(8), math.log(40)))
    return Scene(light, density, distance_m, random.uniform(10.0, 14.5))


def _draw(config: SimulatedConfig, index: int, size_px: tuple[int, int]) -> Levels:
    photos = config.scene_photos()
    photo = photos[index % len(photos)] if photos else None  # after the last one, the first again
    return _photographed(photo, size_px) if photo else paint_scene(config.seed, index, size_px)


def _photographed(photo: Path, size_px: tuple[int, int]) -> Levels:
    """Return the middle of a photo in linear light, filling the plane."""
    rgb = read_rgb(photo)
    width, height = size_px
    zoom = max(width / rgb.shape[1], height / rgb.shape[0])
    crop_w, crop_h = min(rgb.shape[1], round(width / zoom)), min(rgb.shape[0], round(height / zoom))
    left, top = (rgb.shape[1] - crop_w) // 2, (rgb.shape[0] - crop_h) // 2
    display = np.arange(256) / 255
    linear = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4).astype(np.float32)
    light = to_levels(linear)[rgb[top : top + crop_h, left : left + crop_w]]
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(light, size_px, interpolation=method), np.uint16)
