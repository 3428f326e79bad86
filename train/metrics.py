"""How close two pictures are: PSNR, SSIM and MS-SSIM, as the DPED paper's table means them. NumPy and SciPy only.

Every function takes one picture [H, W, 3] or a stack [B, H, W, 3], either uint8 [0, 255] or float [0, 1], of any size.
Over a stack the plain functions pool the means before any logarithm or power, as the reference's code does; the
`*_per_image` functions give one number per picture. Nothing is clipped: that is the caller's protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from dpedkit.types import F64

Pictures: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.floating]

_PEAK = 255.0
_C1 = (0.01 * _PEAK) ** 2
_C2 = (0.03 * _PEAK) ** 2
_WINDOW_PX = 11
_SIGMA_PX = 1.5
_SCALE_WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close each picture of one stack is to its twin in another: what every score is made of.

    squared_error  [B]        mean over the picture, on the [0, 255] scale
    terms          [B, 5, 2]  SSIM and contrast-structure at each scale, means over the picture and its channels
    lpips          [B]        see `dpedkit.train.lpips`; None where it was not measured
    """

    squared_error: F64
    terms: F64
    lpips: F64 | None = None

    @property
    def psnr(self) -> F64:
        """PSNR of each picture, dB [B]; inf where equal."""
        return _decibels(self.squared_error)

    @property
    def ssim(self) -> F64:
        """SSIM of each picture [B]."""
        return self.terms[:, 0, 0]

    @property
    def ms_ssim(self) -> F64:
        """Multi-scale SSIM of each picture [B]."""
        return _multi_scale(self.terms)

    def as_the_authors_report(self, batch: int = 50) -> tuple[float, float]:
        """Return PSNR, dB, and MS-SSIM as DPED's code has them: pooled over each batch, averaged over whole batches.

        What is left after the last whole batch does not count, as there; of fewer pictures all are one batch.
        """
        batch = min(batch, len(self.squared_error))
        whole = len(self.squared_error) // batch
        error = self.squared_error[: whole * batch].reshape(whole, batch).mean(axis=1)
        terms = self.terms[: whole * batch].reshape(whole, batch, *self.terms.shape[1:]).mean(axis=1)
        return float(_decibels(error).mean()), float(_multi_scale(terms).mean())


def compare(a: Pictures, b: Pictures) -> Closeness:
    """Measure all that the scores need, at once."""
    return Closeness(_squared_error(a, b), _scale_terms(a, b))


def psnr(a: Pictures, b: Pictures) -> float:
    """Return the peak signal-to-noise ratio, dB, from the mean squared error over all pictures; inf when equal."""
    return float(_decibels(_squared_error(a, b).mean(keepdims=True))[0])


def psnr_per_image(a: Pictures, b: Pictures) -> F64:
    """Return the PSNR of each picture, dB [B]; inf where equal."""
    return _decibels(_squared_error(a, b))


def ssim(a: Pictures, b: Pictures) -> float:
    """Return the mean structural similarity (Wang et al., 2004): Gaussian window, population covariance.

    The window is 11 px wide with sigma 1.5, and shrinks with a picture smaller than that (sigma 1.5 * size / 11).
    """
    return float(np.mean([_similarity(x, y)[0] for x, y in _planes(a, b)]))


def ms_ssim(a: Pictures, b: Pictures) -> float:
    """Return the multi-scale SSIM over five scales, means pooled over all pictures before the powers.

    The window shrinks with the picture, so it is defined at 100 px (scales 100, 50, 25, 13, 7) and below; at a scale
    of one pixel only brightness is compared. A scale of negative correlation counts as 0.
    """
    return float(_multi_scale(_scale_terms(a, b).mean(axis=0, keepdims=True))[0])


def ms_ssim_per_image(a: Pictures, b: Pictures) -> F64:
    """Return the multi-scale SSIM of each picture [B]."""
    return _multi_scale(_scale_terms(a, b))


def _squared_error(a: Pictures, b: Pictures) -> F64:
    """Return the mean squared error of each picture [B], on the [0, 255] scale."""
    return np.array([np.mean(np.square(x - y)) for x, y in _pictures(a, b)])


