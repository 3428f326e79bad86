"""From two photos to an alignment: coarse match, correlation at low resolution, Gauss-Newton at full resolution."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from itertools import groupby

from dpedkit.align.alignment import Alignment
from dpedkit.align.coarse import match_coarse
from dpedkit.align.geometry import Warp
from dpedkit.align.lens import UNKNOWN_LENS, Lens, fit_lens
from dpedkit.align.luma import to_gray
from dpedkit.align.options import AlignOptions
from dpedkit.align.paper import match_as_published
from dpedkit.align.parallax import fit_mesh, fits
from dpedkit.align.placements import Placements
from dpedkit.align.pyramid import Pyramid
from dpedkit.align.summary import summarise
from dpedkit.align.threads import on_one_blas_thread
from dpedkit.align.windows import Grid, Level, place_windows
from dpedkit.errors import PairRejected
from dpedkit.types import U8

_RIGID = 0.85
_FULL_GRID_PX = 800
_MIN_SIDE = 32
_FULL_PX = math.inf


@dataclass(frozen=True, slots=True)
class _Pass:
    """One round of placing windows and fitting the warp to them.

    wanted_px  pixels of the phone's photo, about
    grid       windows, for photos large enough; small ones get smaller windows and a shorter reach
    controls   control points of the mesh along the photo's longer side
    """

    wanted_px: float
    grid: Grid
    controls: int


_SEARCH = _Pass(1e6, Grid(16, 12, side=48, reach=16), controls=12)
_REFINE = (_Pass(3e6, Grid(24, 18, side=64), controls=16), _Pass(_FULL_PX, Grid(24, 18, side=96), controls=16))
_PARALLAX = (
    _Pass(1e6, Grid(32, 24, side=40, reach=24), controls=20),
    _Pass(1e6, Grid(32, 24, side=40, reach=8), controls=24),
    _Pass(_FULL_PX, Grid(40, 30, side=64, reach=6), controls=32),
    _Pass(_FULL_PX, Grid(64, 48, side=32), controls=40),  # small: a window across an edge tells neither side's place
)


@on_one_blas_thread
def align_pair(phone: U8, dslr: U8, options: AlignOptions | None = None, lens: Lens = UNKNOWN_LENS) -> Alignment:
    """Find where every pixel of a phone's photo lies in a DSLR's photo of the same scene.

    phone, dslr  upright RGB uint8 [H, W, 3], of any sizes
    lens         what other pairs of the two cameras told (`learn_lens`)

    The same photos give the same bits, on any number of threads.

    Raises:
        ValueError: an array is not uint8 [H, W, 3].
        PairRejected: the photos do not show the same scene well enough; `reason` says in a word why.
    """
    options = options or AlignOptions()
    clock = _Clock()
    gray_phone, gray_dslr = Pyramid.of(to_gray(phone, "phone")), Pyramid.of(to_gray(dslr, "dslr"))
    clock.lap("gray_s")
    coarse = match_coarse(gray_phone, gray_dslr, options)
    clock.lap("coarse_s")
    if options.mode == "paper":
        warp, placed = _as_published(gray_phone, gray_dslr, coarse.warp, options)
    else:
        warp, placed = _refine(gray_phone, gray_dslr, coarse.warp, options, lens)
    clock.lap("refine_s")
    kept = Placements.from_dict(placed.to_dict())  # as they are restored
    alignment = summarise(warp, kept, lens, coarse.inliers, options.mode, clock.laps)
    if options.mode == "field" and alignment.trusted_share < options.min_trusted:
        raise PairRejected(
            "parallax",
            f"only {alignment.trusted_share:.0%} of the overlap can be aligned; {options.min_trusted:.0%} are needed",
            "bring the cameras closer together, or step back from the scene",
        )
    return alignment


def _refine(phone: Pyramid, dslr: Pyramid, warp: Warp, options: AlignOptions, lens: Lens) -> tuple[Warp, Placements]:
    level = Level.make(phone, dslr, warp, _SEARCH.wanted_px)
    warp, placed = _advance(_SEARCH, level, warp, options, lens)
    bent = options.parallax and float(fits(warp, placed).mean()) < _RIGID
    for wanted_px, steps in groupby(_PARALLAX if bent else _REFINE, key=lambda step: step.wanted_px):
        level = Level.make(phone, dslr, warp, wanted_px)
        for step in steps:
            warp, placed = _advance(step, level, warp, options, lens)
    return warp, placed


def _as_published(phone: Pyramid, dslr: Pyramid, coarse: Warp, options: AlignOptions) -> tuple[Warp, Placements]:
    """Return the published homography, and windows that say how far off it is."""
    warp = match_as_published(phone, dslr, coarse, options)
    level = Level.make(phone, dslr, warp, _SEARCH.wanted_px)
    return warp, place_windows(level, warp, _fitted(_SEARCH.grid, min(level.phone.shape)))


def _advance(step: _Pass, level: Level, warp: Warp, options: AlignOptions, lens: Lens) -> tuple[Warp, Placements]:
    """Place the windows of one pass through the warp and return the better warp, and the placements."""
    placed = place_windows(level, warp, _fitted(step.grid, min(level.phone.shape)))
    found = placed.take(placed.found)
    if len(found) < options.min_windows:
        raise PairRejected(
            "not_alike",
            f"only {len(found)} of {len(placed)} windows look alike in both photos; {options.min_windows} are needed",
            "the photos may be blurred, or taken from spots too far apart",
        )
    rigid = fit_lens(warp, found, lens)
    return (fit_mesh(rigid, placed, step.controls) if options.parallax else rigid), placed


def _fitted(grid: Grid, short_px: int) -> Grid:
    """Return the grid for a photo whose shorter side is `short_px`; from about 1,000 px on it stays as it is."""
    shrink = min(short_px / _FULL_GRID_PX, 1.0)
    return replace(grid, side=max(round(grid.side * shrink), _MIN_SIDE) // 2 * 2, reach=math.ceil(grid.reach * shrink))


@dataclass
class _Clock:
    laps: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.since
        self.since = now
