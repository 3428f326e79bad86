"""From how close each patch is to means, their intervals, and differences of methods on the same photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpedkit.train.bootstrap import Resampled
from dpedkit.train.metrics import Closeness
from dpedkit.types import F64

METRICS = ("psnr", "ssim", "ms_ssim")
LPIPS = "lpips"  # measured where its weights are given


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over patches, or a difference of two, and its 95% interval; None where there is none."""

    value: float
    low: float | None
    high: float | None

    @property
    def half(self) -> float | None:
        """Half the interval's width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Estimates:
    """One method's means by metric, and what it is above each of some other methods, in their order."""

    own: dict[str, Estimate]
    over: list[dict[str, Estimate]]


class Scored:
    """What was measured for one phone.

    close     method -> shot -> how close its patches are
    by_photo  whether a shot is one photo, so that its patches are drawn together
    metrics   the names of what was measured of each patch
    """

    def __init__(self, close: Mapping[str, Mapping[str, Closeness]], *, by_photo: bool) -> None:
        self.by_photo = by_photo
        self._close = close
        every = (photo for photos in close.values() for photo in photos.values())
        self.metrics = METRICS if next(every).lpips is None else (*METRICS, LPIPS)

    def mean_psnr(self, method: str) -> float:
        """Return the mean over all patches, dB."""
        return float(np.concatenate([close.psnr for close in self._close[method].values()]).mean())

    def as_the_authors_report(self, method: str) -> tuple[float, float]:
        """Return PSNR and MS-SSIM pooled over batches of patches, in order of shots; see `Closeness`."""
        mine = list(self._close[method].values())
        error, terms = ([getattr(close, name) for close in mine] for name in ("squared_error", "terms"))
        return Closeness(np.concatenate(error), np.concatenate(terms)).as_the_authors_report()

    def resampled(self, methods: Sequence[str]) -> Resampled:
        """Resample the photos that the first method has; columns are each method's metrics in turn."""
        sums, counts = [], []
        for shot in self._close[methods[0]]:
            values = np.column_stack(
                [getattr(self._close[method][shot], metric) for method in methods for metric in self.metrics]
            )
            sums.append(values.sum(axis=0, keepdims=True) if self.by_photo else values)
            counts.append([len(values)] if self.by_photo else np.ones(len(values)))
        return Resampled(np.concatenate(sums), np.concatenate(counts).astype(np.float64))


def estimate(table: Scored, method: str, others: Sequence[str]) -> Estimates:
    """Return a method's means and its differences from other methods, all over the photos that it has.

    others  methods that have all of these photos
    """
    drawn = table.resampled([method, *others])
    return Estimates(
        own=_by_metric(drawn, table.metrics),
        over=[_by_metric(drawn, table.metrics, minus=place) for place in range(1, len(others) + 1)],
    )


def estimate_mean(values: F64) -> Estimate:
    """Return the mean of one number per photo [N]."""
    return _estimate(Resampled(values[:, None], np.ones(len(values))), 0)


def _by_metric(drawn: Resampled, metrics: Sequence[str], minus: int | None = None) -> dict[str, Estimate]:
    """Return the first method's means, or what they are above those of the method that stands at `minus`."""
    count = len(metrics)
    others = [None] * count if minus is None else range(minus * count, (minus + 1) * count)
    return {metric: _estimate(drawn, column, others[column]) for column, metric in enumerate(metrics)}


def _estimate(drawn: Resampled, column: int, minus: int | None = None) -> Estimate:
    value = drawn.means[column] - (0.0 if minus is None else drawn.means[minus])
    interval = drawn.interval(column, minus)
    return Estimate(float(value), *((interval.low, interval.high) if interval else (None, None)))
