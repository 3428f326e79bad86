"""The method published with DPED, so that it can be compared and repeated (Ignatov et al., ICCV 2017, section 3).

SIFT and RANSAC give one homography; the DSLR's photo is brought to the phone's scale by it. Two windows then go over
both photos side by side and without overlap, one of them adjusted by small shifts and rotations until the two correlate
best.

What the paper leaves open is chosen here: the photos are matched at 2 MP, and refused as in field mode; the phone's
window is the one that moves, by up to 8 px along each axis and 3 degrees, found by the same search and Gauss-Newton
steps that place patches in field mode (a square that is found nowhere stays where it is); it is sampled once, linearly.
"""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.align.coarse import match_features
from dpedkit.align.geometry import Warp
from dpedkit.align.luma import to_gray
from dpedkit.align.options import AlignOptions
from dpedkit.align.place import place_patches, sample_square
from dpedkit.align.pyramid import Pyramid
from dpedkit.types import I64, U8

_MATCH_PX = 2_000_000
_RANSAC_PX = 3.0
_MOST_DEG = 3.0
_EDGE_PX = 2  # a square that would come nearer to the border stays where it is


def match_as_published(phone: Pyramid, dslr: Pyramid, coarse: Warp, options: AlignOptions) -> Warp:
    """Return RANSAC's homography as a warp; `coarse`, by which the pair was accepted, where it finds none."""
    small = phone.shrunk(_MATCH_PX), dslr.shrunk(_MATCH_PX)
    source, target = match_features(*small, options)
    if len(source) < 4:
        return coarse
    found, mask = cv2.findHomography(source, target, cv2.RANSAC, _RANSAC_PX)
    if found is None or int(mask.sum()) < options.min_inliers:
        return coarse
    sizes = [(gray.shape[1], gray.shape[0]) for gray in small]
    warp = Warp.from_pixels(found.astype(np.float64), sizes[0], sizes[1])
    return Warp(coarse.phone_size, coarse.dslr_size, warp.homography)


def slide(phone: U8, dslr: U8, xy: I64, size: int) -> U8:
    """Return a copy of the phone's picture [H, W, 3] whose squares were moved onto the DSLR's on the same pixels.

    xy  [N, 2]  top left pixels of squares that do not overlap
    """
    found = place_patches(to_gray(dslr, "dslr"), to_gray(phone, "phone"), xy, size)
    corners = xy + found.shift_xy_px
    last = np.array([phone.shape[1], phone.shape[0]]) - size
    inside = ((corners >= _EDGE_PX) & (corners <= last - _EDGE_PX)).all(axis=1)
    angles = np.radians(found.rotation_deg)
    moved = phone.copy()
    for i in np.flatnonzero(inside & np.isfinite(found.crlb_px) & (np.abs(found.rotation_deg) <= _MOST_DEG)):
        x, y = xy[i]
        moved[y : y + size, x : x + size] = sample_square(phone, corners[i], size, angles[i])
    return moved
