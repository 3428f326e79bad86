"""One Gauss-Newton step that moves many small windows onto others, gain and offset solved along with the motion.

The gradient is the mean of both windows' (efficient second-order minimisation: Benhimane and Malis, IROS 2004), by
central differences of the fourth order: those of the second order fall short where the content is fine, and each step
with them. What differs far more than most, because it moved or is burnt out, pulls less (Cauchy's weights).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dpedkit.types import F32, F64

EDGE = 2
"""Px around a window that its gradient reaches for."""
PARTS = 3
"""Parts of a window along each side."""
_GAIN, _ONE = 3, 4  # of the columns x, y, rotation, gain, one, rest
_SLOPE = np.array([1, -8, 0, 8, -1], dtype=np.float32) / 24  # half the derivative: of two windows' sum, their mean's
_OUTLYING = np.float32(5.0)  # times the mean of all differences
_MIN_STRUCTURE = 0.01  # gradient energy, levels^2 per px, along the weaker axis; below it nothing shows a shift
_TINY = 1e-3


@dataclass(frozen=True, eq=False)
class Step:
    """Where to go, px and radians, and how sure that is.

    motion        [N, 3], x, y, rotation: first(p) shows what second(p + x, y) shows, turned about the window's centre
    bound         [N], Cramer-Rao bound of the shift along its worse axis; infinite where there is no structure
    parts         [N, 9, 2], the shift of each part alone, row by row
    parts_bound   [N, 9]
    """

    motion: F64
    bound: F64
    parts: F64
    parts_bound: F64


def take_step(first: F32, second: F32) -> Step:
    """Compare windows [N, W, W]; W less twice the edge is a multiple of `PARTS`."""
    columns = _columns(first, second)
    count, pixels = len(columns), columns.shape[2] * columns.shape[3]
    products = np.empty((*columns.shape[1:3], count, count))
    for i in range(count):
        for j in range(i, count):
            products[..., i, j] = products[..., j, i] = np.einsum("nbp,nbp->nb", columns[i], columns[j])
    whole = _without(products.sum(axis=1), _ONE)
    seen = _weaker(whole) > _MIN_STRUCTURE * pixels
    inverse = np.linalg.inv(np.where(seen[:, None, None], whole[:, :4, :4], 0.0) + _TINY * np.eye(4))
    motion = np.einsum("nij,nj->ni", inverse, whole[:, :4, 4])
    noise = np.maximum(whole[:, 4, 4] - np.einsum("ni,ni->n", motion, whole[:, :4, 4]), 0.0) / max(pixels - 5, 1)
    alone = np.linalg.inv(inverse[:, :2, :2]).astype(np.float64, copy=False)  # all but the shift is solved along
    bound = np.sqrt(noise / _weaker(alone))
    parts = _without(_without(products, _ONE), _GAIN)[..., [0, 1, 3], :][..., [0, 1, 3]]
    return Step(
        np.where(seen[:, None], motion[:, :3], 0.0), np.where(seen, bound, np.inf), *_shifts(parts, columns.shape[3])
    )


def _columns(first: F32, second: F32) -> F32:
    """Return what the difference of the windows is made of, and that: [6, N, 9, P], by parts, weighted."""
    count, wide = first.shape[:2]
    first = first - first.mean(axis=(1, 2), keepdims=True)
    second = second - second.mean(axis=(1, 2), keepdims=True)
    energy = [np.einsum("nij,nij->n", each, each) for each in (first, second)]
    second *= np.sqrt(energy[0] / np.maximum(energy[1], _TINY))[:, None, None].astype(np.float32)
    both = first + second
    tall = both.reshape(-1, wide)  # one picture: what runs over from window to window is the edge, and is cut off
    slopes = [cv2.filter2D(tall, cv2.CV_32F, kernel).reshape(both.shape) for kernel in (_SLOPE[None], _SLOPE[:, None])]
    part = (wide - 2 * EDGE) // PARTS
    columns = np.empty((6, count, PARTS, PARTS, part, part), dtype=np.float32)
    inner = slice(EDGE, -EDGE)
    for index, windows in ((0, slopes[0]), (1, slopes[1]), (3, both), (5, first - second)):
        grid = windows[:, inner, inner].reshape(count, PARTS, part, PARTS, part)
        columns[index] = grid.swapaxes(2, 3)
    ramp = np.arange(PARTS * part, dtype=np.float32).reshape(PARTS, part) - np.float32((PARTS * part - 1) / 2)
    np.multiply(columns[1], ramp[None, :, None, :], out=columns[2])
    columns[2] -= columns[0] * ramp[:, None, :, None]
    columns[4] = 1.0
    rest = np.abs(columns[5])
    usual = rest.mean(axis=(1, 2, 3, 4), keepdims=True) + np.float32(_TINY)
    rest *= 1 / (_OUTLYING * usual)
    columns *= 1 / np.sqrt(1 + rest * rest)
    return columns.reshape(6, count, PARTS**2, part**2)


def _without(products: F64, index: int) -> F64:
    """Return the products [..., K - 1, K - 1] of columns that are left after a fit of one of them to all others."""
    others = [i for i in range(products.shape[-1]) if i != index]
    shared = products[..., others, index]
    rest: F64 = products[..., others, :][..., others] - shared[..., :, None] * shared[..., None, :] / (
        products[..., index, index][..., None, None] + _TINY
    )
    return rest


def _weaker(normal: F64) -> F64:
    """Return the smaller eigenvalue [...] of the upper left 2 x 2 of symmetric matrices."""
    a, b, d = normal[..., 0, 0], normal[..., 0, 1], normal[..., 1, 1]
    smaller: F64 = (a + d) / 2 - np.hypot((a - d) / 2, b)
    return smaller


def _shifts(products: F64, pixels: int) -> tuple[F64, F64]:
    """Return shifts [..., 2] and their bounds [...], from the products [..., 3, 3] of two gradients and the rest."""
    a, b, d = products[..., 0, 0] + _TINY, products[..., 0, 1], products[..., 1, 1] + _TINY
    x, y, energy = products[..., 0, 2], products[..., 1, 2], products[..., 2, 2]
    shift = np.stack([d * x - b * y, a * y - b * x], axis=-1) / (a * d - b * b)[..., None]
    noise = np.maximum(energy - shift[..., 0] * x - shift[..., 1] * y, 0.0) / max(pixels - 4, 1)
    return shift, np.sqrt(noise / np.maximum(_weaker(products), _TINY))
