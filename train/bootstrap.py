"""How sure a mean over photos is: bootstrap intervals that resample whole photos. NumPy and SciPy only.

Patches of one photo share its light, its scene and its mistakes, so they are no independent samples: photos are drawn
with replacement, each with all its patches (the cluster bootstrap of Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 3.8). Every method is scored on the same draws, so the difference of two methods has an
interval of its own, which is narrower than either's where photos are hard for both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from dpedkit.types import F64

FEWEST = 5
"""Units below which there is no interval: even that from the lowest to the highest of n misses the mean with chance
2^(1-n)."""

_AT_ONCE = 2_000_000  # drawn counts that are in memory at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a mean lies with the confidence that was asked for."""

    low: float
    high: float

    @property
    def half(self) -> float:
        """Half its width."""
        return (self.high - self.low) / 2


class Resampled:
    """Means of columns of numbers over all samples, and over many resamples of the units that the samples belong to.

    sums    [U, K]  of each unit (a photo): the sum of its samples (patches) in each column
    counts  [U]     how many samples it has

    means   [K]     over all samples
    draws   [R, K]  in each resample; None: there are fewer units than FEWEST
    """

    def __init__(self, sums: F64, counts: F64, *, resamples: int = 10_000, seed: int = 0, level: float = 0.95) -> None:
        if sums.ndim != 2 or counts.shape != sums.shape[:1] or not len(counts) or counts.min() < 1:
            raise ValueError(f"need sums [U, K] and counts [U] of at least 1, got {sums.shape} and {counts.shape}")
        self.means: F64 = sums.sum(axis=0) / counts.sum()
        self._units = len(counts)
        self._tail = _tail(self._units, level) if self._units >= FEWEST else None
        self.draws = _draw(sums, counts, resamples, seed) if self._tail is not None else None

    def interval(self, column: int, minus: int | None = None) -> Interval | None:
        """Return the interval of a column's mean, or of its difference from another column's.

        None: there are too few units, or a number is infinite.
        """
        if self.draws is None:
            return None
        return self.interval_of(
            self.draws[:, column] if minus is None else self.draws[:, column] - self.draws[:, minus]
        )

    def interval_of(self, drawn: F64) -> Interval | None:
        """Return the interval of what was computed from each of `draws` [R]; None as above."""
        if self._tail is None or not np.isfinite(drawn).all():
            return None
        low, high = np.quantile(drawn, [self._tail, 1 - self._tail]).tolist()
        return Interval(low, high)


def _tail(units: int, level: float) -> float:
    """Return the share of resamples to leave out at each end.

    Plain percentiles are too narrow for few units, by what tells the t distribution from the normal and n - 1 from n;
    the level is widened by just that (Hesterberg, What Teachers Should Know About the Bootstrap, The American
    Statistician 69 (2015), "expanded percentile").
    """
    reach = np.sqrt(units / (units - 1)) * stdtrit(units - 1, (1 + level) / 2)
    return float(ndtr(-reach))


def _draw(sums: F64, counts: F64, resamples: int, seed: int) -> F64:
    """Return the means of all columns in each resample [R, K]."""
    units, random = len(counts), np.random.default_rng(seed)
    size = max(_AT_ONCE // units, 1)
    blocks = []
    with np.errstate(invalid="ignore"):  # 0 times infinity: the interval will not be shown
        for first in range(0, resamples, size):
            times = random.multinomial(units, np.full(units, 1 / units), size=min(size, resamples - first))
            blocks.append((times @ sums) / (times @ counts)[:, None])
    return np.concatenate(blocks)
