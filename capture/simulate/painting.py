"""Generated scenes with the statistics of natural ones.

A scene is painted like a dead-leaves model: opaque shapes with power-law sizes cover each other (Lee, Mumford and
Huang, 2001), which gives occlusion edges at every scale and a spectrum near 1/f. Every shape is a label; its material
(colour, texture, shading) is looked up at the end. Sky, buildings with windows and lettering, trees and flowers
are painted over the ground in the same way.
"""

from __future__ import annotations

import math
import string
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from dpedkit.types import F32, F64

Levels: TypeAlias = npt.NDArray[np.uint16]

WHITE = 16384
"""Level of light 1.0 in a stored scene: two stops of head-room above it, and steps far below any camera's noise."""

_TILE_PX = 1024
_CORNERS = 16
_SUBPIXEL_BITS = 4
_STRIP_ROWS = 256
_FRACTAL, _GRAIN, _CLOUDS = 0, 1, 2

_GROUND = np.array([[0.20, 0.15, 0.10], [0.32, 0.27, 0.20], [0.12, 0.11, 0.10], [0.38, 0.36, 0.34], [0.16, 0.17, 0.08]])
_STONE = np.array([[0.45, 0.40, 0.33], [0.35, 0.16, 0.11], [0.55, 0.53, 0.50], [0.28, 0.28, 0.30], [0.50, 0.38, 0.22]])
_LEAVES = np.array([[0.06, 0.13, 0.03], [0.12, 0.22, 0.05], [0.20, 0.28, 0.07], [0.05, 0.09, 0.04], [0.26, 0.22, 0.06]])
_VIVID = np.array(
    [
        [0.60, 0.05, 0.04],
        [0.75, 0.50, 0.03],
        [0.05, 0.10, 0.45],
        [0.50, 0.06, 0.30],
        [0.03, 0.33, 0.20],
        [0.7, 0.7, 0.68],
    ]
)
"""Reflectances, linear R, G, B."""


def to_levels(light: F32) -> Levels:
    """Return light (linear, float32) as a scene stores it: uint16, WHITE is 1.0."""
    levels: Levels = np.clip(light * WHITE, 0, 65535).astype(np.uint16)
    return levels


def paint_scene(seed: int, index: int, size_px: tuple[int, int]) -> Levels:
    """Return scene number `index`: linear light, uint16 [H, W, 3], white paper in full sun at about WHITE.

    size_px  (width, height)
    """
    return _Painter(np.random.default_rng([seed, index, 1]), size_px).paint()


