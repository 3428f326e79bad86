"""What a caller may change about an alignment; the measured figures are those of the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["field", "paper"]


@dataclass(frozen=True, slots=True)
class AlignOptions:
    """Settings of `align_pair`.

    mode              "field": lenses, mesh, windows; "paper": the homography of the DPED paper and nothing else
    coarse_px         pixels to which photos are shrunk for the first guess
    retry_px          the same, tried when fewer than retry_inliers matches agreed
    keypoints         SIFT keypoints kept per photo
    min_inliers       matches that must agree on one homography
    min_inlier_ratio  and their share of all matches
    min_contrast      standard deviation of brightness, of 255, below which a photo is blank
    max_blur          standard deviation of a photo's blur, as a share of its diagonal, above which it is of no use
    max_area_ratio    how many times larger than the other one photo's field of view may be, by area
    min_overlap       share of the phone's photo that the DSLR's must cover
    min_windows       windows that must be placed to sub-pixel accuracy
    min_trusted       share of the overlap where the warp must agree with the windows
    parallax          fit a residual mesh where the lenses alone do not explain the photos
    """

    mode: Mode = "field"
    coarse_px: int = 125_000
    retry_px: int = 1_000_000
    retry_inliers: int = 60
    keypoints: int = 1_500
    min_inliers: int = 25
    min_inlier_ratio: float = 0.3
    min_contrast: float = 4.0
    max_blur: float = 0.003
    max_area_ratio: float = 16.0
    min_overlap: float = 0.1
    min_windows: int = 24
    min_trusted: float = 0.1
    parallax: bool = True
