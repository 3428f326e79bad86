"""What the test cameras look at: textures, and how a scene that is not flat moves between two cameras."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from dpedkit.types import F64, U8, Bools

_STRIP = 512


def dead_leaves(size: tuple[int, int], seed: int, contrast: float = 1.0) -> U8:
    """Discs, boxes and stripes of all sizes that hide one another: statistics of natural scenes (Lee et al., 2001).

    contrast  1 for daylight; 0.1 for a wall in mist
    """
    rng = np.random.default_rng(seed)
    width, height = size
    canvas = np.full((height, width, 3), 128, dtype=np.uint8)
    smallest, largest = 3.0, min(size) / 4
    count = int(20 * (width * height) ** 0.5)
    radii = 1 / np.sqrt(rng.uniform(1 / largest**2, 1 / smallest**2, count))
    places = rng.uniform((0, 0), size, (count, 2))
    colours = rng.integers(10, 245, (count, 3)).tolist()
    boxes = rng.uniform((-1, 0.4, 0), (1, 2, 180), (count, 3))
    for radius, (x, y), colour, (kind, ratio, turn) in zip(radii, places, colours, boxes, strict=True):
        if kind < 0:
            cv2.circle(canvas, (int(x * 8), int(y * 8)), int(radius * 8), colour, -1, cv2.LINE_AA, 3)
        else:
            box = cv2.boxPoints(((x, y), (2 * radius, radius * ratio), turn))
            cv2.fillConvexPoly(canvas, np.rint(box * 8).astype(np.int32), colour, cv2.LINE_AA, 3)
    return _weathered(canvas, rng, contrast)


def bricks(size: tuple[int, int], seed: int, brick: tuple[int, int] = (96, 36), variety: float = 0.0) -> U8:
    """A wall of equal bricks; `variety` is how far their colours differ, in levels of 255."""
    rng = np.random.default_rng(seed)
    wide, high = brick
    rows, cols = size[1] // high + 1, size[0] // wide + 2
    tones = np.clip(rng.normal((150, 80, 60), variety, (rows, cols, 3)), 0, 255).astype(np.uint8)
    canvas = np.full((rows * high, cols * wide, 3), 200, dtype=np.uint8)
    for row in range(rows):
        for col in range(cols):
            left, top = col * wide - (row % 2) * wide // 2, row * high
            canvas[top : top + high - 4, max(left, 0) : max(left + wide - 4, 0)] = tones[row, col]
    return np.ascontiguousarray(canvas[: size[1], : size[0]])


@functools.lru_cache(maxsize=4)
def scene(unit_px: int, seed: int) -> U8:
    """A texture with one px per px of a DSLR whose half diagonal is `unit_px`."""
    return dead_leaves((3 * unit_px, int(2.4 * unit_px)), seed)


def _weathered(canvas: U8, rng: np.random.Generator, contrast: float) -> U8:
    """Add grain and large shades, a strip at a time."""
    height, width = canvas.shape[:2]
    shade = cv2.resize(rng.normal(0, 25, (6, 8)).astype(np.float32), (width, 64), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, _STRIP):
        strip = canvas[top : top + _STRIP]
        rows = len(strip)
        coarse = rng.standard_normal((rows // 2 + 1, width // 2 + 1), dtype=np.float32) * np.float32(6)
        grain = cv2.resize(coarse, (width, rows), interpolation=cv2.INTER_CUBIC)
        at = np.tile(np.linspace(top, top + rows - 1, rows, dtype=np.float32)[:, None] * 63 / height, (1, width))
        columns = np.tile(np.arange(width, dtype=np.float32), (rows, 1))
        grain += cv2.remap(shade, columns, at, cv2.INTER_LINEAR)
        toned = 128 + contrast * (strip.astype(np.float32) - 128 + grain[..., None])
        strip[:] = np.clip(toned, 0, 255).astype(np.uint8)
    return canvas


@dataclass(frozen=True)
class Board:
    """Something flat in front of the scene, or something that moved between two photos: what one photo shows of
    `box` (left, top, right, bottom), another shows moved by `moved`; all in scene units."""

    box: tuple[float, float, float, float]
    moved: tuple[float, float]

    def covers(self, points: F64) -> Bools:
        """[N]: the point [N, 2] lies where the moved board is."""
        return self._inside(points - self.moved)

    def uncovers(self, points: F64) -> Bools:
        """[N]: the point [N, 2] lies where the board was, and is not any more."""
        return self._inside(points) & ~self.covers(points)

    def _inside(self, points: F64) -> Bools:
        x, y = points[..., 0], points[..., 1]
        left, top, right, bottom = self.box
        inside: Bools = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        return inside


def step_boards(count: int, most_px: float, size: tuple[int, int], seed: int) -> tuple[Board, ...]:
    """Boards in front of the scene, each moved sideways by up to `most_px` of a phone of that size, one per column."""
    rng = np.random.default_rng(seed)
    edges = np.linspace(-0.75, 0.75, count + 1)
    boards = []
    for left, right in itertools.pairwise(edges):
        inset = 0.15 * (right - left)
        top = rng.uniform(-0.45, -0.1)
        moved = rng.uniform(0.5, 1.0) * most_px / (np.hypot(*size) / 2) * rng.choice([-1, 1])
        box = (float(left + inset), float(top), float(right - inset), float(top + rng.uniform(0.25, 0.5)))
        boards.append(Board(box, (float(moved), 0.0)))
    return tuple(boards)


def relief(most_px: float, size: tuple[int, int]) -> partial[F64]:
    """Parallax of a smooth landscape: it moves a scene point by up to about `most_px` of a phone of that size."""
    return partial(_roll, most_px / (np.hypot(*size) / 2))


def _roll(most: float, p: F64) -> F64:
    x, y = p.T
    off = most * np.sin(3.1 * x + 0.3) * np.cos(2.7 * y)
    return np.stack([x + off, y + 0.1 * off], axis=1)
