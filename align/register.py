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

    moved         [2], px: first(p) shows what second(p + moved) shows
    rotation_rad  and turned about the window's centre, clockwise on the screen; 0 where it was not asked for
    covariance    [2, 2], px^2: the Cramer-Rao bound of `moved`
    ncc           normalised cross-correlation after the step
    """

    moved: F64
    rotation_rad: float
    covariance: F64
    ncc: float


LOST = Registration(np.zeros(2), 0.0, np.eye(2) * 1e6, 0.0)  # a window that was found nowhere


def register(first: F32, second: F32, *, rotation: bool = False) -> Registration | None:
    """Take one Gauss-Newton step from the identity; None for windows [S, S] without enough structure."""
    left, right = _normalised(first), _normalised(second)
    if left is None or right is None:
        return None
    both = (left + right) * np.float32(0.5)
    grad_x = (both[1:-1, 2:] - both[1:-1, :-2]) * np.float32(0.5)
    grad_y = (both[2:, 1:-1] - both[:-2, 1:-1]) * np.float32(0.5)
    inner = right[1:-1, 1:-1]
    columns = [grad_x, grad_y]
    if rotation:
        half = (inner.shape[0] - 1) / 2
        ramp = np.arange(inner.shape[0], dtype=np.float32) - np.float32(half)
        columns.append(grad_y * ramp[None, :] - grad_x * ramp[:, None])
    columns += [inner, np.ones_like(inner), left[1:-1, 1:-1] - inner]
    rows = np.stack(columns).reshape(len(columns), -1)
    gram = np.einsum("ip,jp->ij", rows, rows).astype(np.float64)
    normal, target = gram[:-1, :-1], gram[:-1, -1]
    if np.linalg.eigvalsh(normal[:2, :2])[0] < _MIN_STRUCTURE * inner.size:
        return None
    inverse = np.linalg.inv(normal)
    step = inverse @ target
    energy = max(float(gram[-1, -1] - target @ step), 1e-12)
    noise = energy / inner.size
    total = gram[-3:, -3:].sum() - gram[-2, -2] - 2 * gram[-2, [-3, -1]].sum()  # left = inner + what is to explain
    variance = (total - gram[-2, [-3, -1]].sum() ** 2 / inner.size) / inner.size
    ncc = float(np.sqrt(max(1.0 - noise / variance, 0.0)))
    return Registration(step[:2], float(step[2]) if rotation else 0.0, noise * inverse[:2, :2], ncc)


def _normalised(window: F32) -> F32 | None:
    """Return the window with mean 0 and variance 1; None for a flat one."""
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(window))
    if deviation < 1e-3:
        return None
    return ((window - np.float32(mean)) * np.float32(1.0 / deviation)).astype(np.float32, copy=False)
