"""Where each patch of one picture lies in another on nearly the same pixels: shift, rotation, and how surely.

Both pictures are halved once by averaging, which leaves the noise of neighbouring pixels independent and costs little
of what fixes a place. A search over whole pixels of the quartered pictures gives each patch its start; Gauss-Newton
steps on the halved ones then solve for shift, rotation, gain and offset. The gradient is the mean of both windows'
(efficient second-order minimisation: Benhimane and Malis, IROS 2004), by central differences of the fourth order: those
of the second order fall short where the content is fine, and each step with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dpedkit.types import F32, F64, I64, U8

BATCH = 32
"""Windows whose arrays stay in a core's cache together."""
_REACH = 2  # px of the quartered pictures that a patch is searched for around its place
_EDGE = 2  # px around a window that its gradient reaches for
_BORDER = _EDGE + 2 * _REACH
_ROUNDS = 3
_CLOSE_PX, _CLOSE_RAD = 0.25, 0.004  # a step this short leaves less than 0.01 px to the next
_FAR_PX = 2.0  # a step this long has left what the search vouched for
_MIN_STRUCTURE = 0.01  # gradient energy, levels^2 per px, along the weaker axis; below it nothing shows a shift
_OUTLYING = np.float32(5.0)  # times the mean of all differences
_SLOPE = np.array([1, -8, 0, 8, -1], dtype=np.float32) / 24  # half the derivative: of two windows' sum, their mean's


@dataclass(frozen=True, eq=False)
class Places:
    """Where N patches were found.

    shift_xy_px   [N, 2], first(p) shows what second(p + shift) shows, at the patch's centre
    rotation_deg  [N], and turned about it, clockwise on the screen
    crlb_px       [N], Cramer-Rao bound of the shift along its worse axis; infinite where the patch was not found
    """

    shift_xy_px: F64
    rotation_deg: F64
    crlb_px: F64


