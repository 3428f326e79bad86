"""How much better each method is, on one scale: Bradley and Terry's, fitted by choix.

A method of score a is chosen over one of score b with the chance 1 / (1 + e^(b - a)); the phone's score is 0. Intervals
come from resamples of whole subjects. Bradley, Terry, Rank analysis of incomplete block designs, Biometrika 39 (1952).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dpedkit.errors import MissingExtra
from dpedkit.train.bootstrap import Resampled
from dpedkit.types import F64, I64

RESAMPLES = 1000
_HALF = 0.5
"""Added to both sides of every pair that was compared: a method that never lost has a finite score, and a study of
hundreds of answers does not feel it."""

_MOST_ROUNDS = 10_000
_SAME = 1e-6  # what a fit leaves undecided


@dataclass(frozen=True, slots=True)
class Score:
    """A method's score over the phone's.

    low, high  95% interval; None: there are fewer than five subjects, or so few answers that some resamples of them do
               not connect all methods, or all subjects agree, and nothing says how far others would not
    """

    method: str
    value: float
    low: float | None
    high: float | None


def estimate_scores(wins: I64, methods: tuple[str, ...], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Score]:
    """Return the methods' scores; that of the first is 0.

    wins  [S, M, M] how often each subject chose the method of a row over that of a column

    Raises:
        MissingExtra: choix is not installed.
        ValueError: answers do not connect all methods.
    """
    count, subjects = len(methods), len(wins)
    fitted = fit(wins.sum(axis=0))
    flat = wins.reshape(subjects, -1).astype(float)
    resampled = Resampled(flat, np.ones(subjects), resamples=resamples, seed=seed)
    draws = np.empty((0, count * count)) if resampled.draws is None else resampled.draws
    try:
        drawn = np.array([fit(means.reshape(count, count) * subjects, fitted) for means in draws]).reshape(-1, count)
    except ValueError:
        drawn = np.empty((0, count))
    return [
        Score(name, value, *_interval(resampled, column))
        for name, value, column in zip(methods, fitted.tolist(), drawn.T, strict=True)
    ]


def _interval(resampled: Resampled, drawn: F64) -> tuple[float, float] | tuple[None, None]:
    """Return the interval of a score from its resamples [R]."""
    if not len(drawn) or np.ptp(drawn) < _SAME or (interval := resampled.interval_of(drawn)) is None:
        return None, None
    return interval.low, interval.high


def fit(wins: I64 | F64, start: F64 | None = None) -> F64:
    """Return the score of each method over that of the first [M].

    wins   [M, M] how often the method of a row was chosen over that of a column
    start  scores to begin with, where some are known that are close
    """
    try:
        from choix import ilsr_pairwise_dense
    except ModuleNotFoundError:
        raise MissingExtra("choix", "study") from None
    compared = (wins + wins.T) > 0
    scores: F64 = ilsr_pairwise_dense(wins + _HALF * compared, initial_params=start, max_iter=_MOST_ROUNDS)
    scores -= scores[0]
    return scores
