"""How often intervals hold the truth, in many simulated studies of subjects who differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dpedkit.stages.study.scores import estimate_scores, fit
from dpedkit.stages.study.shares import estimate_share
from dpedkit.stages.study.simulate import Crowd, Population
from dpedkit.types import F64, I64

METHODS = ("phone", "net", "dslr")
SCENES = 12
PAIRS = ((1, 0), (1, 2), (2, 0))
Strengths = Mapping[str, float]

_ENDLESS = 1e9  # answers, beside which the half that a fit adds is nothing


def one_study(strengths: Strengths, sd: float, subjects: int, rng: np.random.Generator) -> tuple[I64, F64]:
    """Return what subjects chose of all pairs on all scenes, twice, sides swapped [S, M, M], and the truth [M, M]."""
    crowd = Crowd(Population(strengths, sd=sd), METHODS, [f"s{n}" for n in range(SCENES)], subjects, rng)
    upper = np.triu(np.ones((len(METHODS), len(METHODS)), bool), 1)
    wins = np.zeros((subjects, len(METHODS), len(METHODS)), np.int64)
    for side in (1, -1):
        chosen = rng.random((subjects, SCENES, len(METHODS), len(METHODS))) < crowd.chances(side)
        first = (chosen & upper).sum(axis=1)
        wins += first + ((~chosen) & upper).sum(axis=1).transpose(0, 2, 1)
    return wins, crowd.truth()


@dataclass(frozen=True, slots=True)
class Held:
    """How often the 95% interval of a comparison's share held the truth, of all studies.

    clustered    the interval that a report gives
    independent  the one beside it, as if answers were independent
    half_width   of the clustered one, median
    """

    clustered: float
    independent: float
    half_width: float


def shares_held(strengths: Strengths, *, sd: float, subjects: int, studies: int, seed: int) -> dict[str, Held]:
    """Return it for every comparison."""
    rng = np.random.default_rng(seed)
    counts: dict[str, list[tuple[bool, bool, float]]] = {f"{METHODS[a]} over {METHODS[b]}": [] for a, b in PAIRS}
    for _ in range(studies):
        wins, truth = one_study(strengths, sd, subjects, rng)
        for (a, b), found in zip(PAIRS, counts.values(), strict=True):
            share = estimate_share(wins[:, a, b], wins[:, a, b] + wins[:, b, a])
            assert share.low is not None and share.high is not None and share.half is not None
            naive = share.wilson_low <= truth[a, b] <= share.wilson_high
            found.append((share.low <= truth[a, b] <= share.high, bool(naive), share.half))
    return {
        name: Held(
            *np.mean([each[:2] for each in found], axis=0).tolist(), float(np.median([each[2] for each in found]))
        )
        for name, found in counts.items()
    }


def scores_held(strengths: Strengths, *, sd: float, subjects: int, studies: int, seed: int) -> dict[str, float]:
    """Return for each method but the phone how often its score's interval held what endless subjects would score."""
    rng = np.random.default_rng(seed)
    held = dict.fromkeys(METHODS[1:], 0)
    for _ in range(studies):
        wins, truth = one_study(strengths, sd, subjects, rng)
        true = dict(zip(METHODS, fit(truth * _ENDLESS), strict=True))
        for score in estimate_scores(wins, METHODS)[1:]:
            assert score.low is not None and score.high is not None
            held[score.method] += bool(score.low <= true[score.method] <= score.high)
    return {method: count / studies for method, count in held.items()}
