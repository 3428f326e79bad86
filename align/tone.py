"""The DSLR's tone brought to the phone's, for networks that shall learn structure without colour.

One curve per channel is fitted to the whole pair, as RealSR fits its gain and offset while it registers two photos
(Cai et al., ICCV 2019), never to a patch: a hundred pixels square hold few levels, so that a fit to them follows their
noise, gives one grey another tone in the next patch, and leaks into the target what the network is to learn. A camera's
global tone is one function per channel; where a phone's is local, or mixes channels, a difference is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.errors import PairRejected
from dpedkit.types import F64, U8, Bools, Json

Match = Literal["none", "gain", "curve"]

_CHANNELS = ("red", "green", "blue")
_LEVELS = np.arange(256.0)
_CLIPPED = np.where((_LEVELS <= 2) | (_LEVELS >= 253), 255, 0).astype(np.uint8)
_FREE = (12, 243)  # levels of the phone that its noise does not carry beyond the ends
_BLOCK_PX = 4  # averages of so many px square: noise and hundredths of a px of misalignment vanish in them
_SMOOTH = 4.0  # levels that blocks side by side may differ by before they count for less
_GROUP = 8  # levels of the DSLR that share a knot
_MIN_BLOCKS = 30.0  # that must speak for a knot
_TRUSTED = 0.5


@dataclass(frozen=True, eq=False)
class Tone:
    """A rising curve per channel, from the DSLR's levels to the phone's.

    knots  of red, green and blue, each [K, 2]: level of the DSLR, level of the phone; a monotone cubic joins them
    """

    knots: tuple[F64, ...]

    def apply(self, dslr: U8) -> U8:
        """Return a picture [H, W, 3] with every level replaced."""
        from scipy.interpolate import PchipInterpolator  # a third of a second, which only --match needs

        curves = [PchipInterpolator(*knots.T)(_LEVELS) for knots in self.knots]
        table = np.rint(np.clip(np.stack(curves, axis=-1), 0, 255)).astype(np.uint8)
        return cv2.LUT(dslr, table[None]).astype(np.uint8, copy=False)

    def to_dict(self) -> Json:
        """Return the knots by channel, JSON-able."""
        return {channel: knots.tolist() for channel, knots in zip(_CHANNELS, self.knots, strict=True)}


def fit_tone(phone: U8, dslr: U8, seen: Bools, alignment: Alignment, match: Match) -> Tone | None:
    """Fit the curves that bring the DSLR's tone to the phone's; None for `match` "none".

    Where the DSLR clips or the alignment is not trusted, nothing counts, edges count for little, and what still differs
    is outvoted: every knot is a median.

    phone, dslr  uint8 [H, W, 3], on the same pixels
    seen         [H, W], the pixel lies in the DSLR's photo
    match        "gain": a straight line, gain * DSLR + offset; "curve": any that rises

    Raises:
        PairRejected: too few levels are seen unclipped by both photos to tell.
    """
    if match == "none":
        return None
    valid = _trusted(seen, alignment)
    blocks = [_shrink(picture) for picture in (phone, dslr)]
    burnt = _shrink(cv2.LUT(dslr, _CLIPPED).astype(np.uint8, copy=False)) > 0
    knots = []
    for index, channel in enumerate(_CHANNELS):
        rows = valid & ~burnt[..., index]
        weights = _smoothness(blocks[1][..., index])[rows]
        found = _medians(blocks[0][rows, index], blocks[1][rows, index], weights)
        free = found[(found[:, 1] > _FREE[0]) & (found[:, 1] < _FREE[1])]
        if len(free) < 2:
            raise PairRejected(
                "no_tone", f"too little of the photos tells their tone in {channel}", "cut this pair without --match"
            )
        knots.append((_line(free) if match == "gain" else _rising(found)).round(3))  # what is recorded is what is done
    return Tone(tuple(knots))


def _shrink(picture: U8) -> U8:
    """Return the averages of blocks; a rest narrower than a block is left out."""
    height, width = (side // _BLOCK_PX * _BLOCK_PX for side in picture.shape[:2])
    size = (width // _BLOCK_PX, height // _BLOCK_PX)
    return cv2.resize(picture[:height, :width], size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _trusted(seen: Bools, alignment: Alignment) -> Bools:
    """Return the blocks that lie wholly in both photos, where the alignment is trusted."""
    inside = _shrink(seen.astype(np.uint8) * 255) == 255
    height, width = inside.shape
    rows, columns = (np.arange(length) * _BLOCK_PX + (_BLOCK_PX - 1) / 2 for length in (height, width))
    rows, columns = (each[len(each) // 128 // 2 :: max(len(each) // 128, 1)] for each in (rows, columns))  # is smooth
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    confidence = alignment.confidence(points).reshape(len(rows), len(columns))
    trusted: Bools = inside & (cv2.resize(confidence, (width, height)) >= _TRUSTED)
    return trusted


def _smoothness(blocks: U8) -> F64:
    """Return the weight [h, w] of each block: a tone curve commutes with averages only where levels are alike."""
    box = np.ones((3, 3), dtype=np.uint8)
    spread = (cv2.dilate(blocks, box) - cv2.erode(blocks, box)).astype(np.float64)
    weight: F64 = 1.0 / (1.0 + (spread / _SMOOTH) ** 2)
    return weight


def _medians(phone: U8, dslr: U8, weights: F64) -> F64:
    """Return [K, 3]: the DSLR's level, the phone's, made to rise, and the weight behind it, per group of levels.

    Where the phone clips, its level is known only to lie beyond; a median needs to know no more.
    """
    from scipy.optimize import isotonic_regression  # as slow to import

    joint = np.bincount(dslr.astype(np.int64) * 256 + phone, weights, 256 * 256).reshape(-1, _GROUP, 256)
    behind = joint.sum(axis=(1, 2))
    squares = np.bincount(dslr // _GROUP, weights**2, len(behind))
    groups = np.flatnonzero(behind**2 > _MIN_BLOCKS * squares)  # Kish's effective sample size
    if not len(groups):
        return np.zeros((0, 3))
    x = groups * _GROUP + _median(joint[groups].sum(axis=2))
    y = _median(joint[groups].sum(axis=1))
    return np.column_stack([x, isotonic_regression(y, weights=behind[groups]).x, behind[groups]])


def _median(counts: F64) -> F64:
    """Return the median [K] of whole numbers 0, 1, ... that occur `counts` [K, N] times, to fractions."""
    below = np.cumsum(counts, axis=1)
    half = below[:, -1:] / 2
    at = (below >= half).argmax(axis=1)[:, None]
    here, upto = np.take_along_axis(counts, at, 1), np.take_along_axis(below, at, 1)
    median: F64 = (at + 0.5 - (upto - half) / here)[:, 0]
    return median


def _line(found: F64) -> F64:
    """Return the knots of the straight line through those found, each counting by its weight."""
    x, y, weight = found.T
    gain, offset = np.polyfit(x, y, 1, w=np.sqrt(weight))
    return np.array([[0.0, offset], [255.0, offset + 255.0 * gain]])


def _rising(found: F64) -> F64:
    """Return the knots found and one at each end, where their last three point, but no darker than black."""
    x, y, _ = found.T
    reach = min(2, len(x) - 1)
    first = (y[reach] - y[0]) / (x[reach] - x[0])
    last = (y[-1] - y[-1 - reach]) / (x[-1] - x[-1 - reach])
    ends = np.clip([y[0] - first * x[0], y[-1] + last * (255.0 - x[-1])], 0.0, 255.0)
    return np.vstack([[0.0, ends[0]], found[:, :2], [255.0, max(ends[1], y[-1])]])
