"""Scores of matched patches: is the DSLR's patch where it should be, and could one tell?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.align.gates import PatchScores
from dpedkit.align.luma import to_gray
from dpedkit.align.register import Registration, register
from dpedkit.align.windows import soften
from dpedkit.types import F32, F64, I64, U8, Bools

_REACH = 3  # half-resolution px that a patch is searched for around its place
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
    lumas = tuple(to_gray(picture, name) for picture, name in ((phone, "phone"), (dslr, "dslr")))
    placed = _Placer(lumas[0], lumas[1], size)
    fits = [placed.find(int(x), int(y)) for x, y in xy]
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
        ncc=np.array([fit.ncc for fit in fits], dtype=np.float64),
        crlb_px=np.array([fit.crlb_px for fit in fits], dtype=np.float64),
        shift_xy_px=np.array([fit.shift for fit in fits], dtype=np.float64).reshape(-1, 2),
        rotation_deg=np.array([fit.rotation_deg for fit in fits], dtype=np.float64),
        gain=gain,
        offset=means[1] - gain * means[0],
        sharpness_phone=edges[0] ** 2,
        sharpness_dslr=edges[1] ** 2,
        clipped=np.maximum(*extreme),
        std=_moments(lumas[0], xy, size)[1][:, 0],
        confidence=_lowest_confidence(alignment, xy, size),
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """One patch: NCC as it lies, bound, and the motion that would make it fit better."""

    ncc: float
    crlb_px: float
    shift: F64
    rotation_deg: float


_NOTHING_TO_SEE = _Fit(0.0, np.inf, np.zeros(2), 0.0)


class _Placer:
    """Finds patches of one luma picture in another on the same pixels: by correlation, then by Gauss-Newton."""

    def __init__(self, phone: U8, dslr: U8, size: int) -> None:
        self._size = size
        self._full = phone, dslr
        half = (phone.shape[1] // 2, phone.shape[0] // 2)
        self._half = tuple(cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in (phone, dslr))

    def find(self, x: int, y: int) -> _Fit:
        """Measure the patch whose top left pixel is (x, y)."""
        template = self._cut(self._full[0], x, y)
        window = self._cut(self._full[1], x, y)
        nothing = replace(_NOTHING_TO_SEE, ncc=correlation(template, window))
        soft = soften(template)
        shift = self._search(x, y)
        for _ in range(2):  # the second time from the pixel that the first one finds nearest
            window = self._cut(self._full[1], x + int(shift[0]), y + int(shift[1]))
            fit = register(soft, soften(window), rotation=True) if window.shape == template.shape else None
            if fit is None or np.abs(fit.moved).max() > _REACH:
                return nothing
            found = _Fit(
                ncc=nothing.ncc,
                crlb_px=_bound(fit, correlation(template, window)),
                shift=fit.moved + shift,
                rotation_deg=float(np.degrees(fit.rotation_rad)),
            )
            nearest = np.rint(fit.moved).astype(np.int64)
            if not nearest.any():
                break
            shift = shift + nearest
        return found

    def _cut(self, luma: U8, x: int, y: int) -> U8:
        return luma[max(y, 0) : y + self._size, max(x, 0) : x + self._size]

    def _search(self, x: int, y: int) -> I64:
        """Return the shift (x, y) [2], in whole px, under which the patch looks most alike at half resolution."""
        phone, dslr = self._half
        x, y, side = x // 2, y // 2, self._size // 2
        left, top = min(_REACH, x), min(_REACH, y)
        field = dslr[y - top : y + side + _REACH, x - left : x + side + _REACH]
        scores = cv2.matchTemplate(field, phone[y : y + side, x : x + side], cv2.TM_CCOEFF_NORMED)
        _, _, _, peak = cv2.minMaxLoc(scores)
        return 2 * np.array([peak[0] - left, peak[1] - top], dtype=np.int64)


def correlation(first: U8, second: U8) -> float:
    """Return the normalised cross-correlation of two windows; 0 where one of them is flat."""
    left, right = (each.astype(np.float32).ravel() for each in (first, second))
    left -= left.mean()
    right -= right.mean()
    energy = float(np.einsum("i,i", left, left)) * float(np.einsum("i,i", right, right))
    return float(np.einsum("i,i", left, right)) / energy**0.5 if energy > 0 else 0.0


def _bound(fit: Registration, ncc: float) -> float:
    """Return the Cramer-Rao bound, px: sqrt(noise variance / smallest eigenvalue of the sum of g g^T).

    The registration's own noise is that of softened windows, whose pixels are no longer independent; the true noise
    is what the NCC of the raw ones leaves.
    """
    raw_noise, soft_noise = 1.0 - ncc**2, max(1.0 - fit.ncc**2, 1e-9)
    return float(np.sqrt(np.linalg.eigvalsh(fit.covariance)[1] * raw_noise / soft_noise))


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