def _decibels(squared_error: F64) -> F64:
    with np.errstate(divide="ignore"):
        decibels: F64 = 10.0 * np.log10(_PEAK**2 / squared_error)
    return decibels


def _scale_terms(a: Pictures, b: Pictures) -> F64:
    """Return (SSIM, contrast-structure) of each picture at each scale [B, 5, 2], the mean of its channels."""
    terms = [list(_over_scales(x, y)) for x, y in _planes(a, b)]
    means: F64 = np.array(terms).reshape(-1, 3, len(_SCALE_WEIGHTS), 2).mean(axis=1)
    return means


def _multi_scale(terms: F64) -> F64:
    """Combine scale terms [B, 5, 2]: contrast-structure at the first four scales, SSIM at the last."""
    factors = np.concatenate([terms[:, :-1, 1], terms[:, -1:, 0]], axis=1)
    product: F64 = np.prod(np.maximum(factors, 0.0) ** _SCALE_WEIGHTS, axis=1)
    return product


def _over_scales(x: F64, y: F64) -> Iterator[tuple[float, float]]:
    for scale in range(len(_SCALE_WEIGHTS)):
        if scale:
            x, y = _halve(x), _halve(y)
        yield _similarity(x, y)


def _similarity(x: F64, y: F64) -> tuple[float, float]:
    """Return the mean SSIM and the mean contrast-structure term of two planes [H, W]."""
    size = min(_WINDOW_PX, *x.shape)
    offsets = np.arange(size) - (size - 1) / 2
    window = np.exp(-0.5 * np.square(offsets / (_SIGMA_PX * size / _WINDOW_PX)))
    window /= window.sum()
    mean_x, mean_y = _smooth(x, window), _smooth(y, window)
    mean_xy = mean_x * mean_y
    mean_squares = np.square(mean_x) + np.square(mean_y)
    squares = _smooth(np.square(x) + np.square(y), window)
    structure = (2 * (_smooth(x * y, window) - mean_xy) + _C2) / (squares - mean_squares + _C2)
    brightness = (2 * mean_xy + _C1) / (mean_squares + _C1)
    return float(np.mean(brightness * structure)), float(np.mean(structure))


def _smooth(plane: F64, window: F64) -> F64:
    """Filter rows and columns, keeping only the places where the whole window lies inside."""
    size = len(window)
    before, after = size // 2, (size - 1) // 2
    rows, columns = plane.shape
    down = correlate1d(plane, window, axis=0)[before : rows - after]
    across: F64 = correlate1d(down, window, axis=1)[:, before : columns - after]
    return across


def _halve(plane: F64) -> F64:
    """Average pixels (i, i + 1) in both directions, the edge repeated, and keep every second."""
    padded = np.pad(plane, ((0, 1), (0, 1)), mode="edge")
    rows = (padded[:-1] + padded[1:])[::2]
    halved: F64 = (rows[:, :-1] + rows[:, 1:])[:, ::2] / 4
    return halved


def _planes(a: Pictures, b: Pictures) -> Iterator[tuple[F64, F64]]:
    """Yield the channels of every picture in turn [H, W], so that memory stays at a few planes."""
    for x, y in _pictures(a, b):
        for channel in range(3):
            yield x[..., channel], y[..., channel]


def _pictures(a: Pictures, b: Pictures) -> Iterator[tuple[F64, F64]]:
    """Yield pairs of pictures [H, W, 3], float64 on the [0, 255] scale."""
    if a.shape != b.shape or a.ndim not in (3, 4) or a.shape[-1] != 3 or 0 in a.shape:
        raise ValueError(
            f"need two pictures [H, W, 3] or stacks [B, H, W, 3] of one shape, got {a.shape} and {b.shape}"
        )
    for x, y in zip(np.reshape(a, (-1, *a.shape[-3:])), np.reshape(b, (-1, *b.shape[-3:])), strict=True):
        yield _to_peak(x), _to_peak(y)


def _to_peak(picture: Pictures) -> F64:
    scaled: F64 = picture.astype(np.float64)
    if picture.dtype == np.uint8:
        return scaled
    if not np.issubdtype(picture.dtype, np.floating):
        raise ValueError(f"need uint8 [0, 255] or float [0, 1], got {picture.dtype}")
    return scaled * _PEAK
