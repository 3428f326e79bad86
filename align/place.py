"""Where each patch of one picture lies in another on nearly the same pixels: shift, turn, and how surely.

Correlation at a quarter of the resolution finds the patch within pixels; inverse compositional Gauss-Newton (Baker and
Matthews, Lucas-Kanade 20 Years On, IJCV 2004) at a half and at the whole resolution finds it within hundredths, gain
and offset solved along. All gradients are the template's, so that a step costs one resampling and one small product.

Pictures are blurred by one pixel first: that leaves nothing that every second pixel of a row and column does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dpedkit.align.windows import soften
from dpedkit.types import F32, F64, I64, U8, Bools

REACH_PX = 8
"""How far from its place a patch is looked for, px."""
_BAND_ROWS = 512
_CHUNK = 32  # patches whose numbers fit into a processor's cache together
_MOST_DEG = 10.0
_MIN_STRUCTURE = 1e-3  # of one level^2 per px^2 of the smaller eigenvalue of the gradients' mean product
_SETTLED_PX = 0.1  # a step so short leaves less than a hundredth
_STEPS = {2: 3, 1: 3}  # Gauss-Newton steps at half and at whole resolution, at most


@dataclass(frozen=True, eq=False)
class Places:
    """Where N patches were found.

    ncc           [N], normalised cross-correlation of the patches as they lie; 0 where one of them is flat
    crlb_px       [N], Cramer-Rao bound of the shift, px: sqrt(noise variance / smallest eigenvalue of the sum of
                  g g^T), g the gradient; infinite for a patch that was found nowhere
    shift_xy_px   [N, 2], px: the first picture at p shows what the second shows at p + shift
    rotation_deg  [N], and turned about the patch's centre, clockwise on the screen
    """

    ncc: F64
    crlb_px: F64
    shift_xy_px: F64
    rotation_deg: F64


def place_patches(first: U8, second: U8, xy: I64, size: int) -> Places:
    """Find the squares of `first` [H, W], whose top left pixels (x, y) [N, 2] are given, in `second` [H, W]."""
    count = len(xy)
    found = Places(np.zeros(count), np.full(count, np.inf), np.zeros((count, 2)), np.zeros(count))
    for band, rows in _bands(first, second, xy, size):
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            band.place(xy[some] - np.array([0, band.top]), some, found)
    return found


def _bands(first: U8, second: U8, xy: I64, size: int) -> Iterator[tuple[_Band, I64]]:
    """Yield strips of both pictures and the patches that begin in each: whole blurred pictures would be large."""
    margin = 2 * REACH_PX
    for top in range(0, max(len(first) - size + 1, 1), _BAND_ROWS):
        rows = np.flatnonzero((xy[:, 1] >= top) & (xy[:, 1] < top + _BAND_ROWS))
        if len(rows):
            start = max(top - margin, 0)
            strip = slice(start, top + _BAND_ROWS + size + margin)
            yield _Band(first[strip], second[strip], start, size), rows


class _Band:
    """A strip of both pictures at three resolutions."""

    def __init__(self, first: U8, second: U8, top: int, size: int) -> None:
        self.top = top
        self._size = size
        self._raw = first, second
        half_first, half_second = _halved(first), _halved(second)
        self._quarters = _halved(half_first), _halved(half_second)
        self._levels = {2: _Level.of(half_first, half_second, size // 2, 1), 1: _Level.of(first, second, size, 2)}

    def place(self, xy: I64, rows: I64, found: Places) -> None:
        """Find the squares at xy [N, 2], px of the strip, and write what was found into `found[rows]`."""
        windows = sliding_window_view(self._raw[0], (self._size, self._size))[xy[:, 1], xy[:, 0]]
        found.ncc[rows] = self._correlations(windows, xy, np.zeros_like(xy))
        state = np.column_stack([np.array([self._search(x, y) for x, y in xy.tolist()]), np.zeros(len(xy))])
        lost = np.zeros(len(xy), dtype=np.bool_)
        bound = np.zeros(len(xy))
        for factor, level in self._levels.items():
            scale = np.array([factor, factor, 1.0])
            state, bound, astray = level.refine(xy // factor, state / scale, _STEPS[factor])
            state, lost = state * scale, lost | astray
        lost |= (np.abs(state[:, :2]).max(axis=1) > REACH_PX) | (np.abs(state[:, 2]) > np.radians(_MOST_DEG))
        nearest = np.where(lost[:, None], 0, np.rint(state[:, :2])).astype(np.int64)
        moved = nearest.any(axis=1)
        ncc = found.ncc[rows]
        if moved.any():
            ncc[moved] = self._correlations(windows[moved], xy[moved], nearest[moved])
        found.crlb_px[rows] = np.where(lost, np.inf, bound * np.sqrt(np.maximum(1.0 - ncc**2, 0.0)))
        found.shift_xy_px[rows] = np.where(lost[:, None], 0.0, state[:, :2])
        found.rotation_deg[rows] = np.where(lost, 0.0, np.degrees(state[:, 2]))

    def _search(self, x: int, y: int) -> tuple[float, float]:
        """Return the shift (x, y), px, under which a square looks most alike at a quarter of the resolution."""
        first, second = self._quarters
        side, reach, x, y = self._size // 4, REACH_PX // 4, x // 4, y // 4
        left, top = min(reach, x), min(reach, y)
        field = second[y - top : y + side + reach, x - left : x + side + reach]
        scores = cv2.matchTemplate(field, first[y : y + side, x : x + side], cv2.TM_CCOEFF_NORMED)
        _, _, _, peak = cv2.minMaxLoc(scores)
        return 4.0 * (peak[0] - left), 4.0 * (peak[1] - top)

    def _correlations(self, windows: U8, xy: I64, shift: I64) -> F64:
        """Return the NCC [N] of the first picture's windows [N, S, S] with the second's, moved by whole px [N, 2]."""
        height, width = self._raw[1].shape
        x, y = np.clip(xy + shift, 0, [width - self._size, height - self._size]).T
        others = sliding_window_view(self._raw[1], (self._size, self._size))[y, x]
        left, right = (each.reshape(len(each), -1).astype(np.float32) for each in (windows, others))
        left -= left.mean(axis=1, keepdims=True)
        right -= right.mean(axis=1, keepdims=True)
        energy = np.einsum("np,np->n", left, left).astype(np.float64) * np.einsum("np,np->n", right, right)
        alike = np.einsum("np,np->n", left, right)
        ncc: F64 = np.divide(alike, np.sqrt(energy), out=np.zeros(len(xy)), where=energy > 0)
        return ncc


@dataclass(frozen=True, eq=False)
class _Level:
    """Both pictures at one resolution, softened; squares are sampled every `step` px.

    first  with a border of one px, for the gradients
    """

    first: F32
    second: F32
    size: int
    step: int

    @classmethod
    def of(cls, first: U8, second: U8, size: int, step: int) -> _Level:
        bordered = cv2.copyMakeBorder(first, 1, 1, 1, 1, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
        return cls(soften(bordered), soften(second), size, step)

    def refine(self, xy: I64, start: F64, steps: int) -> tuple[F64, F64, Bools]:
        """Return (x, y, angle) [N, 3] of the squares at xy [N, 2]; unit bounds [N]; which have no structure [N].

        The bound is the shift's, for noise whose deviation is the square's own.
        """
        offsets = np.arange(0, self.size, self.step) - (self.size - 1) / 2
        ramp = offsets.astype(np.float32)
        side = len(offsets)
        rows = np.empty((len(xy), 5, side, side), dtype=np.float32)
        for k, step in enumerate(np.eye(2, dtype=np.int64)):
            np.subtract(self._squares(xy + step), self._squares(xy - step), out=rows[:, k])
        rows[:, :2] *= np.float32(0.5)
        rows[:, 2] = rows[:, 1] * ramp[None, :] - rows[:, 0] * ramp[:, None]
        rows[:, 3] = self._squares(xy)
        rows[:, 3] -= rows[:, 3].mean(axis=(1, 2), keepdims=True)
        rows[:, 4] = 1.0
        flat = rows.reshape(len(xy), 5, -1)
        gram = (flat @ flat.transpose(0, 2, 1)).astype(np.float64)
        pixels = side * side
        blank = np.linalg.eigvalsh(gram[:, :2, :2])[:, 0] < _MIN_STRUCTURE * pixels
        gram[blank] = np.eye(5)
        inverse = np.linalg.inv(gram)
        state = start.copy()
        for i in np.flatnonzero(~blank):
            state[i] = self._descend(xy[i], flat[i], inverse[i], state[i], steps)
        spread = np.sqrt(gram[:, 3, 3] / pixels)
        bound = np.sqrt(np.linalg.eigvalsh(inverse[:, :2, :2])[:, 1]) / self.step * spread
        return state, bound, blank

    def _squares(self, xy: I64) -> F32:
        windows = sliding_window_view(self.first, (self.size, self.size))
        return windows[xy[:, 1] + 1, xy[:, 0] + 1, :: self.step, :: self.step]

    def _descend(self, xy: I64, rows: F32, inverse: F64, state: F64, steps: int) -> F64:
        """Take Gauss-Newton steps until the square hardly moves any more."""
        middle = (self.size - 1) / 2
        side = int(rows.shape[1] ** 0.5)
        x, y, angle = state
        for _ in range(steps):
            c, s = np.cos(angle), np.sin(angle)
            to_x, to_y = xy[0] + middle + x, xy[1] + middle + y
            matrix = np.array(
                [
                    [c * self.step, -s * self.step, to_x - middle * (c - s)],
                    [s * self.step, c * self.step, to_y - middle * (s + c)],
                ]
            )
            seen = cv2.warpAffine(
                self.second,
                matrix,
                (side, side),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            explained = inverse @ (rows @ seen.ravel())
            if explained[3] <= 0:  # it looks like its own negative: nothing to go by
                return state
            dx, dy, turn = explained[:3] / explained[3]
            x, y, angle = x - (c * dx - s * dy), y - (s * dx + c * dy), angle - turn
            if dx * dx + dy * dy < _SETTLED_PX**2 and abs(turn) * middle < _SETTLED_PX:
                break
        return np.array([x, y, angle])


def _halved(picture: U8) -> U8:
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    return cv2.resize(picture[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )
