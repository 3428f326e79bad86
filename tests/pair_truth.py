"""Pairs of photos with known truth: one textured scene, two cameras whose every pixel is known.

A camera looks at the scene through a homography (its pose) and a lens. A lens maps distorted to ideal radii; some lie
in the family that dpedkit.align fits, some (the division model, decentering) on purpose do not. The scene may have a
relief and boards in front of it. Everything is rendered in bands, so that 20 MP take 0.6 GB, most of it the texture.

    pair = make_pair(PHONE_13MP, DSLR_20MP, seed=3)     # 15 s of CPU; PHONE and DSLR are small
    pair.save(folder)                                    # .npy, JPEG, and the cameras: load_pair(folder)
    pair.errors(align_pair(pair.phone, pair.dslr).phone_to_dslr)
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from pair_scenes import Board, relief, scene
from scipy import sparse

from dpedkit.images import encode_jpeg
from dpedkit.types import F32, F64, U8

__all__ = ["Board", "Camera", "Pair", "make_pair", "relief", "scene"]

Lens = Callable[[F64], F64]
Points = TypeVar("Points", F64, F32)

_BAND = 256
_NODE_PX = 8
_SCENE_WIDTH = 3.0
JPEG_QUALITY = 95


def ideal(points: F64) -> F64:
    return points


def brown(k1: float, k2: float = 0.0) -> Lens:
    return partial(_brown, k1, k2)


def division(k1: float, k2: float = 0.0) -> Lens:
    return partial(_division, k1, k2)


def decentred(k1: float, p1: float, p2: float) -> Lens:
    return partial(_decentred, k1, p1, p2)


def _brown(k1: float, k2: float, p: F64) -> F64:
    r = np.sum(p**2, axis=1, keepdims=True)
    return p * (1 + k1 * r + k2 * r**2)


def _division(k1: float, k2: float, p: F64) -> F64:
    r = np.sum(p**2, axis=1, keepdims=True)
    return p / (1 + k1 * r + k2 * r**2)


def _decentred(k1: float, p1: float, p2: float, p: F64) -> F64:
    x, y = p.T
    r = x**2 + y**2
    across = x * (1 + k1 * r) + 2 * p1 * x * y + p2 * (r + 2 * x**2)
    down = y * (1 + k1 * r) + p1 * (r + 2 * y**2) + 2 * p2 * x * y
    return np.stack([across, down], axis=1)


@dataclass(frozen=True)
class Camera:
    """size (width, height) px; view maps ideal coordinates (px from the centre over half the diagonal) to the scene's,
    in which the DSLR's photo spans about [-1, 1] along the diagonal; parallax moves scene points, and boards jump, in
    scene units."""

    size: tuple[int, int]
    lens: Lens = ideal
    view: F64 = field(default_factory=lambda: np.eye(3))
    parallax: Lens = ideal
    boards: tuple[Board, ...] = ()
    gamma: float = 1.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur_px: float = 0.5
    noise: float = 1.0

    def to_scene(self, points: F64) -> F64:
        """Where px [N, 2] look in the scene; nan for what a board has uncovered, which no other camera sees."""
        seen = self._to_surface(points)
        return _past(self.boards, seen, np.full_like(seen, np.nan))

    def from_scene(self, scene: F64) -> F64:
        """Invert `to_scene` by Newton's method with numerical derivatives."""
        points = np.tile((np.array(self.size) - 1) / 2, (len(scene), 1))
        for _ in range(20):
            value = self.to_scene(points)
            slopes = np.stack([(self.to_scene(points + s) - self.to_scene(points - s)) / 2 for s in np.eye(2)], axis=2)
            points = points - np.linalg.solve(slopes, (value - scene)[..., None])[..., 0]
        return points

    def render(self, texture: U8, seed: int) -> U8:
        """Photograph a texture [H, W, 3] that spans [-1.5, 1.5] of the scene in x."""
        rng = np.random.default_rng(seed)
        levels = (np.arange(256) / 255.0) ** self.gamma
        tones = [(levels * gain * 255).clip(0, 255).astype(np.float32) for gain in self.gain]
        photo = np.empty((self.size[1], self.size[0], 3), dtype=np.uint8)
        for top, band in self._bands(texture):
            toned = cv2.merge([cv2.LUT(band[..., c], tone) for c, tone in enumerate(tones)])
            toned += rng.standard_normal(toned.shape, dtype=np.float32) * np.float32(self.noise)
            photo[top : top + len(band)] = np.clip(np.rint(toned, out=toned), 0, 255, out=toned)
        return photo

    def _to_surface(self, points: F64) -> F64:
        at = (points - (np.array(self.size) - 1) / 2) / (np.hypot(*self.size) / 2)
        seen = self.lens(at) @ self.view[:, :2].T + self.view[:, 2]
        return self.parallax(seen[:, :2] / seen[:, 2:])

    def _bands(self, texture: U8) -> Iterator[tuple[int, U8]]:
        """Yield (first row, rows of the photo as the lens lets them through)."""
        halo = math.ceil(4 * self.blur_px)
        for top in range(0, self.size[1], _BAND):
            bottom = min(top + _BAND, self.size[1])
            sharp = self._sampled(texture, top - halo, bottom + halo)
            yield top, cv2.GaussianBlur(sharp, (0, 0), self.blur_px)[halo : halo + bottom - top]

    def _sampled(self, texture: U8, top: int, bottom: int) -> U8:
        """Render rows top to bottom: four samples per pixel, their places interpolated from every eighth pixel."""
        step, width = _NODE_PX, self.size[0]
        xs, ys = np.arange(-step, width + 2 * step, step), np.arange(top - step, bottom + 2 * step, step)
        grid = np.stack(np.meshgrid(xs, ys), axis=-1).astype(np.float64)
        nodes = self._to_surface(grid.reshape(-1, 2)).reshape(grid.shape).astype(np.float32)
        rows = _interpolation((np.arange(2 * (bottom - top)) + 0.5) / 2 - 0.5 + step, step, len(ys))
        cols = _interpolation((np.arange(2 * width) + 0.5) / 2 - 0.5 + step, step, len(xs))
        at = np.stack([rows @ (cols @ nodes[..., axis].T).T for axis in (0, 1)], axis=-1)
        if self.boards:
            at = _past(self.boards, at, -at)  # a board uncovers what lies opposite
        at *= np.float32(texture.shape[1] / _SCENE_WIDTH)
        at += (np.array(texture.shape[1::-1], dtype=np.float32) - 1) / 2
        double = cv2.remap(texture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return cv2.resize(double, (width, bottom - top), interpolation=cv2.INTER_AREA)


def _past(boards: tuple[Board, ...], points: Points, hidden: Points) -> Points:
    """Follow boards from where a camera sees them to where they are; `hidden` stands for what they uncover."""
    through = points
    for board in boards:
        through = np.where(board.uncovers(points)[..., None], hidden, through)
        moved = (points - board.moved).astype(points.dtype)
        through = np.where(board.covers(points)[..., None], moved, through)
    return through


def _interpolation(at: F64, step: int, count: int) -> sparse.csr_array:
    """Weights [len(at), count] that interpolate linearly between nodes `step` apart."""
    cell = np.minimum((at / step).astype(np.int64), count - 2)
    share = at / step - cell
    index = np.repeat(np.arange(len(at)), 2), np.stack([cell, cell + 1], axis=1).ravel()
    weights = np.stack([1 - share, share], axis=1).ravel().astype(np.float32)
    return sparse.csr_array((weights, index), shape=(len(at), count))


def pose(
    rotation_deg: float = 0.0,
    zoom: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    tilt: tuple[float, float] = (0.0, 0.0),
) -> F64:
    c, s = np.cos(np.radians(rotation_deg)) / zoom, np.sin(np.radians(rotation_deg)) / zoom
    return np.array([[c, -s, shift[0]], [s, c, shift[1]], [tilt[0], tilt[1], 1.0]])


def random_pose(seed: int) -> F64:
    rng = np.random.default_rng(seed)
    shift, tilt = rng.uniform(-0.05, 0.05, 2), rng.uniform(-0.03, 0.03, 2)
    return pose(rng.uniform(-2, 2), rng.uniform(1.05, 1.2), (shift[0], shift[1]), (tilt[0], tilt[1]))


@dataclass(frozen=True)
class Pair:
    phone: U8
    dslr: U8
    phone_camera: Camera
    dslr_camera: Camera

    def truth(self, points: F64) -> F64:
        """Phone px [N, 2] -> DSLR px [N, 2]."""
        return self.dslr_camera.from_scene(self.phone_camera.to_scene(points))

    def overlap(self, per_side: int = 41) -> tuple[F64, F64]:
        """A grid [N, 2] over what both photos show, phone px, and its true place in the DSLR's, px."""
        width, height = self.phone_camera.size
        grid = np.stack(np.meshgrid(np.linspace(0, width - 1, per_side), np.linspace(0, height - 1, per_side)), axis=-1)
        points = grid.reshape(-1, 2)
        true = self.truth(points)
        inside = ((true >= 0) & (true <= np.array(self.dslr_camera.size) - 1)).all(axis=1)
        return points[inside], true[inside]

    def errors(self, warp: Callable[[F64], F64], per_side: int = 41) -> F64:
        """Distances, phone px, between a found map and the truth over the overlap."""
        points, true = self.overlap(per_side)
        flat = replace(self, phone_camera=replace(self.phone_camera, boards=()))  # a jump has no slope
        base = flat.truth(points)
        slopes = np.stack([flat.truth(points + s) - base for s in np.eye(2)], axis=2)
        off = np.linalg.solve(slopes, (warp(points) - true)[..., None])[..., 0]
        return np.linalg.norm(off, axis=1)

    def save(self, folder: Path) -> None:
        """Write both photos as arrays (phone.npy) and JPEGs (phone.jpg), and the truth."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, photo in (("phone", self.phone), ("dslr", self.dslr)):
            np.save(folder / f"{name}.npy", photo)
            (folder / f"{name}.jpg").write_bytes(encode_jpeg(photo, quality=JPEG_QUALITY))
        (folder / "cameras.pickle").write_bytes(pickle.dumps((self.phone_camera, self.dslr_camera)))


def load_pair(folder: Path) -> Pair:
    """Return what `Pair.save` wrote."""
    cameras = pickle.loads((folder / "cameras.pickle").read_bytes())
    return Pair(np.load(folder / "phone.npy"), np.load(folder / "dslr.npy"), *cameras)


PHONE = Camera((1024, 768), lens=brown(-0.08, 0.02), gamma=1.2, gain=(0.9, 0.95, 1.0), blur_px=0.9, noise=4.0)
DSLR = Camera((1368, 912), lens=brown(-0.03), gain=(0.97, 1.0, 0.95))
PHONE_13MP, PHONE_3MP = replace(PHONE, size=(4128, 3096)), replace(PHONE, size=(2048, 1536))
DSLR_20MP = replace(DSLR, size=(5472, 3648))


def make_pair(phone: Camera = PHONE, dslr: Camera = DSLR, *, seed: int = 0, texture: U8 | None = None) -> Pair:
    """Photograph one scene with both cameras; a phone that still looks straight ahead gets a random pose."""
    if np.array_equal(phone.view, np.eye(3)):
        phone = replace(phone, view=random_pose(seed))
    if texture is None:
        texture = scene(int(np.hypot(*dslr.size) / 2), seed)
    return Pair(phone.render(texture, seed + 1), dslr.render(texture, seed + 2), phone, dslr)
