"""The first guess: RootSIFT matches at a capped resolution, a homography, and the gates that refuse a wrong pair.

RootSIFT: Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012.
MAGSAC++: Barath et al., CVPR 2020, as OpenCV's USAC_MAGSAC.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dpedkit.align.chance import log10_false_alarms
from dpedkit.align.geometry import Warp
from dpedkit.align.options import AlignOptions
from dpedkit.align.pyramid import Pyramid
from dpedkit.align.refusals import refuse_blank, refuse_blurred, refuse_impossible, refuse_tiny
from dpedkit.errors import PairRejected
from dpedkit.types import F32, F64, I64, U8, Bools

_CELLS = 8
_CONTRAST = 0.02
_RATIO = 0.8
_MAGSAC_PX = 3.0
_CLEAR_INLIERS = 250  # with so many, no other view can fit better
_CHANCE = -3.0  # chance does it once in a thousand pairs; the photos of docs/benchmarks.md lie above 0, or below -90


@dataclass(frozen=True)
class CoarseMatch:
    """A first homography and what speaks for it.

    warp     phone px -> DSLR px, at full resolution
    inliers  matches that agree with it
    """

    warp: Warp
    inliers: int


def match_coarse(phone: Pyramid, dslr: Pyramid, options: AlignOptions) -> CoarseMatch:
    """Find a homography between two gray photos.

    Raises:
        PairRejected: the photos do not show the same scene, or not in a way that a camera could.
    """
    small_phone, small_dslr = (photo.shrunk(options.coarse_px) for photo in (phone, dslr))
    for name, photo, small in (("phone's", phone, small_phone), ("DSLR's", dslr, small_dslr)):
        refuse_tiny(photo, name)
        refuse_blank(small, name, options)
        refuse_blurred(photo, name, options)
    found = _attempt(small_phone, small_dslr, options)
    larger = max(phone.full.size, dslr.full.size) > options.coarse_px
    if found.inliers < options.retry_inliers and larger:
        again = _attempt(phone.shrunk(options.retry_px), dslr.shrunk(options.retry_px), options)
        found = max(found, again, key=lambda each: each.inliers)
    if found.inliers < _CLEAR_INLIERS:
        _refuse_mirrored(found, small_phone, small_dslr, options)
    if not found.enough(options):
        _refuse_unmatched(found, options)
    warp = replace(found.warp, phone_size=_size(phone.full), dslr_size=_size(dslr.full))
    refuse_impossible(warp, options)
    return CoarseMatch(warp, found.inliers)


@dataclass(frozen=True)
class _Attempt:
    """One try at one resolution, to whose pixels the warp belongs.

    distinct  inliers at different places: SIFT describes a spot several times where its direction is in doubt
    """

    warp: Warp
    inliers: int
    matches: int
    distinct: int

    @property
    def ratio(self) -> float:
        return self.inliers / max(self.matches, 1)

    def enough(self, options: AlignOptions) -> bool:
        """Whether the matches that agree are many, and not few of all."""
        return self.inliers >= options.min_inliers and self.ratio >= options.min_inlier_ratio

    @property
    def by_chance(self) -> bool:
        """Whether as many matches would agree if the photos had nothing in common."""
        area_px = math.prod(self.warp.dslr_size)
        return log10_false_alarms(self.matches, self.distinct, _MAGSAC_PX, area_px) > _CHANCE


def _attempt(phone: U8, dslr: U8, options: AlignOptions) -> _Attempt:
    source, target = match_features(phone, dslr, options)
    hmat, mask = find_homography(source, target, _MAGSAC_PX)
    distinct = len(np.unique(np.rint(np.column_stack([source, target])[mask]), axis=0))
    return _Attempt(Warp.from_pixels(hmat, _size(phone), _size(dslr)), int(mask.sum()), len(source), distinct)


def match_features(phone: U8, dslr: U8, options: AlignOptions) -> tuple[F64, F64]:
    """Return where the same features lie in two gray photos [H, W]: [N, 2] px each."""
    phone_at, phone_desc = _features(phone, options.keypoints)
    dslr_at, dslr_desc = _features(dslr, options.keypoints)
    left, right = _mutual_matches(phone_desc, dslr_desc)
    return phone_at[left], dslr_at[right]


def find_homography(src: F64, dst: F64, inlier_px: float) -> tuple[F64, Bools]:
    """Return a homography [3, 3] and its inliers [N]; none of them where no homography was found."""
    nothing = np.eye(3), np.zeros(len(src), dtype=np.bool_)
    if len(src) < 4:  # MAGSAC throws below four points
        return nothing
    found: tuple[F64 | None, U8] = cv2.findHomography(  # type: ignore[assignment]  # None for collinear points
        src, dst, cv2.USAC_MAGSAC, inlier_px, maxIters=5000, confidence=0.9999
    )
    hmat, mask = found
    if hmat is None:
        return nothing
    return hmat.astype(np.float64), mask.ravel().astype(np.bool_)


def _features(gray: U8, limit: int) -> tuple[F64, F32]:
    """Return keypoints [N, 2], px, and RootSIFT descriptors [N, 128], spread evenly over the photo."""
    sift = cv2.SIFT.create(contrastThreshold=_CONTRAST)
    keypoints = sift.detect(gray)
    keep = _spread(keypoints, gray.shape, limit)
    if not len(keep):
        return np.zeros((0, 2)), np.zeros((0, 128), dtype=np.float32)
    # described after the choice: describing all of them would cost more than detecting twice
    chosen, descriptors = sift.compute(gray, [keypoints[i] for i in keep])
    at = np.array([each.pt for each in chosen], dtype=np.float64)
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    return at, np.sqrt(descriptors / total).astype(np.float32, copy=False)


def _spread(keypoints: Sequence[cv2.KeyPoint], shape: tuple[int, ...], limit: int) -> I64:
    """Return the indices of the strongest keypoints of each cell, about `limit` in all."""
    if not keypoints:
        return np.zeros(0, dtype=np.int64)
    at = np.array([each.pt for each in keypoints])
    strength = np.array([each.response for each in keypoints])
    column, row = (np.clip(at * _CELLS // shape[1::-1], 0, _CELLS - 1)).astype(np.int64).T
    cell = row * _CELLS + column
    order = np.lexsort((-strength, cell))
    rank = np.arange(len(order)) - np.searchsorted(cell[order], cell[order])
    strongest: I64 = order[rank < max(limit // _CELLS**2, 1)].astype(np.int64)
    return strongest


def _mutual_matches(left: F32, right: F32) -> tuple[I64, I64]:
    """Return the indices of pairs that are each other's nearest and clearly nearer than the second (Lowe 2004)."""
    if len(left) < 2 or len(right) < 2:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing
    square = np.maximum(2.0 - 2.0 * (left @ right.T), 0.0)  # both are unit vectors
    best = square.argmin(axis=1)
    nearest, second = np.partition(square, 1, axis=1)[:, :2].T
    index = np.arange(len(left))
    keep = (square.argmin(axis=0)[best] == index) & (nearest < _RATIO**2 * second)
    return index[keep], best[keep]


def _refuse_mirrored(found: _Attempt, phone: U8, dslr: U8, options: AlignOptions) -> None:
    """Refuse a pair of which the mirror image fits better; a facade may be so symmetric that both fit."""
    flipped = _attempt(np.ascontiguousarray(phone[:, ::-1]), dslr, options)
    if flipped.inliers > found.inliers and flipped.enough(options):
        raise PairRejected(
            "mirrored", "one photo is the mirror image of the other", "flip one of the two (front cameras do this)"
        )


def _refuse_unmatched(found: _Attempt, options: AlignOptions) -> None:
    if found.by_chance:
        raise PairRejected(
            "different_scene",
            f"the photos seem to share nothing: {found.inliers} of {found.matches} matches agree, as by chance",
            "check that they belong together; equal tiles, or one scene from very different spots, look like this, too",
        )
    raise PairRejected(
        "too_few_inliers",
        f"only {found.inliers} of {found.matches} matches agree; {options.min_inliers} "
        f"and {options.min_inlier_ratio:.0%} are needed",
        "little of one photo is seen in the other: bring the cameras closer together, or use more light",
    )


def _size(gray: U8) -> tuple[int, int]:
    return gray.shape[1], gray.shape[0]
