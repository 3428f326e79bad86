"""Small windows of both photos, brought onto each other through the current warp, and how far each one is off.

A window is a square of phone pixels. The DSLR's photo is sampled through the warp at those pixels, so that rotation,
perspective, scale and distortion are already undone and only a small shift is left to measure: first by normalised
cross-correlation, within pixels, then by Gauss-Newton, within hundredths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dpedkit.align.geometry import Warp, overlap_polygon
from dpedkit.align.placements import Placements
from dpedkit.align.pyramid import Pyramid
from dpedkit.align.register import LOST, Registration, register
from dpedkit.types import F32, F64, U8

_MIN_STD = 4.0
_SMOOTHING_PX = 1.0
_PIXEL_PX = 0.5
"""Standard deviation that stands for the width of one pixel (a box of 1 px has 0.29, a lens adds to it)."""
_BLUR_SIGMAS = 3.0
_BLUR_REACH = math.ceil(_BLUR_SIGMAS * _SMOOTHING_PX)


@dataclass(frozen=True)
class Level:
    """Both photos at sizes where one pixel of the DSLR's spans at most one of the phone's, and more than half of it.

    phone, dslr    gray [H, W]
    phone_zoom     full-resolution px of the phone's photo that one px of `phone` spans
    dslr_zoom      the same of the DSLR's
    scale          px of `dslr` that one px of `phone` spans
    """

    phone: U8
    dslr: U8
    phone_zoom: int
    dslr_zoom: int
    scale: float

    @classmethod
    def make(cls, phone: Pyramid, dslr: Pyramid, warp: Warp, wanted_px: float) -> Level:
        """Take the phone's photo at the size nearest to `wanted_px` pixels, and the DSLR's at the same scale."""
        k = round(math.log(max(phone.full.size / wanted_px, 1.0), 4))
        scale = warp.scale() * 2**k
        m = max(math.floor(math.log2(scale)), 0)
        return cls(phone.level(k), dslr.level(m), 2**k, 2**m, scale / 2**m)

    def to_full(self, points: F64) -> F64:
        """Map points of this level's phone photo to those of the full one."""
        return (points + 0.5) * self.phone_zoom - 0.5

    def to_level(self, points: F64) -> F64:
        """Map points of the full phone photo to those of this level's."""
        return (points + 0.5) / self.phone_zoom - 0.5

    def dslr_points(self, warp: Warp, points: F64) -> F64:
        """Map points of this level's phone photo through the warp to this level's DSLR photo."""
        return (warp.forward(self.to_full(points)) + 0.5) / self.dslr_zoom - 0.5


@dataclass(frozen=True)
class Grid:
    """Windows spread over the overlap.

    side    side of a window, level px
    reach   how far the correlation search goes, level px; 0 starts from the warp as it is
    cols, rows  windows across the photo
    """

    cols: int
    rows: int
    side: int
    reach: int = 0


def place_windows(level: Level, warp: Warp, grid: Grid) -> Placements:
    """Find in the DSLR's photo a grid of windows that lie wholly in both; those without structure are left out."""
    centres, nodes = _nodes(level, warp, grid)
    basis = _quadratic_basis(grid.side + 2 * grid.reach)
    fits = [_place(level, centre, each, basis, grid) for centre, each in zip(centres, nodes, strict=True)]
    seen = np.array([fit is not None for fit in fits], dtype=np.bool_)
    placed = [fit for fit in fits if fit is not None]
    moved = np.array([fit.moved for fit in placed]).reshape(-1, 2) * level.phone_zoom
    at = level.to_full(centres[seen])
    return Placements(
        phone=at,
        dslr=warp.forward(at + moved),
        covariance=np.array([fit.covariance for fit in placed]).reshape(-1, 2, 2) * level.phone_zoom**2,
        ncc=np.array([fit.ncc for fit in placed]),
        side_px=grid.side * level.phone_zoom,
        zoom=level.phone_zoom,
    )


