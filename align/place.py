"""Where each patch of one picture lies in another on nearly the same pixels: shift, rotation, and how surely.

Both pictures are halved once by averaging, which leaves the noise of neighbouring pixels independent and costs little
of what fixes a place. A search over whole pixels of the quartered pictures gives each patch its start; Gauss-Newton
steps on the halved ones follow, and say of each ninth of the patch, too, where it lies: an edge of something nearer, or
something that moved, leaves most of a patch where it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dpedkit.align.descent import EDGE, PARTS, Step, take_step
from dpedkit.align.pyramid import halved
from dpedkit.types import F32, F64, I64, U8

BATCH = 32
"""Windows whose arrays stay in a core's cache together."""
_REACH = 2  # px of the quartered pictures that a patch is searched for around its place
_BORDER = EDGE + 2 * _REACH + PARTS
_ROUNDS = 3
_CLOSE_PX, _CLOSE_RAD = 0.25, 0.004  # a step this short leaves less than 0.01 px to the next
_FAR_PX = 2.0  # a step this long has left what the search vouched for
_DOUBT = 3.0  # times its bound, that a part's shift must exceed to tell


@dataclass(frozen=True, eq=False)
class Places:
    """Where N patches were found.

    shift_xy_px   [N, 2], first(p) shows what second(p + shift) shows, at the patch's centre
    rotation_deg  [N], and turned about it, clockwise on the screen
    crlb_px       [N], Cramer-Rao bound of the shift along its worse axis; infinite where the patch was not found
    local_px      [N], how far the worst of its nine parts lies from its place, less three times that part's own bound
    """

    shift_xy_px: F64
    rotation_deg: F64
    crlb_px: F64
    local_px: F64


def place_patches(first: U8, second: U8, xy: I64, size: int) -> Places:
    """Find patches of one luma picture [H, W] in another on the same pixels; xy [N, 2] are their top left pixels.

    The shifts that can be found reach 8 px along each axis, with a few degrees of rotation. A patch that was not found
    has shift and rotation 0.
    """
    side = PARTS * max(round(size / 2 / PARTS), 1)
    finder = _Finder(first, second, side)
    batches = [xy[at : at + BATCH] for at in range(0, len(xy), BATCH)]
    found = np.concatenate([np.zeros((0, 5)), *(finder.find(batch // 2) for batch in batches)])
    aside = xy + (size - 1) / 2 - (xy // 2 * 2 + side - 0.5)  # of the patch's centre from its window's
    turned = np.einsum("ijn,nj->ni", _turn(found[:, 2]), aside) - aside
    return Places(2 * found[:, :2] + turned, np.degrees(found[:, 2]), 2 * found[:, 3], 2 * found[:, 4])


def _search(first: U8, second: F32, xy: I64, side: int) -> I64:
    """Return the whole shift (x, y) [N, 2], px of these pictures, whose normalised cross-correlation is highest."""
    reach, count = _REACH, 2 * _REACH + 1
    template = cut(first, xy, side).reshape(-1, side * side)
    template -= template.mean(axis=1, keepdims=True)
    fields = cut(second, xy, side + 2 * reach)
    windows = sliding_window_view(fields, (side, side), axis=(1, 2)).reshape(-1, count**2, side * side)
    energy = np.einsum("nkp,nkp->nk", windows, windows) - windows.sum(axis=2) ** 2 / side**2
    alike = np.einsum("nkp,np->nk", windows, template) / np.sqrt(np.maximum(energy, 1.0))
    best = alike.argmax(axis=1)
    return np.stack([best % count - reach, best // count - reach], axis=1)


def cut(picture: U8 | F32, xy: I64, side: int) -> F32:
    """Return the squares [N, side, side] of [H, W], or [N, C, side, side] of [H, W, C]; xy: their top left pixels."""
    return sliding_window_view(picture, (side, side), axis=(0, 1))[xy[:, 1], xy[:, 0]].astype(np.float32, copy=False)


class _Finder:
    """Finds windows of one picture in another, a batch at a time; all px are those of the halved pictures."""

    def __init__(self, first: U8, second: U8, side: int) -> None:
        self._side = side
        self._wide = side + 2 * EDGE
        halves = halved(first), halved(second)
        self._quarters = halved(halves[0]), _bordered(halved(halves[1]), _REACH)
        self._first, self._second = (_bordered(half, _BORDER) for half in halves)
        self._full = second

    def find(self, xy: I64) -> F64:
        """Return shift x, y, rotation in radians, bound and local shift [N, 5] of windows, by their top left px."""
        start = 2 * _search(*self._quarters, xy // 2, self._side // 2)
        corner = xy + _BORDER - EDGE
        templates = cut(self._first, corner, self._wide)
        windows = cut(self._second, corner + start, self._wide)
        found = np.zeros((len(xy), 5))
        found[:, :2] = start
        todo = np.arange(len(xy))
        for _ in range(_ROUNDS):
            step = take_step(templates[todo], windows)
            found[todo] = _moved(found[todo], step, self._side)
            length = np.linalg.norm(step.motion[:, :2], axis=1)
            near = length < _FAR_PX
            found[todo[~near]] = [0.0, 0.0, 0.0, np.inf, np.inf]
            todo = todo[near & ((length > _CLOSE_PX) | (np.abs(step.motion[:, 2]) > _CLOSE_RAD))]
            if not len(todo):
                break
            windows = np.stack([self._warped(xy[i] - EDGE, found[i, :3]) for i in todo])
        return found

    def _warped(self, corner: I64, motion: F64) -> F32:
        """Sample the second picture where the pixels of a window lie after a motion (x, y, rotation).

        At full resolution, then halved: what lies between pixels is then averaged with its neighbours.
        """
        wide = 2 * self._wide
        warped = sample_square(self._full, 2 * (corner + motion[:2]), wide, motion[2])
        return cv2.resize(warped, (self._wide, self._wide), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def sample_square(picture: U8, corner: F64, side: int, angle_rad: F64) -> U8:
    """Return the square [side, side, ...] whose top left pixel lay at `corner` (x, y) before it was turned.

    Linearly between pixels: OpenCV's cubic kernel (a = -0.75) moves what it interpolates by up to 0.05 px.
    """
    half = (side - 1) / 2
    turn = _turn(angle_rad)
    matrix = np.column_stack([turn, corner + half - turn @ [half, half]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    square = cv2.warpAffine(picture, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return square.astype(np.uint8, copy=False)


def _bordered(picture: U8, border_px: int) -> F32:
    edges = (border_px, border_px, border_px, border_px)
    return cv2.copyMakeBorder(picture, *edges, cv2.BORDER_REPLICATE).astype(np.float32)


def _turn(angle_rad: F64) -> F64:
    """Return the matrices [2, 2, ...] that turn (x, y) by angles [...]."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s], [s, c]])


def _moved(found: F64, step: Step, side: int) -> F64:
    """Return what is found [N, 5] after a step in the windows as they were found."""
    turn = np.moveaxis(_turn(found[:, 2]), 2, 0)
    place = (np.arange(PARTS) - (PARTS - 1) / 2) * (side / PARTS)
    centres = np.stack(np.meshgrid(place, place), axis=-1).reshape(-1, 2)
    local = found[:, None, :2] + (centres + step.parts) @ turn.swapaxes(1, 2) - centres
    worst = (np.linalg.norm(local, axis=2) - _DOUBT * step.parts_bound).max(axis=1)
    shift = found[:, :2] + np.einsum("nij,nj->ni", turn, step.motion[:, :2])
    return np.column_stack([shift, found[:, 2] + step.motion[:, 2], step.bound, np.maximum(worst, 0.0)])
