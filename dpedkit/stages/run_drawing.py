"""The chart of gains: what each method adds to every photo, and to all of them together, as shapes of an SVG.

A study draws shares and scores with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LEFT, _ACROSS, _ROW, _TOP = 170, 530, 34, 12
_LETTER, _MARGIN = 7.8, 24
_FEWEST_STEPS = 4


@dataclass(frozen=True, slots=True)
class GainRow:
    """A method's gain over the phone's own photo: on average, its interval if there is one, and on each photo."""

    name: str
    ours: bool
    value: float
    low: float | None
    high: float | None
    photos: Sequence[float]


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """The same in SVG units: x of the mean, of the interval's ends, of the photos; y of its line."""

    row: GainRow
    y: float
    x: float
    ends: tuple[float, float] | None
    dots: Sequence[float]


@dataclass(frozen=True, slots=True)
class Drawing:
    """The chart; ticks are (x, value); band is from x to x, if there is one."""

    width: int
    height: int
    left: int
    zero: float
    ticks: Sequence[tuple[float, float]]
    rows: Sequence[DrawnRow]
    band: tuple[float, float] | None


def draw_gains(
    rows: Sequence[GainRow], *, zero: float = 0.0, holds: Sequence[float] = (), near: float = 0.0
) -> Drawing:
    """Place the gains on a common scale.

    zero   where the line is that they are compared with: the phone's own photo, chance
    holds  values that the scale reaches to, besides those of the rows
    near   how far around zero the band reaches; 0: there is none
    """
    values = [value for row in rows for value in (*row.photos, row.value, row.low, row.high) if value is not None]
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([zero, *holds, *finite]), max([zero, *holds, *finite])
    step = _step(high - low)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)

    left = max(_LEFT, round(_MARGIN + _LETTER * max((len(row.name) for row in rows), default=0)))

    def x(value: float) -> float:
        share = (min(max(value / step, first), last) - first) / (last - first)
        return round(left + share * _ACROSS, 1)

    drawn = [
        DrawnRow(
            row=row,
            y=_TOP + (index + 0.5) * _ROW,
            x=x(row.value),
            ends=None if row.low is None or row.high is None else (x(row.low), x(row.high)),
            dots=[x(value) for value in row.photos],
        )
        for index, row in enumerate(rows)
    ]
    height = _TOP + len(rows) * _ROW + 34
    band = (x(zero - near), x(zero + near)) if near else None
    ticks = [(x(index * step), index * step) for index in range(first, last + 1)]
    return Drawing(left + _ACROSS + 20, height, left, x(zero), ticks, drawn, band)


def _step(span: float) -> float:
    """Return a round distance of ticks, of which the span holds four to ten or so."""
    wanted = max(span, 1e-3) / _FEWEST_STEPS
    power = 10 ** math.floor(math.log10(wanted))
    return float(next(factor * power for factor in (5, 2, 1) if factor * power <= wanted))