class _Painter:
    """One scene while it is painted.

    _labels     int32 [H, W]   which shape each pixel belongs to
    _materials  one row per shape: R, G, B, texture amount, which texture, shading along x and y
    """

    def __init__(self, random: np.random.Generator, size_px: tuple[int, int]) -> None:
        self._random = random
        self._width, self._height = size_px
        self._labels = np.zeros((self._height, self._width), np.int32)
        self._materials: list[F64] = []
        self._count = 0
        self._textures = np.stack([_fractal_tile(random, 1.0), _grain_tile(random)])

    def paint(self) -> Levels:
        random, height = self._random, self._height
        least_px = 5.0 * math.sqrt(
            height / 1500
        )  # larger canvases get finer leaves, but not so many that they take minutes
        self._leaves(_GROUND, radius_px=(least_px, height / 4), cover=2.5)
        horizon = height * random.uniform(0.25, 0.6)
        if random.uniform() < 0.8:
            self._sky(horizon)
        for _ in range(random.integers(2, 8)):
            self._building(horizon)
        for _ in range(random.integers(1, 6)):
            self._tree(horizon)
        for _ in range(random.integers(1, 5)):
            self._flowers()
        self._leaves(np.concatenate([_STONE, _VIVID]), radius_px=(height / 60, height / 7), cover=0.12)
        for _ in range(random.integers(1, 4)):
            self._sign()
        return self._shade()

    def _shapes(self, centres: F64, radii: F64, palette: F64, shapes: tuple[str, ...], vary: float = 0.25) -> None:
        """Paint opaque shapes, the later over the earlier.

        centres  [N, 2]  px
        radii    [N]     px
        """
        random, number = self._random, len(radii)
        colours = palette[random.integers(len(palette), size=number)]
        colours = colours * random.lognormal(0.0, vary, (number, 1)) * random.lognormal(0.0, vary / 5, (number, 3))
        first = self._new_labels(colours, texture=random.uniform(0.02, 0.3, number), shading=0.35)
        stretch = random.lognormal(0.0, 0.35, number)
        turn = random.uniform(0, 2 * math.pi, number)
        outline = np.stack([_OUTLINES[name] for name in shapes])[random.integers(len(shapes), size=number)]
        x = outline[..., 0] * (radii * stretch)[:, None]
        y = outline[..., 1] * (radii / stretch)[:, None]
        cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
        corners = np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1) + centres[:, None]
        fixed = np.rint(corners * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        for offset, polygon in enumerate(fixed):
            cv2.fillConvexPoly(self._labels, polygon, first + offset, shift=_SUBPIXEL_BITS)

    def _leaves(self, palette: F64, radius_px: tuple[float, float], cover: float) -> None:
        """Cover the canvas `cover` times with shapes whose radii follow r^-3."""
        random = self._random
        least, most = radius_px
        mean_area = 2 * math.pi * math.log(most / least) / (least**-2 - most**-2)
        number = round(cover * self._width * self._height / mean_area)
        share = random.uniform(size=number)
        radii = (least**-2 - share * (least**-2 - most**-2)) ** -0.5
        centres = random.uniform((0, 0), (self._width, self._height), (number, 2))
        self._shapes(centres, radii, palette, ("disc", "box", "wedge", "leaf"))

    def _sky(self, horizon: float) -> None:
        """Paint everything above a ragged skyline; the gradient comes from the shading, the clouds from a texture."""
        blue = np.array([[0.42, 0.68, 1.05]]) * self._random.uniform([0.8, 0.9, 0.7], [1.6, 1.2, 1.1])
        label = self._new_labels(blue, texture=np.array([self._random.uniform(0.05, 0.4)]))
        self._materials[-1][0, 4:] = (_CLOUDS, 0.0, 0.5)
        x = np.linspace(0, self._width, 200)
        skyline = horizon + np.cumsum(self._random.normal(0, self._height / 400, len(x)))
        polygon = np.concatenate([[[0, 0]], np.column_stack([x, skyline]), [[self._width, 0]]])
        cv2.fillPoly(self._labels, [np.rint(polygon).astype(np.int32)], label)

    def _building(self, horizon: float) -> None:
        random, height = self._random, self._height
        wide, tall = random.uniform(0.08, 0.3) * height, random.uniform(0.2, 0.7) * height
        left, foot = random.uniform(-0.1, 1.0) * self._width, horizon + random.uniform(0.0, 0.25) * height
        wall = self._new_labels(
            _STONE[random.integers(len(_STONE), size=1)] * random.uniform(0.6, 1.3), np.array([0.25])
        )
        lean = random.normal(0, 0.02)
        self._box((left, foot - tall), (wide, tall), lean, wall)
        across, down = random.integers(3, 9), random.integers(3, 12)
        cell_x, cell_y = wide / across, tall / down
        glass = np.array([0.05, 0.07, 0.10]) * random.lognormal(0, 0.6, (across * down, 1))
        first = self._new_labels(glass, random.uniform(0.1, 0.6, across * down), shading=0.6)
        for number in range(across * down):
            if random.uniform() < 0.9:
                row, column = divmod(number, across)
                x, y = left + (column + 0.25) * cell_x, foot - tall + (row + 0.25) * cell_y
                size = random.uniform(0.4, 0.6, 2)
                corner = (x + lean * (y - foot + tall), y)
                self._box(corner, (size[0] * cell_x, size[1] * cell_y), lean, first + number)

    def _box(self, corner: tuple[float, float], size: tuple[float, float], lean: float, label: int) -> None:
        (left, top), (wide, tall) = corner, size
        corners = [
            [left, top],
            [left + wide, top],
            [left + wide + lean * tall, top + tall],
            [left + lean * tall, top + tall],
        ]
        fixed = np.rint(np.array(corners) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillConvexPoly(self._labels, fixed, label, shift=_SUBPIXEL_BITS)

    def _tree(self, horizon: float) -> None:
        """Clumps of leaves on clumps of leaves; the later ones lie in the light."""
        random, height = self._random, self._height
        crown = random.uniform(0.08, 0.22) * height
        middle = np.array([random.uniform(0, self._width), horizon + random.uniform(-0.15, 0.35) * height])
        leaf_px = max(2.5, random.uniform(0.003, 0.009) * height)
        tint = random.uniform([0.7, 0.8, 0.6], [1.6, 1.1, 1.2])
        for light in (0.35, 0.65, 1.0, 1.4):
            clumps = middle + random.normal(0, crown * 0.45, (12, 2))
            number = min(2500, round(0.35 * (crown / leaf_px) ** 2))
            centres = clumps[random.integers(12, size=number)] + random.normal(0, crown * 0.16, (number, 2))
            radii = leaf_px * random.lognormal(0, 0.35, number)
            self._shapes(centres, radii, _LEAVES * tint * light, ("leaf", "leaf", "disc"))

    def _flowers(self) -> None:
        random, height = self._random, self._height
        number = random.integers(30, 200)
        bed = np.array([random.uniform(0, self._width), random.uniform(0.5, 1.0) * height])
        centres = bed + random.normal(0, 1, (number, 2)) * (0.12 * height, 0.04 * height)
        radii = random.uniform(0.003, 0.012) * height * random.lognormal(0, 0.3, number)
        colour = _VIVID[random.integers(len(_VIVID), size=2)]
        self._shapes(centres, radii, colour, ("disc", "wedge", "leaf"), vary=0.2)

    def _sign(self) -> None:
        """A board with a few lines of lettering."""
        random, height = self._random, self._height
        wide = random.uniform(0.15, 0.4) * height
        left, top = random.uniform(0, 0.85) * self._width, random.uniform(0.2, 0.85) * height
        board, ink = _VIVID[random.permutation(len(_VIVID))[:2]]
        label = self._new_labels(np.stack([board, ink * 0.3]), np.array([0.1, 0.1]))
        lines = int(random.integers(1, 5))
        self._box((left, top), (wide, wide * 0.18 * (lines + 0.5)), 0.0, label)
        for line in range(lines):
            self._lettering(left + wide * 0.06, top + wide * 0.18 * (line + 0.3), wide * 0.85, label + 1)

    def _lettering(self, left: float, top: float, wide: float, label: int) -> None:
        """Write nine random letters across `wide` px."""
        words = "".join(self._random.choice(list(string.ascii_letters + string.digits), 9))
        (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
        stencil = np.zeros((height + below + 4, width + 4), np.uint8)
        cv2.putText(stencil, words, (2, height + 2), cv2.FONT_HERSHEY_DUPLEX, 1.0, 255, 2)
        tall = round(wide * stencil.shape[0] / stencil.shape[1])
        ink = np.asarray(cv2.resize(stencil, (round(wide), tall), interpolation=cv2.INTER_CUBIC)) > 127
        canvas = self._labels[int(top) :, int(left) :][:tall, : round(wide)]
        canvas[ink[: canvas.shape[0], : canvas.shape[1]]] = label

    def _new_labels(self, colours: F64, texture: F64, shading: float = 0.15) -> int:
        """Make one material per row of `colours` and return the first one's label."""
        number, random = len(colours), self._random
        choice = random.choice([_FRACTAL, _GRAIN], (number, 1))
        slopes = random.normal(0, shading, (number, 2))
        self._materials.append(np.concatenate([colours, texture[:, None], choice, slopes], axis=1))
        first, self._count = self._count, self._count + number
        return first

    def _shade(self) -> Levels:
        """Look every pixel's material up and light it: sun with soft shadows of things outside the frame."""
        materials = np.concatenate(self._materials).astype(np.float32)
        colours, amount, slopes = materials[:, :3], materials[:, 3], materials[:, 5:]
        choice = materials[:, 4].astype(np.int32)
        place = self._random.integers(_TILE_PX, size=(2, len(materials)), dtype=np.int32)
        tiles = self._textures.reshape(-1)
        shadow, clouds = (self._wide(_fractal_tile(self._random, 1.4)) for _ in range(2))
        sun = np.float32(self._random.uniform(0.2, 0.8))
        column = np.arange(self._width, dtype=np.int32)
        levels = np.empty((self._height, self._width, 3), np.uint16)
        for top in range(0, self._height, _STRIP_ROWS):
            rows = slice(top, min(top + _STRIP_ROWS, self._height))
            label, row = self._labels[rows], np.arange(rows.start, rows.stop, dtype=np.int32)[:, None]
            y, x = (row + place[0][label]) % _TILE_PX, (column + place[1][label]) % _TILE_PX
            kind = choice[label]
            texture = tiles[np.minimum(kind, _GRAIN) * _TILE_PX**2 + y * _TILE_PX + x]
            texture = np.where(kind == _CLOUDS, clouds[rows], texture)
            slope = slopes[label]
            tilt = slope[..., 0] * (column / self._width - 0.5) + slope[..., 1] * (row / self._height - 0.5)
            shade = np.exp(amount[label] * texture + 2 * tilt)
            lit = 1 - sun / (1 + np.exp(-8 * (shadow[rows] - 0.4)))
            light = colours[label] * np.where(kind == _CLOUDS, shade, shade * lit)[..., None]
            levels[rows] = to_levels(light)
        return levels

    def _wide(self, tile: F32) -> F32:
        """Spread a texture over the whole canvas, smoothly."""
        size = (self._width, self._height)
        wide: F32 = cv2.resize(tile[:768], size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        return wide


def _fractal_tile(random: np.random.Generator, slope: float) -> F32:
    """Return a seamless texture with amplitude spectrum 1/f^slope, mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(_TILE_PX)[:, None], np.fft.rfftfreq(_TILE_PX)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.standard_normal((_TILE_PX, _TILE_PX))) / frequency**slope
    tile = np.fft.irfft2(spectrum)
    normal: F32 = ((tile - tile.mean()) / tile.std()).astype(np.float32)
    return normal


def _grain_tile(random: np.random.Generator) -> F32:
    """Return a seamless texture of small overlapping discs, as gravel and bark have; mean 0, standard deviation 1."""
    tile = np.zeros((_TILE_PX, _TILE_PX), np.float32)
    radii = 1.2 / np.sqrt(1 - random.uniform(0, 0.995, 60_000))
    for (x, y), radius, grey in zip(
        random.integers(_TILE_PX, size=(len(radii), 2)).tolist(),
        np.rint(radii).astype(int).tolist(),
        random.normal(0, 1, len(radii)).tolist(),
        strict=True,
    ):
        cv2.circle(tile, (x, y), radius, grey, -1)
    normal: F32 = ((tile - tile.mean()) / tile.std()).astype(np.float32)
    return normal


def _outlines() -> dict[str, npt.NDArray[np.float64]]:
    """Return convex outlines of unit size, [16, 2] each."""
    angle = np.arange(_CORNERS) * 2 * math.pi / _CORNERS
    disc = np.column_stack([np.cos(angle), np.sin(angle)])
    box = disc / np.abs(disc).max(axis=1, keepdims=True)
    wedge = np.repeat([[1.2, 0.0], [-0.7, 1.0], [-0.7, -1.0]], [6, 5, 5], axis=0)
    along = np.cos(angle)
    leaf = np.column_stack([1.5 * along, np.sign(np.sin(angle).round(9)) * 0.6 * (1 - along**2)])
    return {"disc": disc, "box": box, "wedge": wedge, "leaf": leaf}


_OUTLINES = _outlines()
