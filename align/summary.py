"""What a warp and the windows behind it amount to."""

from __future__ import annotations

import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.align.geometry import Warp, overlap_polygon
from dpedkit.align.lens import Lens
from dpedkit.align.options import Mode
from dpedkit.align.parallax import map_confidence, misfit
from dpedkit.align.placements import Placements

_TRUSTED = 0.5


def summarise(
    warp: Warp, placed: Placements, lens: Lens, inliers: int, mode: Mode, timings: dict[str, float]
) -> Alignment:
    """Return the alignment: residuals where the warp can be trusted, and where that is."""
    regions = map_confidence(warp, placed, lens)
    trusted = regions.at(placed.phone) >= _TRUSTED
    used = placed.take(placed.found & trusted)
    residual = misfit(warp, used) if len(used) else np.array([np.inf])
    return Alignment(
        warp=warp,
        mode=mode,
        inliers=inliers,
        windows=len(used),
        residual_px=float(np.median(residual)),
        residual_p95_px=float(np.quantile(residual, 0.95)),
        trusted_share=float(trusted.mean()) if len(placed) else 0.0,
        overlap=overlap_polygon(warp),
        regions=regions,
        placed=placed,
        timings=timings,
    )
