"""Which photos of two cameras were taken together, from the times that both wrote down: times in, pairs out.

The cameras' clocks may differ by anything (a wrong date, another time zone), drift, and tell whole seconds only; either
camera may have photos that the other has not. The offset is where most pairs of photos agree: all differences of their
times are counted in a histogram, its peaks are tried, and each is refined by matching the photos one to one in order
of time and fitting the differences that are left with a line (the clocks' drift). Where another offset explains the
times as well, as it is with regular intervals and with photos of different days, the caller is told the candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dpedkit.stages.matching import match_in_order
from dpedkit.types import F64, I64

WITHIN_S = 2.0
"""Photos of one shot are taken within this of each other, by clocks that are set against each other."""

_MOST_DRIFT = 2e-4  # quartz clocks keep within 100 ppm of true time; two of them drift by twice that at most
_DRIFT_KNOWN = 1e-4  # width of the interval in which a drift lies with 95%: one that is known less well is none
_MOST_DIFFERENCES = 4_000_000
_PEAKS = 12  # of each histogram, that are matched once
_REFINED = 6  # of those, that are worth more
_ROUNDS = 6
_SIGMAS = 6.0
_LEAST_S = 0.1  # what release lags vary by, at least
_AS_GOOD = 0.8
_LINE_POINTS = 300


@dataclass(frozen=True, slots=True)
class ClockFit:
    """How a phone's clock differs from the DSLR's.

    offset_s        phone minus DSLR at middle_s of the DSLR's time, the middle of the matched photos
    bound_s         two standard errors of it
    middle_s        the DSLR's time at which offset_s holds
    drift_ppm       how much faster the phone's clock runs
    within_s        how far from that photos of one shot may lie
    pairs           [K, 2], indices into the times of DSLR and phone, in order of time
    differences_s   [K], what is left of each pair's difference
    score           sum over the pairs of 1 - (difference / within)^2
    """

    offset_s: float
    bound_s: float
    middle_s: float
    drift_ppm: float
    within_s: float
    pairs: I64
    differences_s: F64
    score: float

    def on_phone(self, dslr_s: F64) -> F64:
        """Return what the phone's clock shows at times [N] of the DSLR's."""
        shown: F64 = dslr_s + self.offset_s + self.drift_ppm * 1e-6 * (dslr_s - self.middle_s)
        return shown


@dataclass(frozen=True, slots=True)
class TimeMatch:
    """What two cameras' times tell.

    verdict  "clear"; "ambiguous": several offsets explain them as well; "none": there are no times to compare
    fits     the best first; of an ambiguous verdict all that are as good
    """

    verdict: Literal["clear", "ambiguous", "none"]
    fits: tuple[ClockFit, ...]

    @property
    def best(self) -> ClockFit | None:
        """The fit with most pairs that agree best; None where no two photos can be matched."""
        return self.fits[0] if self.fits else None


def match_times(
    dslr_s: Sequence[float] | F64, phone_s: Sequence[float] | F64, *, step_s: float, within_s: float
) -> TimeMatch:
    """Find the offset between two clocks, and which photos belong together.

    dslr_s, phone_s  when photos were taken, by each camera's own clock, s; photos of the same second in the order in
                     which they were taken
    step_s           the coarser of the clocks' resolutions
    within_s         how far apart photos of one shot may be
    """
    dslr, phone = np.asarray(dslr_s, np.float64), np.asarray(phone_s, np.float64)
    if not len(dslr) or not len(phone):
        return TimeMatch("none", ())
    orders = np.argsort(dslr, kind="stable"), np.argsort(phone, kind="stable")
    matcher = _Matcher(dslr[orders[0]], phone[orders[1]], orders, step_s, within_s)
    offsets = sorted(matcher.candidates(), key=matcher.worth, reverse=True)[:_REFINED]
    fits = _distinct([fit for offset in offsets if (fit := matcher.refine(offset)) is not None])
    if not fits:
        return TimeMatch("none", ())
    best = fits[0]
    rivals = [fit for fit in fits[1:] if _as_good(fit, best)]
    if len(dslr) == len(phone) == 1:
        return TimeMatch("clear", (best,))
    return TimeMatch("ambiguous", (best, *rivals)) if rivals else TimeMatch("clear", (best,))


def _as_good(fit: ClockFit, best: ClockFit) -> bool:
    """One pair fewer is no reason to prefer an offset: any series has a photo at its end."""
    return fit.score >= _AS_GOOD * best.score or len(fit.pairs) >= len(best.pairs) - 1


def _distinct(fits: list[ClockFit]) -> list[ClockFit]:
    """Return the fits by score, without those that say what a better one says."""
    kept: list[ClockFit] = []
    for fit in sorted(fits, key=lambda fit: -fit.score):
        told = {tuple(pair) for pair in fit.pairs.tolist()}
        if all(len(told & {tuple(pair) for pair in other.pairs.tolist()}) * 2 < len(told) for other in kept):
            kept.append(fit)
    return kept


class _Matcher:
    """Matches two ascending series of times, [N] and [M]; `orders` say which photo each time is of."""

    def __init__(self, dslr: F64, phone: F64, orders: tuple[I64, I64], step_s: float, within_s: float) -> None:
        self._dslr, self._phone, self._orders = dslr, phone, orders
        self._step, self._within = step_s, within_s

    def candidates(self) -> list[float]:
        """Return offsets at which unusually many differences of times lie."""
        every = max(1, len(self._dslr) * len(self._phone) // _MOST_DIFFERENCES)
        differences = np.sort((self._phone[None, ::every] - self._dslr[:, None]).ravel())
        found: list[float] = []
        for width in (2 * self._within, 2 * max(self._step, _LEAST_S)):
            found += _peaks(differences, width)
        return found

    def worth(self, offset: float) -> float:
        """Return what the pairs that agree on an offset are worth, the clocks taken for steady."""
        moved = self._dslr + offset
        pairs = match_in_order(moved, self._phone, self._within)
        return float(np.sum(1 - ((self._phone[pairs[:, 1]] - moved[pairs[:, 0]]) / self._within) ** 2))

    def refine(self, offset: float) -> ClockFit | None:
        """Return the fit that an offset leads to: match, set the clocks by the matches, again."""
        drift, middle, within = 0.0, float(self._dslr.mean()), self._within
        pairs = np.zeros((0, 2), np.int64)
        left = np.zeros(0)
        for _ in range(_ROUNDS):
            corrected = self._dslr + offset + drift * (self._dslr - middle)
            found = match_in_order(corrected, self._phone, within)
            if not len(found):
                return None
            at, apart = self._dslr[found[:, 0]], self._phone[found[:, 1]] - self._dslr[found[:, 0]]
            new_middle = float(np.median(at))
            offset, drift = _line(at - new_middle, apart)
            middle = new_middle
            left = apart - offset - drift * (at - middle)
            settled = np.array_equal(found, pairs)
            pairs, within = found, self._tolerance(left)
            if settled:
                break
        inside = np.abs(left) <= within
        pairs, left = pairs[inside], left[inside]
        if not len(pairs):
            return None
        spread = max(_sigma(left), self._step / 12**0.5)
        rows = np.column_stack([self._orders[0][pairs[:, 0]], self._orders[1][pairs[:, 1]]])
        score = float(np.sum(1 - (left / within) ** 2))
        bound = 2 * spread / len(pairs) ** 0.5
        return ClockFit(offset, bound, middle, drift * 1e6, within, rows, left, score)

    def _tolerance(self, left: F64) -> float:
        """Return how far apart photos of a shot are at most, as the matches themselves show it."""
        if len(left) < 3:
            return self._within
        shown = _SIGMAS * (1 + 4 / len(left)) * _sigma(left)  # a few differences show less than there is
        return float(min(self._within, shown + _LEAST_S + 2 * self._step))


def _peaks(differences: F64, width: float) -> list[float]:
    """Return the middles of the fullest windows of that width over ascending values, none in another's reach."""
    ends = np.searchsorted(differences, differences + width, side="right")
    counts = ends - np.arange(len(differences))
    middles: list[float] = []
    order = np.argsort(-counts, kind="stable")
    for start in order[: _PEAKS * 2000].tolist():
        middle = float(np.median(differences[start : ends[start]]))
        if all(abs(middle - other) > width / 2 for other in middles):
            middles.append(middle)
        if len(middles) == _PEAKS:
            break
    return middles


