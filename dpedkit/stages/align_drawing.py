"""What an alignment looks like: arrows, cells and bars in px of the phone's photo, for a page to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from dpedkit.align import Alignment
from dpedkit.align.parallax import fits
from dpedkit.types import F64, Bools

Kind = Literal["agrees", "differs", "nowhere"]

MASK_LEVELS = (0.25, 0.5, 0.75)
"""Confidences at which the mask changes its shade; what is below the middle one is not trusted."""

_TRUSTED = MASK_LEVELS[1]
_MASK_COLUMNS = 96
_BINS = 30
_LONGEST = 4.0  # windows' distances that an arrow may span
_DETAIL_PX = 192  # a multiple of JPEG's blocks, so that details side by side in one file keep to themselves


@dataclass(frozen=True, slots=True)
class Arrow:
    """How far one window was found from where the map puts it.

    x, y          the window's centre, phone px
    dx, dy        found less mapped, phone px
    tip_x, tip_y  where the arrow ends as it is drawn, phone px
    kind          whether the window agrees with the map, or was found nowhere
    cut           too long to be drawn in full
    """

    x: float
    y: float
    dx: float
    dy: float
    tip_x: float
    tip_y: float
    ncc: float
    kind: Kind
    cut: bool

    @property
    def off_px(self) -> float:
        """Length of the residual, phone px."""
        return math.hypot(self.dx, self.dy)

    def outline(self, width_px: float) -> str:
        """Return the arrow as an SVG path: `width_px` wide where it starts, and a point where it ends."""
        long_x, long_y = self.tip_x - self.x, self.tip_y - self.y
        half = width_px / 2 / max(math.hypot(long_x, long_y), 1e-9)
        side_x, side_y = -long_y * half, long_x * half
        corners = [(self.x + side_x, self.y + side_y), (self.tip_x, self.tip_y), (self.x - side_x, self.y - side_y)]
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "Z"


@dataclass(frozen=True, slots=True)
class ArrowField:
    """The arrows of all windows.

    magnified   px drawn per px of residual
    bar_px      a residual for the legend
    spacing_px  about how far windows lie apart, phone px
    """

    arrows: Sequence[Arrow]
    magnified: float
    bar_px: float
    spacing_px: float

    def of_kind(self, kind: Kind) -> list[Arrow]:
        """Return the arrows of one kind."""
        return [arrow for arrow in self.arrows if arrow.kind == kind]


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle of the mask, phone px; level: how many of MASK_LEVELS its confidence reaches."""

    x: float
    y: float
    width: float
    height: float
    level: int


@dataclass(frozen=True, slots=True)
class Bar:
    """Windows whose residual lies in [low_px, high_px); the last bar also holds what lies beyond."""

    low_px: float
    high_px: float
    trusted: int
    others: int

    @property
    def windows(self) -> int:
        """How many there are in all."""
        return self.trusted + self.others


@dataclass(frozen=True, slots=True)
class Detail:
    """A square to look at closely; x, y its top left corner, off_px the residual of the window in its middle."""

    name: str
    x: int
    y: int
    side: int
    off_px: float


def residuals(alignment: Alignment) -> F64:
    """Return [N, 2], phone px: where each window was found, less where the map puts it; NaN where it was not found."""
    placed = alignment.placed
    off: F64 = alignment.dslr_to_phone(placed.dslr) - placed.phone
    return np.where(placed.found[:, None], off, np.nan)


def trusted_windows(alignment: Alignment) -> Bools:
    """Return [N]: the windows behind the alignment's residual."""
    placed = alignment.placed
    trusted: Bools = placed.found & (alignment.confidence(placed.phone) >= _TRUSTED)
    return trusted


