"""How many of all who might be asked prefer one method to another. NumPy and SciPy only.

A subject's answers are no independent samples: who likes vivid colours likes them on every picture. Every subject
counts as one, and how far their shares lie apart says how much the mean may be trusted: it is worth as many independent
answers as would scatter as much. With that number Wilson's interval and a t distribution hold what they promise, also
near 0 and 1 and for few subjects (Franco, Little, Louis, Slud, Comparative Study of Confidence Intervals for
Proportions in Complex Sample Surveys, Journal of Survey Statistics and Methodology 7 (2019); docs/study.md has how
often they held the truth here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, roots_hermitenorm, stdtr, stdtrit
from scipy.stats import binomtest

from dpedkit.types import F64, I64

_LEVEL = 0.95
_NODES = 64


@dataclass(frozen=True, slots=True)
class Share:
    """The share of answers for the first of two methods, every subject counting as one.

    low, high     95% interval, and
    p             two-sided, of a share of 0.5: both by how far subjects lie apart; None: fewer than two subjects
    worth         as many independent answers scatter as much
    wilson_low, wilson_high, binomial_p    if answers were independent, which they are not
    """

    value: float
    subjects: int
    answers: int
    low: float | None
    high: float | None
    p: float | None
    worth: float | None
    pooled: float
    wilson_low: float
    wilson_high: float
    binomial_p: float

    @property
    def half(self) -> float | None:
        """Half the interval's width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def estimate_share(wins: I64, answers: I64) -> Share:
    """Return the share of the population that subjects are drawn from.

    wins     [S] how often each subject chose the first method
    answers  [S] of how many; a subject without any says nothing

    Raises:
        ValueError: there is no answer at all.
    """
    asked = answers > 0
    wins, answers = wins[asked], answers[asked]
    total, subjects = int(answers.sum()), len(answers)
    if not total:
        raise ValueError("need at least one answer")
    value = float((wins / answers).mean())
    low: float | None = None
    high: float | None = None
    p: float | None = None
    worth: float | None = None
    if subjects > 1:
        worth = _worth(wins / answers, total)
        low, high = wilson(value, worth, float(stdtrit(subjects - 1, (1 + _LEVEL) / 2)))
        p = float(2 * stdtr(subjects - 1, -abs(value - 0.5) * 2 * np.sqrt(worth)))
    pooled = float(wins.sum()) / total
    wilson_low, wilson_high = wilson(pooled, total, float(ndtri((1 + _LEVEL) / 2)))
    binomial_p = float(binomtest(int(wins.sum()), total).pvalue)
    return Share(value, subjects, total, low, high, p, worth, pooled, wilson_low, wilson_high, binomial_p)


def wilson(share: float, answers: float, reach: float) -> tuple[float, float]:
    """Return Wilson's interval of a share; `reach` is the quantile that it goes to.

    Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    shrunk = 1 + reach**2 / answers
    centre = (share + reach**2 / (2 * answers)) / shrunk
    half = reach / shrunk * np.sqrt(share * (1 - share) / answers + (reach / (2 * answers)) ** 2)
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values as they count where all of them are looked at together.

    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    order = np.argsort(p)
    factors = len(p) - np.arange(len(p))
    raised = np.minimum(np.maximum.accumulate(np.asarray(p, dtype=float)[order] * factors), 1)
    corrected = np.empty(len(p))
    corrected[order] = raised
    return [float(value) for value in corrected]


def subjects_needed(half_width: float, answers: int, sd: float, *, share: float = 0.5) -> int:
    """Return how many subjects make half of a share's 95% interval so wide.

    n = (t / half_width)^2 V, V = Var(s) + E[s (1 - s)] / answers, where a subject's own share s has a logit that is
    normally distributed; t is of n - 1 degrees of freedom.

    answers  of each subject to the comparison
    sd       between subjects, logit
    share    of the logit's median
    """
    nodes, weights = roots_hermitenorm(_NODES)
    own = 1 / (1 + np.exp(-(np.log(share / (1 - share)) + sd * nodes)))
    weights = weights / weights.sum()
    mean = float(weights @ own)
    variance = float(weights @ (own - mean) ** 2 + weights @ (own * (1 - own)) / answers)
    count = 2
    while count < (stdtrit(count - 1, (1 + _LEVEL) / 2) / half_width) ** 2 * variance:
        count += 1
    return count


def _worth(shares: F64, answers: int) -> float:
    """Return as how many independent answers the mean of subjects' shares scatters; more than there are is chance."""
    subjects, mean = len(shares), float(shares.mean())
    independent, found = mean * (1 - mean), float(shares.var(ddof=1)) / subjects
    if independent == 0:
        return float(subjects)  # all agree, and nothing says how far others would not: each counts once
    return min(independent / found, answers) if found > independent / answers else float(answers)