def _line(at: F64, apart: F64) -> tuple[float, float]:
    """Return the level at 0 and the slope of differences over time, whatever a few of them are.

    The slope is the median of those between any two, weighted by how far these lie apart (Jaeckel, 1972): where a gap
    divides a session, those that tell the drift may be the fewer. What lies further apart than most counts no more than
    that: over days, photos that do not belong together are the far ones.
    """
    if len(at) < 4 or np.ptp(at) == 0:
        return float(np.median(apart)), 0.0
    some = np.linspace(0, len(at) - 1, min(len(at), _LINE_POINTS)).astype(np.int64)
    x, y = at[some], apart[some]
    first, second = np.triu_indices(len(some), 1)
    span = x[second] - x[first]
    slopes = np.divide(y[second] - y[first], span, out=np.zeros_like(span), where=span > 0)
    slope = float(np.clip(_weighted_median(slopes, np.minimum(span, np.median(span))), -_MOST_DRIFT, _MOST_DRIFT))
    deviation = _sigma(y - slope * x) / float(np.linalg.norm(x - x.mean()))
    if 4 * deviation > _DRIFT_KNOWN:
        slope = 0.0
    return float(np.median(apart - slope * at)), slope


def _weighted_median(values: F64, weights: F64) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, reached[-1] / 2)]])


def _sigma(values: F64) -> float:
    """Return the standard deviation, whatever a few values are."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
