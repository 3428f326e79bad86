"""What no pair of photos of one scene looks like: each refusal has a word, a cause and a remedy."""

from __future__ import annotations

import numpy as np

from dpedkit.align.blur import blur_share
from dpedkit.align.geometry import Warp, frame, overlap_polygon, polygon_area
from dpedkit.align.options import AlignOptions
from dpedkit.align.pyramid import Pyramid
from dpedkit.errors import PairRejected
from dpedkit.types import U8

_LEAST_PX = 64  # a side; below it nothing holds a window with its surroundings


def refuse_tiny(photo: Pyramid, name: str) -> None:
    """Refuse a photo that is too small to be searched."""
    height, width = photo.full.shape
    if min(height, width) < _LEAST_PX:
        raise PairRejected(
            "too_small",
            f"the {name} photo has {width} x {height} px; {_LEAST_PX} a side are needed",
            "take the photo itself, not its thumbnail",
        )


def refuse_blank(gray: U8, name: str, options: AlignOptions) -> None:
    """Refuse a photo that shows nothing."""
    spread = float(gray.std())
    if spread < options.min_contrast:
        raise PairRejected(
            "blank",
            f"the {name} photo shows nothing: its brightness varies by {spread:.1f} of 255",
            "check the exposure and that no lens is covered, then shoot again",
        )


def refuse_blurred(photo: Pyramid, name: str, options: AlignOptions) -> None:
    """Refuse a photo that has nothing sharp: no window of it would be found to a pixel, and nothing learnt from it."""
    share = blur_share(photo)
    if share > options.max_blur:
        sigma_px = share * float(np.hypot(*photo.full.shape))
        raise PairRejected(
            "blurred",
            f"the {name} photo is blurred by about {sigma_px:.0f} px, even where it is sharpest",
            "check focus and lens, and that the tripod stood still, then shoot again",
        )


def refuse_impossible(warp: Warp, options: AlignOptions) -> None:
    """Refuse homographies that no two cameras side by side could have made."""
    corners = frame(warp.phone_size, 1)
    denominators = np.column_stack([corners - corners.mean(axis=0), np.zeros(4)])
    unit = np.hypot(*warp.phone_size) / 2
    depth = denominators[:, :2] / unit @ warp.homography[2, :2] + warp.homography[2, 2]
    landed = warp.forward(corners)
    edges = np.roll(landed, -1, axis=0) - landed
    turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1] - edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
    if (depth <= 0).any() or not (np.all(turns > 0) or np.all(turns < 0)):
        raise PairRejected("degenerate", "the best homography folds the photo", "check that the photos belong together")
    if turns[0] < 0:
        raise PairRejected("mirrored", "the best homography mirrors the photo", "flip one of the two photos")
    share = polygon_area(landed) / (warp.dslr_size[0] * warp.dslr_size[1])
    if not 1 / options.max_area_ratio <= share <= options.max_area_ratio:
        raise PairRejected(
            "insane_area",
            f"the phone's photo would cover {share:.3g} times the DSLR's",
            "check that the photos belong together",
        )
    covered = polygon_area(overlap_polygon(warp)) / (warp.phone_size[0] * warp.phone_size[1])
    if covered < options.min_overlap:
        raise PairRejected(
            "too_little_overlap",
            f"the DSLR's photo covers {covered:.0%} of the phone's; {options.min_overlap:.0%} are needed",
            "point both cameras at the same scene",
        )
