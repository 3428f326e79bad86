"""From two photos to an alignment: coarse match, correlation at low resolution, Gauss-Newton at full resolution."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from dpedkit.align.alignment import Alignment
from dpedkit.align.coarse import match_coarse
from dpedkit.align.geometry import Warp, overlap_polygon
from dpedkit.align.lens import fit_lens
from dpedkit.align.luma import to_gray
from dpedkit.align.options import AlignOptions
from dpedkit.align.parallax import fit_mesh, map_confidence, misfit
from dpedkit.align.windows import Grid, Level, Placements, place_windows
from dpedkit.errors import PairRejected
from dpedkit.types import U8

_SEARCH_PX = 1_000_000
_CONFIDENCE_SHAPE = (24, 32)


def align_pair(phone: U8, dslr: U8, options: AlignOptions | None = None) -> Alignment:
    """Find where every pixel of a phone's photo lies in a DSLR's photo of the same scene.

    phone, dslr  upright RGB uint8 [H, W, 3], of any sizes

    The same photos give the same bits, on any number of threads.

    Raises:
        ValueError: an array is not uint8 [H, W, 3].
        PairRejected: the photos do not show the same scene well enough; `reason` says in a word why.
    """
    options = options or AlignOptions()
    clock = _Clock()
    gray_phone, gray_dslr = to_gray(phone, "phone"), to_gray(dslr, "dslr")
    clock.lap("gray_s")
    coarse = match_coarse(gray_phone, gray_dslr, options)
    clock.lap("coarse_s")
    warp = _search(gray_phone, gray_dslr, coarse.warp, options)
    clock.lap("search_s")
    warp, placed = _refine(gray_phone, gray_dslr, warp, options)
    clock.lap("refine_s")
    residual = misfit(warp, placed.take(placed.found))
    return Alignment(
        warp=warp,
        inliers=coarse.inliers,
        windows=int(placed.found.sum()),
        residual_px=float(np.median(residual)),
        residual_p95_px=float(np.quantile(residual, 0.95)),
        overlap=overlap_polygon(warp),
        regions=map_confidence(warp, placed, _CONFIDENCE_SHAPE),
        timings=clock.laps,
    )


def _search(phone: U8, dslr: U8, warp: Warp, options: AlignOptions) -> Warp:
    """Correct the homography for the lenses, and for coarse parallax, at about a megapixel."""
    level = Level.make(phone, dslr, warp, _SEARCH_PX)
    short = min(level.phone.shape)
    grid = Grid(16, 12, side=_even(short / 16, 32, 48), reach=_even(short / 54, 10, 16))
    placed = _enough(place_windows(level, warp, grid), options)
    lens = fit_lens(warp, placed.take(placed.found))
    return fit_mesh(lens, placed, controls=12) if options.parallax else lens


def _refine(phone: U8, dslr: U8, warp: Warp, options: AlignOptions) -> tuple[Warp, Placements]:
    """Bring the warp to hundredths of a pixel at full resolution."""
    level = Level.make(phone, dslr, warp, phone.size)
    short = min(level.phone.shape)
    grid = Grid(24, 18, side=_even(short / 12, 32, 96))
    for _ in range(2):
        placed = _enough(place_windows(level, warp, grid), options)
        lens = fit_lens(warp, placed.take(placed.found))
        warp = fit_mesh(lens, placed, controls=16) if options.parallax else lens
    return warp, placed


def _even(value: float, lowest: int, highest: int) -> int:
    return int(min(max(value, lowest), highest)) // 2 * 2


def _enough(placed: Placements, options: AlignOptions) -> Placements:
    found = int(placed.found.sum())
    if found < options.min_windows or found < options.min_window_share * len(placed):
        raise PairRejected(
            "not_alike",
            f"only {found} of {len(placed)} windows look alike in both photos; {options.min_windows} are needed",
            "the photos may be blurred, or taken from spots too far apart",
        )
    return placed


@dataclass
class _Clock:
    laps: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.since
        self.since = now
