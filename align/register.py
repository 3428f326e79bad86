"""Sub-pixel registration of two equal windows by Gauss-Newton, gain and offset solved along with the motion.

The gradient is the mean of both windows' (efficient second-order minimisation: Benhimane and Malis, IROS 2004), so one
step is right to the third order and noise in one window pulls no harder than in the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dpedkit.types import F32, F64

_MIN_STRUCTURE = 1e-6  # of a window's variance per px^2; below it, only one direction can be seen, or none


@dataclass(frozen=True, slots=True)
class Registration:
    """How the second window moves onto the first.

    moved       [2], px: first(p) shows what second(p + moved) shows
    covariance  [2, 2], px^2: the Cramer-Rao bound of `moved`
    ncc         normalised cross-correlation after the step
    """

    moved: F64
    covariance: F64
    ncc: float


LOST = Registration(np.zeros(2), np.eye(2) * 1e6, 0.0)  # a window that was found nowhere


def register(first: F32, second: F32) -> Registration | None:
    """Take one Gauss-Newton step from the identity; None for windows [S, S] without enough structure."""
    left, right = _normalised(first), _normalised(second)
    if left is None or right is None:
        return None
    side = len(left) - 2
    rows = np.empty((5, side, side), dtype=np.float32)
    both = left + right
    np.subtract(both[1:-1, 2:], both[1:-1, :-2], out=rows[0])
    np.subtract(both[2:, 1:-1], both[:-2, 1:-1], out=rows[1])
    rows[:2] *= np.float32(0.25)  # the mean of both windows, central differences
    rows[2] = right[1:-1, 1:-1]
    rows[3] = 1.0
    np.subtract(left[1:-1, 1:-1], rows[2], out=rows[4])
    flat = rows.reshape(5, -1)
    gram = (flat @ flat.T).astype(np.float64)
    return _solve(gram, side * side)


def _solve(gram: F64, pixels: int) -> Registration | None:
    """Solve the normal equations; the last row and column of `gram` hold what is to be explained."""
    normal, target = gram[:-1, :-1], gram[:-1, -1]
    xx, yy, xy = gram[0, 0], gram[1, 1], gram[0, 1]
    if (xx + yy - np.hypot(xx - yy, 2 * xy)) / 2 < _MIN_STRUCTURE * pixels:  # the smaller eigenvalue
        return None
    inverse = np.linalg.inv(normal)
    step = inverse @ target
    energy = max(float(gram[-1, -1] - target @ step), 1e-12)
    noise = energy / pixels
    total = gram[-3:, -3:].sum() - gram[-2, -2] - 2 * gram[-2, [-3, -1]].sum()  # left = inner + what is to explain
    variance = (total - gram[-2, [-3, -1]].sum() ** 2 / pixels) / pixels
    ncc = float(np.sqrt(max(1.0 - noise / variance, 0.0)))
    covariance = (noise * inverse[:2, :2]).astype(np.float64, copy=False)
    return Registration(step[:2], covariance, ncc)


def _normalised(window: F32) -> F32 | None:
    """Return the window with mean 0 and variance 1; None for a flat one."""
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(window))
    if deviation < 1e-3:
        return None
    return ((window - np.float32(mean)) * np.float32(1.0 / deviation)).astype(np.float32, copy=False)
