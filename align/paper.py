"""The method published with DPED, so that it can be compared and repeated (Ignatov et al., ICCV 2017, section 3).

SIFT and RANSAC give one homography; the DSLR's photo is brought to the phone's scale by it. Two windows then go over
both photos side by side and without overlap, one of them adjusted by small shifts and rotations until the two correlate
best.

What the paper leaves open is chosen here: the photos are matched at 2 MP, and refused as in field mode; the phone's
window is the one that moves, by up to 8 px along each axis and 3 degrees, found by the same search and Gauss-Newton
steps that place patches in field mode (a square that is found nowhere stays where it is); it is sampled once, bicubic.
"""

from __future__ import annotations

import cv2
import numpy as np

from dpedkit.align.coarse import match_features
from dpedkit.align.geometry import Warp
from dpedkit.align.luma import to_gray
from dpedkit.align.options import AlignOptions
from dpedkit.align.place import place_patches
from dpedkit.align.pyramid import Pyramid
from dpedkit.types import I64, U8

_MATCH_PX = 2_000_000
_RANSAC_PX = 3.0
_MOST_DEG = 3.0
_EDGE = 2  # px that bicubic sampling reaches beyond a square


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
    moved = phone.copy()
    middle = (size - 1) / 2
    height, width = phone.shape[:2]
    for (x, y), shift, degrees, bound in zip(
        xy.tolist(), found.shift_xy_px, found.rotation_deg, found.crlb_px, strict=True
    ):
        reach = np.abs([x + shift[0] - (width - size) / 2, y + shift[1] - (height - size) / 2])
        inside = (reach <= [(width - size) / 2 - _EDGE, (height - size) / 2 - _EDGE]).all()
        if not np.isfinite(bound) or abs(degrees) > _MOST_DEG or not inside:
            continue
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        centre_x, centre_y = x + middle + shift[0], y + middle + shift[1]
        matrix = np.array([[c, -s, centre_x - middle * (c - s)], [s, c, centre_y - middle * (s + c)]])
        moved[y : y + size, x : x + size] = cv2.warpAffine(
            phone,
            matrix,
            (size, size),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return moved
