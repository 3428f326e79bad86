"""Scores of matched patches: is the DSLR's patch where it should be, and could one tell?"""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.align.gates import PatchScores
from dpedkit.align.luma import to_gray
from dpedkit.align.place import place_patches
from dpedkit.types import F32, F64, I64, U8, Bools

_EXTREME = ((np.arange(256) <= 2) | (np.arange(256) >= 253)).astype(np.uint8)


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
    means, spreads = zip(*(_moments(picture, xy, size) for picture in (phone, dslr)), strict=True)
    gain = spreads[1] / np.maximum(spreads[0], 1e-3)
    edges = [
        _moments(cv2.Laplacian(luma, cv2.CV_32F).astype(np.float32, copy=False), xy, size)[1][:, 0] for luma in lumas
    ]
    extreme = [
        _moments(cv2.LUT(picture, _EXTREME).astype(np.uint8, copy=False), xy, size)[0].max(axis=1)
        for picture in (phone, dslr)
    ]
    return PatchScores(
        ncc=places.ncc,
        crlb_px=places.crlb_px,
        shift_xy_px=places.shift_xy_px,
        rotation_deg=places.rotation_deg,
        gain=gain,
        offset=means[1] - gain * means[0],
        sharpness_phone=edges[0] ** 2,
        sharpness_dslr=edges[1] ** 2,
        clipped=np.maximum(*extreme),
        std=_moments(lumas[0], xy, size)[1][:, 0],
        confidence=_lowest_confidence(alignment, xy, size),
    )


def _moments(picture: U8 | F32, xy: I64, size: int) -> tuple[F64, F64]:
    """Return mean and standard deviation of every patch [N, C], per channel."""
    found = [cv2.meanStdDev(picture[y : y + size, x : x + size]) for x, y in xy]
    channels = picture.shape[2] if picture.ndim == 3 else 1
    both = np.array(found, dtype=np.float64).reshape(len(xy), 2, channels)
    return both[:, 0], both[:, 1]


def _lowest_confidence(alignment: Alignment, xy: I64, size: int) -> F64:
    """Return the lowest confidence [N] at each patch's corners and centre."""
    steps = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]]) * (size - 1)
    points = (xy[:, None] + steps).reshape(-1, 2)
    lowest: F64 = alignment.confidence(points).reshape(-1, 5).min(axis=1)
    return lowest