def arrow_field(alignment: Alignment) -> ArrowField:
    """Return an arrow per window, magnified so that usual residuals are as long as windows lie apart."""
    placed, off = alignment.placed, residuals(alignment)
    if not len(placed):
        return ArrowField((), 1.0, 1.0, 1.0)
    agrees = fits(alignment.warp, placed)
    mostly = agrees.sum() * 2 >= placed.found.sum()  # else the map is wrong by what most of the windows say
    usual = np.linalg.norm(off[agrees if mostly else placed.found], axis=1)
    spacing = math.sqrt(float(np.prod(np.ptp(placed.phone, axis=0) + placed.side_px)) / len(placed))
    magnified = round_down(spacing / max(float(np.quantile(usual, 0.95)), 1e-3)) if len(usual) else 1.0
    arrows = []
    for (x, y), (dx, dy), ncc, found, good in zip(
        placed.phone.tolist(), off.tolist(), placed.ncc.tolist(), placed.found.tolist(), agrees.tolist(), strict=True
    ):
        if not found:
            arrows.append(Arrow(x, y, 0.0, 0.0, x, y, ncc, "nowhere", cut=False))
            continue
        longest = _LONGEST * spacing / max(math.hypot(dx, dy), 1e-9)
        drawn = min(magnified, longest)
        kind: Kind = "agrees" if good else "differs"
        arrows.append(Arrow(x, y, dx, dy, x + drawn * dx, y + drawn * dy, ncc, kind, cut=longest < magnified))
    return ArrowField(arrows, magnified, round_down(1.8 * spacing / magnified), spacing)


def mask_cells(alignment: Alignment) -> list[Cell]:
    """Return the alignment's confidence over the whole photo, in cells as wide as it stays the same."""
    width, height = alignment.warp.phone_size
    columns = min(_MASK_COLUMNS, width)
    rows = max(round(columns * height / width), 1)
    step_x, step_y = width / columns, height / rows
    xs, ys = (np.arange(columns) + 0.5) * step_x - 0.5, (np.arange(rows) + 0.5) * step_y - 0.5
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    levels = np.searchsorted(MASK_LEVELS, alignment.confidence(points), side="right").reshape(rows, columns)
    cells = []
    for row, line in enumerate(levels.tolist()):
        left = 0
        for level, run in groupby(line):
            count = len(list(run))
            cells.append(Cell(left * step_x - 0.5, row * step_y - 0.5, count * step_x, step_y, level))
            left += count
    return cells


def histogram(alignment: Alignment) -> list[Bar]:
    """Return how many windows have which residual, trusted ones and others apart; empty where none was found."""
    trusted = trusted_windows(alignment)
    off = np.linalg.norm(residuals(alignment), axis=1)
    if not trusted.any():
        return []
    limit = round_up(max(1.5 * alignment.residual_p95_px, 1e-3))
    edges = np.linspace(0, limit, _BINS + 1)
    others = alignment.placed.found & ~trusted
    counts = [np.histogram(np.minimum(off[rows], limit), edges)[0].tolist() for rows in (trusted, others)]
    return [Bar(*each) for each in zip(edges[:-1].tolist(), edges[1:].tolist(), *counts, strict=True)]


def details(alignment: Alignment) -> list[Detail]:
    """Return where to look closely: the best, the median and the worst of the trusted windows."""
    rows = np.flatnonzero(trusted_windows(alignment))
    off = np.linalg.norm(residuals(alignment)[rows], axis=1)
    order = rows[np.argsort(off, kind="stable")]
    named = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1} if len(order) > 2 else {}
    side = min(_DETAIL_PX, *alignment.warp.phone_size)
    furthest = np.array(alignment.warp.phone_size) - side
    found = []
    for name, rank in named.items():
        row = order[rank]
        x, y = np.clip(np.rint(alignment.placed.phone[row] - (side - 1) / 2), 0, furthest).astype(int).tolist()
        found.append(Detail(name, x, y, side, float(np.sort(off)[rank])))
    return found


def round_down(value: float) -> float:
    """Return the largest of ..., 0.1, 0.2, 0.5, 1, 2, 5, 10, ... that is not above `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    digit = next(digit for digit in (5, 2, 1) if value >= digit * power * (1 - 1e-9) or digit == 1)
    return float(f"{digit * power:.1g}")


def round_up(value: float) -> float:
    """Return the smallest of these that is not below `value`."""
    low = round_down(value)
    return low if low >= value else round_down(low * 2.5)
