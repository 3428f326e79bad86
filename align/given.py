"""The alignment of photos that somebody else has aligned: pixel on pixel."""

from __future__ import annotations

import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.align.geometry import Warp, overlap_polygon
from dpedkit.align.parallax import Confidence
from dpedkit.align.placements import Placements


def given_alignment(size: tuple[int, int]) -> Alignment:
    """Return the identity between two photos of (width, height) px, trusted everywhere; nothing was measured."""
    warp = Warp(size, size, np.eye(3))
    nothing = Placements(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros((0, 2, 2)), np.zeros(0), 1.0, 1.0)
    return Alignment(
        warp=warp,
        mode="field",
        inliers=0,
        windows=0,
        residual_px=0.0,
        residual_p95_px=0.0,
        trusted_share=1.0,
        overlap=overlap_polygon(warp),
        regions=Confidence(size, np.full((2, 2), 255, np.uint8)),
        placed=nothing,
        timings={},
    )
