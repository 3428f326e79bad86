"""Small windows of both photos, brought onto each other through the current warp, and how far each one is off.

A window is a square of phone pixels. The DSLR's photo is sampled through the warp at those pixels, so that rotation,
perspective, scale and distortion are already undone and only a small shift is left to measure: first by normalised
cross-correlation, within pixels, then by Gauss-Newton, within hundredths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from dpedkit.align.coarse import shrink, unscale
from dpedkit.align.geometry import Warp
from dpedkit.align.placements import Placements
from dpedkit.align.register import LOST, Registration, register
from dpedkit.types import F32, F64, U8

_MIN_STD = 4.0
_SMOOTHING_PX = 1.0


@dataclass(frozen=True)
class Level:
    """Both photos at one resolution, the DSLR's brought near the phone's scale.

    phone, dslr            gray [H, W]
    phone_full, dslr_full  the photos they were shrunk from
    """

    phone: U8
    dslr: U8
    phone_full: U8
    dslr_full: U8

    @classmethod
    def make(cls, phone: U8, dslr: U8, warp: Warp, limit_px: float) -> Level:
        """Shrink the phone's photo to at most `limit_px` pixels and the DSLR's to the same scale."""
        small = shrink(phone, limit_px)
        factor = (small.size / phone.size) ** 0.5 / warp.scale()
        return cls(small, shrink(dslr, dslr.size * factor**2), phone, dslr)

    def to_full(self, points: F64) -> F64:
        """Map points of this level's phone photo to those of the full one."""
        return unscale(points, self.phone, self.phone_full)

    def dslr_points(self, warp: Warp, points: F64) -> F64:
        """Map points of this level's phone photo through the warp to this level's DSLR photo."""
        return unscale(warp.forward(self.to_full(points)), self.dslr_full, self.dslr)

    @property
    def zoom(self) -> float:
        """How many full-resolution phone px one px of this level spans."""
        return float(self.phone_full.shape[1] / self.phone.shape[1])


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
    moved = np.array([fit.moved for fit in placed]).reshape(-1, 2) * level.zoom
    at = level.to_full(centres[seen])
    return Placements(
        phone=at,
        dslr=warp.forward(at + moved),
        covariance=np.array([fit.covariance for fit in placed]).reshape(-1, 2, 2) * level.zoom**2,
        ncc=np.array([fit.ncc for fit in placed]),
        zoom=level.zoom,
    )


def _nodes(level: Level, warp: Warp, grid: Grid) -> tuple[F64, F64]:
    """Return window centres [N, 2] and the DSLR px [N, 3, 3, 2] of each one's corners, edges and centre."""
    height, width = level.phone.shape
    half = (grid.side - 1) / 2
    xs = np.round(np.linspace(half, width - 1 - half, grid.cols) - half) + half
    ys = np.round(np.linspace(half, height - 1 - half, grid.rows) - half) + half
    centres = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    span = half + grid.reach
    steps = np.stack(np.meshgrid([-span, 0.0, span], [-span, 0.0, span]), axis=-1)
    around = centres[:, None, None] + steps
    nodes = level.dslr_points(warp, around.reshape(-1, 2)).reshape(-1, 3, 3, 2)
    last = np.array([level.dslr.shape[1] - 2, level.dslr.shape[0] - 2])
    inside = ((nodes >= 1) & (nodes <= last)).all(axis=(1, 2, 3))
    return centres[inside], nodes[inside]


def _place(level: Level, centre: F64, nodes: F64, basis: F32, grid: Grid) -> Registration | None:
    """Find one window, in level px; None where there is nothing to see."""
    left, top = (int(v) for v in np.round(centre - (grid.side - 1) / 2))
    template = level.phone[top : top + grid.side, left : left + grid.side]
    soft = soften(template)
    if float(cv2.meanStdDev(soft)[1][0, 0]) < _MIN_STD:
        return None
    field = sample(level.dslr, nodes, basis)
    if not grid.reach:
        return register(soft, soften(field)) or LOST
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(field, template.astype(np.float32), cv2.TM_CCOEFF_NORMED))
    if x in (0, 2 * grid.reach) or y in (0, 2 * grid.reach):  # the peak may lie beyond
        return LOST
    fit = register(soft, soften(field[y : y + grid.side, x : x + grid.side])) or LOST
    return replace(fit, moved=fit.moved + np.array([x, y]) - grid.reach)


def soften(window: U8 | F32) -> F32:
    """Return the window as float32, blurred just enough to keep noise and aliasing out of the gradients."""
    return cv2.GaussianBlur(window.astype(np.float32), (0, 0), _SMOOTHING_PX).astype(np.float32, copy=False)


def sample(gray: U8, nodes: F64, basis: F32) -> F32:
    """Sample a gray photo [H, W] on a square that is bent through 3 x 3 nodes [3, 3, 2], px."""
    left, top = np.maximum(np.floor(nodes.min(axis=(0, 1))).astype(int) - 4, 0)
    right, bottom = np.ceil(nodes.max(axis=(0, 1))).astype(int) + 5
    region = gray[top:bottom, left:right].astype(np.float32)
    bent = (nodes - [left, top]).astype(np.float32)
    map_x, map_y = (basis @ bent[..., axis] @ basis.T for axis in (0, 1))
    return cv2.remap(region, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32, copy=False
    )


def _quadratic_basis(side: int) -> F32:
    """Return [side, 3]: Lagrange weights of values at the first, middle and last of `side` places.

    A window's share of the distortion is quadratic to within thousandths of a px; its curvature alone would move a
    window's mean by tenths.
    """
    t = np.linspace(-1.0, 1.0, side)
    return np.stack([t * (t - 1) / 2, 1 - t**2, t * (t + 1) / 2], axis=1).astype(np.float32)
