"""What two aligned photos of one scene tell of each other: exposure, colour and sharpness, DSLR over phone.

Arrays in, numbers out; docs/corpus.md has the tests and figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from dpedkit.measures import blur_px, flat_noise, gradient_energies, to_linear
from dpedkit.types import F32, F64, U8, Bools

T = TypeVar("T", F32, Bools)

BLOCK_PX = 24
"""Side of the squares that are compared, px of the phone's photo."""
STRIP_PX = 3 * BLOCK_PX + 2
"""How high a strip best is: three rows of squares within a margin of one pixel."""

_BLACK, _WHITE = 2, 253  # as the patches' scores have it
_DARKEST = 0.002  # in linear light, level 6: below it the steps between levels are no tone
_SOFT_PX = 0.6  # as much as keeps the noise of single pixels out of the gradients
_AGAIN_PX = 1.5
_LIVELIEST = 0.3
_FEWEST = 20  # squares that make a median
_ROUNDING = 1 / 12  # levels^2


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows of a phone's photo and what the DSLR's shows there, on the phone's pixels.

    phone  uint8 [H, W, 3]
    dslr   uint8 [H, W, 3], resampled
    known  bool [H, W]: the DSLR's photo reaches there, and the alignment is trusted
    """

    phone: U8
    dslr: U8
    known: Bools


@dataclass(frozen=True, slots=True)
class PairMeasures:
    """What was measured on a pair; None where too little is shown by both.

    gain_red         the DSLR's linear light over the phone's; the others likewise
    sharpness_ratio  over 1 where the DSLR's photo is the sharper one, at the phone's scale
    """

    gain_red: float | None
    gain_green: float | None
    gain_blue: float | None
    sharpness_ratio: float | None


def measure_pair(strips: Iterable[Strip]) -> PairMeasures:
    """Compare two aligned photos by strips of them, in squares of 24 px that both show wholly and unclipped.

    The gains are medians over the squares: what moved, or what one lens alone saw shining, does not count while it is
    less than half. With tone curves that differ they are those of the usual tone.
    """
    gains: list[F64] = []
    edges: list[F64] = []
    for strip in strips:
        usable = _all_of(strip.known & _unclipped(strip.phone) & _unclipped(strip.dslr))
        if usable.any():
            gains.append(_light(strip, usable))
            edges.append(_edges(strip, usable))
    red, green, blue = _median_gains(gains)
    return PairMeasures(red, green, blue, _sharpness_ratio(edges))


def _light(strip: Strip, usable: Bools) -> F64:
    """Return the logarithm of each square's gain [N, 3]; NaN where it is too dark to tell."""
    phone, dslr = (_means(to_linear(picture))[usable].astype(np.float64) for picture in (strip.phone, strip.dslr))
    bright = (phone > _DARKEST) & (dslr > _DARKEST)
    ratio: F64 = np.log(np.where(bright, dslr, np.nan) / np.where(bright, phone, np.nan))
    return ratio


def _median_gains(gains: list[F64]) -> list[float | None]:
    logs = np.concatenate(gains) if gains else np.zeros((0, 3))
    known = [channel[np.isfinite(channel)] for channel in logs.T]
    return [math.exp(float(np.median(channel))) if len(channel) >= _FEWEST else None for channel in known]


def _edges(strip: Strip, usable: Bools) -> F64:
    """Return of each square [N, 3]: the weaker one's gradients, the phone's and the DSLR's blur, px."""
    energies, blurs = [], []
    for picture in (strip.phone, strip.dslr):
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        noise = math.sqrt(flat_noise(gray) ** 2 + _ROUNDING)
        before, after = (
            gradient_energies(gray, sigma, BLOCK_PX, noise=noise)[usable]
            for sigma in (_SOFT_PX, math.hypot(_SOFT_PX, _AGAIN_PX))
        )
        energies.append(before)
        blurs.append(blur_px(before, after, _AGAIN_PX))
    return np.stack([np.minimum(*energies), *blurs], axis=1)


def _sharpness_ratio(edges: list[F64]) -> float | None:
    """Return the phone's blur over the DSLR's, the median over the squares that have the strongest edges in both.

    By the blurs that `dpedkit.measures.edge_blur_px` finds: a brighter or noisier photo is no sharper one.
    """
    found = np.concatenate(edges) if edges else np.zeros((0, 3))
    found = found[np.argsort(-found[:, 0])[: round(_LIVELIEST * len(found))]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = found[:, 1] / found[:, 2]
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.median(ratios)) if len(ratios) >= _FEWEST else None


def _unclipped(picture: U8) -> Bools:
    return np.asarray(((picture > _BLACK) & (picture < _WHITE)).all(axis=2))


def _all_of(mask: Bools) -> Bools:
    """Return for each square [rows, cols] of a mask [H, W] whether it is wholly true."""
    return np.asarray(_squares(mask).all(axis=(1, 3)))


def _means(picture: F32) -> F32:
    """Return the mean of each square [rows, cols, 3] of a picture [H, W, 3]."""
    means: F32 = _squares(picture).mean(axis=(1, 3), dtype=np.float32)
    return means


def _squares(picture: T) -> T:
    """Return the squares [rows, S, cols, S, ...] within a margin of one pixel, as gradients have one."""
    rows, cols = ((side - 2) // BLOCK_PX for side in picture.shape[:2])
    whole = picture[1 : rows * BLOCK_PX + 1, 1 : cols * BLOCK_PX + 1]
    return whole.reshape(rows, BLOCK_PX, cols, BLOCK_PX, *picture.shape[2:])
