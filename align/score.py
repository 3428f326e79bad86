"""Scores of matched patches: is the DSLR's patch where it should be, and could one tell?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from dpedkit.align.alignment import Alignment
from dpedkit.align.gains import fit_gains
from dpedkit.align.gates import PatchScores
from dpedkit.align.luma import to_gray
from dpedkit.align.place import place_patches
from dpedkit.types import F64, I64, U8, Bools

Pixels = TypeVar("Pixels", U8, npt.NDArray[np.int16])


def covered(mask: Bools, size: int, stride: int) -> I64:
    """Return the top left pixels (x, y) [N, 2] of the grid's squares that lie wholly in the mask [H, W]."""
    height, width = mask.shape
    corners = np.stack(
        np.meshgrid(np.arange(0, width - size + 1, stride), np.arange(0, height - size + 1, stride)), axis=-1
    ).reshape(-1, 2)
    total = cv2.integral(mask.astype(np.uint8))
    x, y = corners.T
    inside = total[y + size, x + size] - total[y, x + size] - total[y + size, x] + total[y, x]
    whole: I64 = corners[inside == size * size].astype(np.int64)
    return whole


def crop(picture: U8, xy: I64, size: int) -> U8:
    """Return the squares [N, S, S, 3] whose top left pixels are given."""
    if not len(xy):
        return np.zeros((0, size, size, 3), dtype=np.uint8)
    return np.stack([picture[y : y + size, x : x + size] for x, y in xy])


def score_patches(phone: U8, dslr: U8, xy: I64, size: int, alignment: Alignment) -> PatchScores:
    """Measure each pair of patches of two pictures [H, W, 3] on the same pixels."""
    lumas = [to_gray(picture, name) for picture, name in ((phone, "phone"), (dslr, "dslr"))]
    places = place_patches(lumas[0], lumas[1], xy, size)
    ncc, std = _alike(lumas[0], lumas[1], xy, size)
    sharpness = [_sharpness(luma, xy, size) for luma in lumas]
    gain, offset = fit_gains(phone, dslr, xy, size)
    return PatchScores(
        ncc=ncc,
        crlb_px=places.crlb_px,
        shift_xy_px=places.shift_xy_px,
        rotation_deg=places.rotation_deg,
        local_shift_px=places.local_px,
        gain=gain,
        offset=offset,
        sharpness_phone=sharpness[0],
        sharpness_dslr=sharpness[1],
        clipped=np.maximum(_clipped(phone, xy, size), _clipped(dslr, xy, size)),
        std=std,
        confidence=_lowest_confidence(alignment, xy, size),
    )


def _windows(picture: Pixels, xy: I64, size: int) -> Iterator[Pixels]:
    """Yield the squares of a picture, none of them copied."""
    for x, y in xy.tolist():
        yield picture[y : y + size, x : x + size]


def _alike(first: U8, second: U8, xy: I64, size: int) -> tuple[F64, F64]:
    """Return normalised cross-correlation [N], 0 where a window is flat, and the first windows' deviation [N]."""
    sums = np.empty((len(xy), 5))
    windows = zip(_windows(first, xy, size), _windows(second, xy, size), strict=True)
    for row, (left, right) in zip(sums, windows, strict=True):
        row[0:2], row[2:4] = (np.ravel(cv2.meanStdDev(each)) for each in (left, right))
        row[4] = cv2.norm(left, right, cv2.NORM_L2SQR)
    mean_a, std_a, mean_b, std_b, apart = sums.T
    covariance = (std_a**2 + std_b**2 + (mean_a - mean_b) ** 2 - apart / size**2) / 2
    spread = std_a * std_b
    return np.divide(covariance, spread, out=np.zeros(len(xy)), where=spread > 0), std_a


def _sharpness(luma: U8, xy: I64, size: int) -> F64:
    """Return the variance [N] of each window's Laplacian."""
    edges = cv2.Laplacian(luma, cv2.CV_16S).astype(np.int16, copy=False)
    spread = [cv2.meanStdDev(window)[1] for window in _windows(edges, xy, size)]
    variance: F64 = np.array(spread, dtype=np.float64).reshape(-1) ** 2
    return variance


def _clipped(picture: U8, xy: I64, size: int) -> F64:
    """Return the share [N] of pixels <= 2 or >= 253, in the channel that has most."""
    shares = [cv2.mean(((window - np.uint8(3)) >= 250).view(np.uint8))[:3] for window in _windows(picture, xy, size)]
    worst: F64 = np.array(shares, dtype=np.float64).reshape(-1, 3).max(axis=1)
    return worst


def _lowest_confidence(alignment: Alignment, xy: I64, size: int) -> F64:
    """Return the lowest confidence [N] at each patch's corners and centre."""
    steps = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]]) * (size - 1)
    points: F64 = (xy[:, None] + steps).reshape(-1, 2).astype(np.float64, copy=False)
    lowest: F64 = alignment.confidence(points).reshape(-1, 5).min(axis=1)
    return lowest
