"""The tone of each patch: gain and offset per channel, as most of the patch has them."""

from __future__ import annotations

import numpy as np

from dpedkit.align.place import BATCH, cut
from dpedkit.align.pyramid import halved
from dpedkit.types import F32, F64, I64, U8

_ROUNDS = 7
_OUTLYING = np.float32(1.5)  # times the usual distance from the line
_RIDGE = np.float32(1.0)  # levels^2; a patch with less contrast than this tells no gain, and gets one near 1
_SAMPLES = 12  # along each side of a patch, or up to twice as many


def fit_gains(phone: U8, dslr: U8, xy: I64, size: int) -> tuple[F64, F64]:
    """Return gain and offset [N, 3] of dslr = gain * phone + offset, for squares of two pictures [H, W, 3].

    By iteratively reweighted least squares with Cauchy's weights, on averages of 4 x 4 px, in which noise and
    hundredths of a px of misalignment vanish.
    """
    quarters = [halved(halved(picture)) for picture in (phone, dslr)]
    side = size // 4
    step = max(side // _SAMPLES, 1)
    fits = [np.zeros((2, 0, 3))]
    for at in range(0, len(xy), BATCH):
        squares = (cut(quarter, xy[at : at + BATCH] // 4, side)[..., ::step, ::step] for quarter in quarters)
        fits.append(_lines(*(each.reshape(*each.shape[:2], -1) for each in squares)))
    gain, offset = np.concatenate(fits, axis=1)
    return gain, offset


def _lines(x: F32, y: F32) -> F64:
    """Return gain and offset [2, N, C] of y = gain * x + offset; both are [N, C, P]."""
    weight = np.ones_like(x)
    for _ in range(_ROUNDS):
        gain, offset = _weighted_line(x, y, weight)
        off = np.abs(y - gain[..., None] * x - offset[..., None])
        usual = np.sqrt(off).mean(axis=2, keepdims=True) ** 2  # near the median, and far quicker
        weight = 1 / (1 + (off / (_OUTLYING * usual + np.float32(1e-3))) ** 2)
    return np.stack(_weighted_line(x, y, weight)).astype(np.float64)


def _weighted_line(x: F32, y: F32, weight: F32) -> tuple[F32, F32]:
    total = weight.sum(axis=2)
    mean_x, mean_y = (np.einsum("ncp,ncp->nc", weight, each) / total for each in (x, y))
    left, right = x - mean_x[..., None], y - mean_y[..., None]
    weighted = weight * left
    variance, covariance = (np.einsum("ncp,ncp->nc", weighted, each) / total for each in (left, right))
    gain = (covariance + _RIDGE) / (variance + _RIDGE)
    return gain, mean_y - gain * mean_x
