"""Pairs of photos with known truth: one textured scene, two cameras whose every pixel is known.

A camera looks at the scene through a homography (its pose) and a lens. A lens maps distorted to ideal radii; some lie
in the family that dpedkit.align fits, some (the division model, decentering) on purpose do not.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy import sparse

from dpedkit.types import F64, U8

Lens = Callable[[F64], F64]


def ideal(points: F64) -> F64:
    return points


def brown(k1: float, k2: float = 0.0) -> Lens:
    return lambda p: p * (1 + k1 * (r := np.sum(p**2, axis=1, keepdims=True)) + k2 * r**2)


def division(k1: float, k2: float = 0.0) -> Lens:
    return lambda p: p / (1 + k1 * (r := np.sum(p**2, axis=1, keepdims=True)) + k2 * r**2)


def decentred(k1: float, p1: float, p2: float) -> Lens:
    def bend(p: F64) -> F64:
        x, y = p.T
        r = x**2 + y**2
        return np.stack(
            [
                x * (1 + k1 * r) + 2 * p1 * x * y + p2 * (r + 2 * x**2),
                y * (1 + k1 * r) + p1 * (r + 2 * y**2) + 2 * p2 * x * y,
            ],
            axis=1,
        )

    return bend


def relief(most_px: float, size: tuple[int, int]) -> Lens:
    """Parallax of a smooth landscape: it moves a scene point by up to about `most_px` of a phone of that size."""
    most = most_px / (np.hypot(*size) / 2)

    def move(p: F64) -> F64:
        x, y = p.T
        off = most * np.sin(3.1 * x + 0.3) * np.cos(2.7 * y)
        return np.stack([x + off, y + 0.1 * off], axis=1)

    return move


@dataclass(frozen=True)
class Camera:
    """size (width, height) px; view maps ideal coordinates (px from the centre over half the diagonal) to the scene's,
    in which the DSLR's photo spans about [-1, 1] along the diagonal; parallax moves scene points, in scene units."""

    size: tuple[int, int]
    lens: Lens = ideal
    view: F64 = field(default_factory=lambda: np.eye(3))
    parallax: Lens = ideal
    gamma: float = 1.0
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur_px: float = 0.5
    noise: float = 1.0

    def to_scene(self, points: F64) -> F64:
        at = (points - (np.array(self.size) - 1) / 2) / (np.hypot(*self.size) / 2)
        seen = self.lens(at) @ self.view[:, :2].T + self.view[:, 2]
        return self.parallax(seen[:, :2] / seen[:, 2:])

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
        photo = np.concatenate(
            [self._band(texture, top, min(top + 256, self.size[1])) for top in range(0, self.size[1], 256)]
        )
        photo = cv2.GaussianBlur(photo, (0, 0), self.blur_px)
        rng = np.random.default_rng(seed)
        tone = (np.arange(256) / 255.0) ** self.gamma
        toned = np.stack(
            [cv2.LUT(photo[..., c], (tone * g * 255).clip(0, 255).astype(np.float32)) for c, g in enumerate(self.gain)],
            axis=-1,
        )
        toned += rng.standard_normal(toned.shape, dtype=np.float32) * self.noise
        return np.clip(np.rint(toned), 0, 255).astype(np.uint8)

    def _band(self, texture: U8, top: int, bottom: int) -> U8:
        """Render rows top to bottom: four samples per pixel, their places interpolated from every eighth pixel."""
        step, width = 8, self.size[0]
        xs, ys = np.arange(-step, width + 2 * step, step), np.arange(top - step, bottom + 2 * step, step)
        grid = np.stack(np.meshgrid(xs, ys), axis=-1).astype(np.float64)
        per_unit = texture.shape[1] / 3.0
        at = self.to_scene(grid.reshape(-1, 2)) * per_unit + (np.array(texture.shape[1::-1]) - 1) / 2
        nodes = at.reshape(grid.shape).astype(np.float32)
        rows = _interpolation((np.arange(2 * (bottom - top)) + 0.5) / 2 - 0.5 + step, step, len(ys))
        cols = _interpolation((np.arange(2 * width) + 0.5) / 2 - 0.5 + step, step, len(xs))
        map_x, map_y = (np.ascontiguousarray(rows @ (cols @ nodes[..., axis].T).T) for axis in (0, 1))
        double = cv2.remap(texture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return cv2.resize(double, (width, bottom - top), interpolation=cv2.INTER_AREA)


def _interpolation(at: F64, step: int, count: int) -> sparse.csr_array:
    """Weights [len(at), count] that interpolate linearly between nodes `step` apart."""
    cell = np.minimum((at / step).astype(np.int64), count - 2)
    share = at / step - cell
    index = np.repeat(np.arange(len(at)), 2), np.stack([cell, cell + 1], axis=1).ravel()
    weights = np.stack([1 - share, share], axis=1).ravel().astype(np.float32)
    return sparse.csr_array((weights, index), shape=(len(at), count))


def dead_leaves(size: tuple[int, int], seed: int) -> U8:
    """Discs, boxes and stripes of all sizes that hide one another: statistics of natural scenes (Lee et al., 2001)."""
    rng = np.random.default_rng(seed)
    width, height = size
    canvas = np.full((height, width, 3), 128, dtype=np.uint8)
    smallest, largest = 3.0, min(size) / 4
    count = int(40 * (width * height) ** 0.5 * 0.5)
    radii = 1 / np.sqrt(rng.uniform(1 / largest**2, 1 / smallest**2, count))
    for radius in radii:
        colour = tuple(int(v) for v in rng.integers(10, 245, 3))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if rng.random() < 0.5:
            cv2.circle(canvas, (int(x * 8), int(y * 8)), int(radius * 8), colour, -1, cv2.LINE_AA, 3)
        else:
            box = cv2.boxPoints(((x, y), (2 * radius, radius * rng.uniform(0.4, 2)), rng.uniform(0, 180)))
            cv2.fillConvexPoly(canvas, np.rint(box * 8).astype(np.int32), colour, cv2.LINE_AA, 3)
    grain = cv2.resize(
        rng.normal(0, 6, (height // 2, width // 2)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC
    )
    shade = cv2.resize(rng.normal(0, 25, (6, 8)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.clip(canvas + (grain + shade)[..., None], 0, 255).astype(np.uint8)


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
        slopes = np.stack([self.truth(points + s) - true for s in np.eye(2)], axis=2)
        off = np.linalg.solve(slopes, (warp(points) - true)[..., None])[..., 0]
        return np.linalg.norm(off, axis=1)


PHONE = Camera((1024, 768), lens=brown(-0.08, 0.02), gamma=1.2, gain=(0.9, 0.95, 1.0), blur_px=0.9, noise=4.0)
DSLR = Camera((1368, 912), lens=brown(-0.03), gain=(0.97, 1.0, 0.95))


def make_pair(phone: Camera = PHONE, dslr: Camera = DSLR, *, seed: int = 0, texture: U8 | None = None) -> Pair:
    """Photograph one scene with both cameras; a phone that still looks straight ahead gets a random pose."""
    if np.array_equal(phone.view, np.eye(3)):
        phone = replace(phone, view=random_pose(seed))
    if texture is None:
        texture = scene(int(np.hypot(*dslr.size) / 2), seed)
    return Pair(phone.render(texture, seed + 1), dslr.render(texture, seed + 2), phone, dslr)


@functools.cache
def scene(unit_px: int, seed: int) -> U8:
    """A texture with one px per px of a DSLR whose half diagonal is `unit_px`."""
    return dead_leaves((3 * unit_px, int(2.4 * unit_px)), seed)