def place_patches(first: U8, second: U8, xy: I64, size: int) -> Places:
    """Find patches of one luma picture [H, W] in another on the same pixels; xy [N, 2] are their top left pixels.

    The shifts that can be found reach 8 px along each axis, with a few degrees of rotation. A patch that was not found
    has shift and rotation 0.
    """
    finder = _Finder(first, second, size // 2)
    batches = [xy[at : at + BATCH] for at in range(0, len(xy), BATCH)]
    found = np.concatenate([np.zeros((0, 4)), *(finder.find(batch // 2) for batch in batches)])
    return Places(2 * found[:, :2], np.degrees(found[:, 2]), 2 * found[:, 3])


def halved(picture: U8) -> U8:
    """Return the averages of squares of 2 x 2 px; an odd last row or column is left out."""
    height, width = (side // 2 for side in picture.shape[:2])
    even = picture[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


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
    return sliding_window_view(picture, (side, side), axis=(0, 1))[xy[:, 1], xy[:, 0]].astype(np.float32, order="C")


class _Finder:
    """Finds windows of one picture in another, a batch at a time; all px are those of the halved pictures."""

    def __init__(self, first: U8, second: U8, side: int) -> None:
        self._side = side
        self._wide = side + 2 * _EDGE
        halves = halved(first), halved(second)
        self._quarters = halved(halves[0]), _bordered(halved(halves[1]), _REACH)
        self._first, self._second = (_bordered(half, _BORDER) for half in halves)
        self._full = second

    def find(self, xy: I64) -> F64:
        """Return shift x, shift y, rotation in radians and bound [N, 4] of windows; xy [N, 2], their top left px."""
        start = 2 * _search(*self._quarters, xy // 2, self._side // 2)
        corner = xy + _BORDER - _EDGE
        templates = cut(self._first, corner, self._wide)
        windows = cut(self._second, corner + start, self._wide)
        found = np.zeros((len(xy), 4))
        found[:, :2] = start
        todo = np.arange(len(xy))
        for _ in range(_ROUNDS):
            step, bound = _step(templates[todo], windows)
            found[todo] = np.column_stack([_chained(found[todo, :3], step), bound])
            length = np.linalg.norm(step[:, :2], axis=1)
            near = length < _FAR_PX
            found[todo[~near]] = [0.0, 0.0, 0.0, np.inf]
            todo = todo[near & ((length > _CLOSE_PX) | (np.abs(step[:, 2]) > _CLOSE_RAD))]
            if not len(todo):
                break
            windows = np.stack([self._warped(xy[i] - _EDGE, found[i, :3]) for i in todo])
        return found

    def _warped(self, corner: I64, motion: F64) -> F32:
        """Sample the second picture where the pixels of a window lie after a motion (x, y, rotation).

        At full resolution, between neighbours, then halved: OpenCV's cubic kernel (a = -0.75) moves what it
        interpolates by up to 0.05 px.
        """
        wide = 2 * self._wide
        half = (wide - 1) / 2
        turn = _turn(motion[2])
        matrix = np.column_stack([turn, 2 * (corner + motion[:2]) + half - turn @ [half, half]])
        warped = cv2.warpAffine(
            self._full,
            matrix,
            (wide, wide),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return cv2.resize(warped, (self._wide, self._wide), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _bordered(picture: U8, border_px: int) -> F32:
    edges = (border_px, border_px, border_px, border_px)
    return cv2.copyMakeBorder(picture, *edges, cv2.BORDER_REPLICATE).astype(np.float32)


def _turn(angle_rad: float) -> F64:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s], [s, c]])


def _chained(motion: F64, step: F64) -> F64:
    """Return the motion [N, 3] that takes a step [N, 3] in the turned window, then the motion itself."""
    c, s = np.cos(motion[:, 2]), np.sin(motion[:, 2])
    x, y = step[:, 0], step[:, 1]
    return motion + np.column_stack([c * x - s * y, s * x + c * y, step[:, 2]])


def _step(first: F32, second: F32) -> tuple[F64, F64]:
    """Return one Gauss-Newton step (x, y, radians) [N, 3] that moves windows [N, W, W] onto others, and its bound [N].

    The bound is infinite where the windows have no structure.
    """
    wide = first.shape[1]
    side, inner = wide - 2 * _EDGE, slice(_EDGE, -_EDGE)
    first = first - first.mean(axis=(1, 2), keepdims=True)
    second = second - second.mean(axis=(1, 2), keepdims=True)
    energy = [np.einsum("nij,nij->n", each, each) for each in (first, second)]
    second *= np.sqrt(energy[0] / np.maximum(energy[1], 1e-3))[:, None, None].astype(np.float32)
    both = (first + second).reshape(-1, wide)  # one tall picture: what runs over from window to window is cut off
    ramp = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    columns = np.empty((5, len(first), side, side), dtype=np.float32)
    for column, kernel in zip(columns, (_SLOPE[None], _SLOPE[:, None]), strict=False):
        column[:] = cv2.filter2D(both, cv2.CV_32F, kernel).reshape(first.shape)[:, inner, inner]
    np.multiply(columns[1], ramp[None, :], out=columns[2])
    columns[2] -= columns[0] * ramp[:, None]
    columns[3] = both.reshape(first.shape)[:, inner, inner]
    np.subtract(first[:, inner, inner], second[:, inner, inner], out=columns[4])
    weight = _trust(columns[4])
    columns *= weight
    gram = _gram(columns.reshape(5, len(first), -1), weight.reshape(len(first), -1))
    normal, target = gram[:, :4, :4], gram[:, :4, 4]
    seen = np.linalg.eigvalsh(normal[:, :2, :2])[:, 0] > _MIN_STRUCTURE * side**2
    inverse = np.linalg.inv(np.where(seen[:, None, None], normal, 0.0) + 1e-3 * np.eye(4))
    step = np.einsum("nij,nj->ni", inverse, target)
    noise = np.maximum(gram[:, 4, 4] - np.einsum("ni,ni->n", step, target), 0.0) / max(side**2 - 5, 1)
    bound = np.sqrt(noise * np.linalg.eigvalsh(inverse[:, :2, :2])[:, 1])
    return np.where(seen[:, None], step[:, :3], 0.0), np.where(seen, bound, np.inf)


def _trust(rest: F32) -> F32:
    """Return the square roots of Cauchy's weights: what differs far more than most, moved or burnt out, pulls less."""
    scale = _OUTLYING * np.abs(rest).mean(axis=(1, 2), keepdims=True) + np.float32(1e-3)
    trust: F32 = 1 / np.sqrt(1 + (rest / scale) ** 2)
    return trust


def _gram(columns: F32, ones: F32) -> F64:
    """Return the products [N, K, K] of columns [K, N, P] less their fit by `ones` [N, P]: an offset is solved along."""
    count = len(columns)
    gram = np.empty((columns.shape[1], count, count))
    total = np.einsum("knp,np->kn", columns, ones).astype(np.float64)
    total /= np.sqrt(np.einsum("np,np->n", ones, ones))
    for i in range(count):
        for j in range(i, count):
            product = np.einsum("np,np->n", columns[i], columns[j])
            gram[:, i, j] = gram[:, j, i] = product - total[i] * total[j]
    return gram