def _nodes(level: Level, warp: Warp, grid: Grid) -> tuple[F64, F64]:
    """Return window centres [N, 2] and the DSLR px [N, 3, 3, 2] of each one's corners, edges and centre."""
    height, width = level.phone.shape
    half = (grid.side - 1) / 2
    margin = half + _BLUR_REACH
    seen = level.to_level(overlap_polygon(warp.without_mesh()))  # where it is small, the windows gather there
    if not len(seen):
        return np.zeros((0, 2)), np.zeros((0, 3, 3, 2))
    first = np.clip(seen.min(axis=0), 0, None) + margin
    last = np.clip(seen.max(axis=0), None, [width - 1, height - 1]) - margin
    xs = np.round(np.linspace(first[0], last[0], grid.cols) - half) + half
    ys = np.round(np.linspace(first[1], last[1], grid.rows) - half) + half
    centres = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    span = half + grid.reach
    steps = np.stack(np.meshgrid([-span, 0.0, span], [-span, 0.0, span]), axis=-1)
    around = centres[:, None, None] + steps
    nodes = level.dslr_points(warp, around.reshape(-1, 2)).reshape(-1, 3, 3, 2)
    border = np.array([level.dslr.shape[1] - 2, level.dslr.shape[0] - 2])
    inside = ((nodes >= 1) & (nodes <= border)).all(axis=(1, 2, 3))
    return centres[inside], nodes[inside]


def _place(level: Level, centre: F64, nodes: F64, basis: F32, grid: Grid) -> Registration | None:
    """Find one window, in level px; None where there is nothing to see."""
    left, top = (int(v) for v in np.round(centre - (grid.side - 1) / 2))
    template = _cut_softly(level.phone, left, top, grid.side)
    if float(cv2.meanStdDev(template)[1][0, 0]) < _MIN_STD:
        return None
    field = _sample_softly(level, nodes, basis)
    if not grid.reach:
        return register(template, field) or LOST
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(field, template, cv2.TM_CCOEFF_NORMED))
    if x in (0, 2 * grid.reach) or y in (0, 2 * grid.reach):  # the peak may lie beyond
        return LOST
    fit = register(template, field[y : y + grid.side, x : x + grid.side]) or LOST
    return replace(fit, moved=fit.moved + np.array([x, y]) - grid.reach)


def _cut_softly(gray: U8, left: int, top: int, side: int) -> F32:
    """Return a square of a photo, blurred just enough to keep noise and aliasing out of the gradients."""
    edge = _BLUR_REACH
    around = gray[max(top - edge, 0) : top + side + edge, max(left - edge, 0) : left + side + edge]
    x, y = min(left, edge), min(top, edge)
    return _blur(around.astype(np.float32), _SMOOTHING_PX)[y : y + side, x : x + side]


def _sample_softly(level: Level, nodes: F64, basis: F32) -> F32:
    """Sample the DSLR's photo on a square that is bent through 3 x 3 nodes [3, 3, 2], px, as soft as the phone's."""
    wide = max(level.scale**2 - 1.0, 0.0) * _PIXEL_PX**2  # a phone's pixel averages over what the DSLR's resolve
    sigma = (wide + (level.scale * _SMOOTHING_PX) ** 2) ** 0.5
    edge = math.ceil(_BLUR_SIGMAS * sigma) + 2
    left, top = np.maximum(np.floor(nodes.min(axis=(0, 1))).astype(int) - edge, 0)
    right, bottom = np.ceil(nodes.max(axis=(0, 1))).astype(int) + edge + 1
    region = _blur(level.dslr[top:bottom, left:right].astype(np.float32), sigma)
    bent = (nodes - [left, top]).astype(np.float32)
    map_x, map_y = (basis @ bent[..., axis] @ basis.T for axis in (0, 1))
    # linear: the blur leaves nothing for OpenCV's cubic to gain, and that moves a slope by up to 0.05 px with the phase
    return cv2.remap(region, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32, copy=False
    )


def _blur(window: F32, sigma_px: float) -> F32:
    side = 2 * math.ceil(_BLUR_SIGMAS * sigma_px) + 1
    return cv2.GaussianBlur(window, (side, side), sigma_px).astype(np.float32, copy=False)


def _quadratic_basis(side: int) -> F32:
    """Return [side, 3]: Lagrange weights of values at the first, middle and last of `side` places.

    A window's share of the distortion is quadratic to within thousandths of a px; its curvature alone would move a
    window's mean by tenths.
    """
    t = np.linspace(-1.0, 1.0, side)
    return np.stack([t * (t - 1) / 2, 1 - t**2, t * (t + 1) / 2], axis=1).astype(np.float32)
