"""How often intervals hold the truth, in many simulated studies of subjects who differ."""

from __future__ import annotations

import numpy as np

from dpedkit.stages.study.scores import estimate_scores, fit
from dpedkit.stages.study.shares import estimate_share
from dpedkit.stages.study.simulate import Crowd, Population
from dpedkit.types import F64, I64

METHODS = ("phone", "net", "dslr")
SCENES = 12


def one_study(strengths: dict[str, float], sd: float, subjects: int, rng: np.random.Generator) -> tuple[I64, F64]:
    """Return what subjects chose of all pairs on all scenes, twice, sides swapped [S, M, M], and the truth [M, M]."""
    crowd = Crowd(Population(strengths, sd=sd), METHODS, [f"s{n}" for n in range(SCENES)], subjects, rng)
    upper = np.triu(np.ones((len(METHODS), len(METHODS)), bool), 1)
    wins = np.zeros((subjects, len(METHODS), len(METHODS)), np.int64)
    for side in (1, -1):
        chosen = rng.random((subjects, SCENES, len(METHODS), len(METHODS))) < crowd.chances(side)
        first = (chosen & upper).sum(axis=1)
        wins += first + ((~chosen) & upper).sum(axis=1).transpose(0, 2, 1)
    return wins, crowd.truth()


def shares_held(
    strengths: dict[str, float], *, sd: float, subjects: int, studies: int, seed: int
) -> tuple[float, float]:
    """Return how often the interval of "net over phone" held the truth; then how often, if answers were independent."""
    rng = np.random.default_rng(seed)
    held = naive = 0
    for _ in range(studies):
        wins, truth = one_study(strengths, sd, subjects, rng)
        share = estimate_share(wins[:, 1, 0], wins[:, 1, 0] + wins[:, 0, 1])
        assert share.low is not None and share.high is not None
        held += share.low <= truth[1, 0] <= share.high
        naive += share.wilson_low <= truth[1, 0] <= share.wilson_high
    return held / studies, naive / studies


def scores_held(strengths: dict[str, float], *, sd: float, subjects: int, studies: int, seed: int) -> list[float]:
    """Return for each method but the phone how often its score's interval held what endless subjects would score."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(METHODS))
    for _ in range(studies):
        wins, truth = one_study(strengths, sd, subjects, rng)
        for index, score in enumerate(estimate_scores(wins, METHODS)):
            assert score.low is not None and score.high is not None
            held[index] += score.low - 1e-9 <= fit(truth * 1e9)[index] <= score.high + 1e-9
    return [float(value) for value in held[1:] / studies]
