"""The analysis finds again what simulated subjects prefer, and each statistic agrees with another way to compute it."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binomtest
from study_given import given_by, made
from study_plans import METHODS, make_plan

from dpedkit.stages.study.results import analyse
from dpedkit.stages.study.scores import estimate_scores, fit
from dpedkit.stages.study.shares import estimate_share, holm, subjects_needed
from dpedkit.stages.study.simulate import Crowd, Population
from dpedkit.types import F64, I64

POSTER = {"net": 1.1, "dslr": 1.2}
PLAN = make_plan(scenes=10)


def random_wins(seed: int, subjects: int = 20, methods: int = 4) -> I64:
    """How often each subject chose a row's method over a column's, at random [S, M, M]."""
    wins = np.random.default_rng(seed).integers(0, 9, (subjects, methods, methods))
    wins[:, range(methods), range(methods)] = 0
    return wins


@pytest.mark.parametrize("seed", range(3))
def test_known_preferences_are_found_again(seed: int) -> None:
    crowd = made(PLAN, Population(POSTER, careless=0.1, lapses=0), subjects=80, seed=seed)
    results = analyse(PLAN, given_by(PLAN, crowd.answer, subjects=80))
    truth = crowd.truth()
    index = {name: number for number, name in enumerate(METHODS)}
    assert {conduct.subject for conduct in results.conduct if conduct.out} == set(np.flatnonzero(crowd.careless))
    for each in results.comparisons:
        assert each.share
        assert each.share.value == pytest.approx(truth[index[each.first], index[each.second]], abs=0.07)
        assert each.share.half is not None
        assert 0.02 < each.share.half < 0.07
    for score, true in zip(results.scores, fit(truth * 1e9), strict=True):
        assert score.value == pytest.approx(true, abs=0.25)
    words = {(each.first, each.second): each.word for each in results.comparisons}
    assert words["phone", "net"] == words["phone", "dslr"] == "second preferred"
    assert [each.text for each in results.statements] == ["net against DSLR, near chance?"]
    assert results.agreement is not None
    assert 0.55 < results.agreement < 0.85


def test_intervals_hold_the_truth_about_as_often_as_they_say_and_those_beside_them_do_not() -> None:
    rng, held, naive = np.random.default_rng(0), 0, 0
    for _ in range(300):
        crowd = Crowd(Population(POSTER), METHODS, [f"s{n}" for n in range(8)], 40, rng)
        truth = crowd.truth()[1, 0]
        wins = sum((rng.random((40, 8)) < crowd.chances(side)[:, :, 1, 0]).sum(axis=1) for side in (1, -1))
        share = estimate_share(np.asarray(wins), np.full(40, 16))
        assert share.low is not None
        assert share.high is not None
        held += share.low <= truth <= share.high
        naive += share.wilson_low <= truth <= share.wilson_high
    assert 0.91 < held / 300 < 0.985
    assert naive / 300 < 0.88


def test_near_chance_is_said_of_many_who_do_not_care_and_of_few_nothing_is() -> None:
    alike = made(PLAN, Population({}, scene_sd=0), subjects=120, seed=3)
    words = [each.word for each in analyse(PLAN, given_by(PLAN, alike.answer, subjects=120)).comparisons]
    assert words == ["near chance"] * 3
    words = [each.word for each in analyse(PLAN, given_by(PLAN, alike.answer, subjects=6)).comparisons]
    assert words == ["not enough answers"] * 3


def test_subjects_count_once_however_often_they_answer() -> None:
    shares = np.random.default_rng(0).integers(2, 10, 30)
    once, often = (estimate_share(times * shares, np.full(30, times * 10)) for times in (1, 40))
    assert once.value == often.value
    assert once.low is not None
    assert often.low == pytest.approx(once.low, abs=0.02)
    assert often.value - often.wilson_low < 0.2 * (once.value - once.wilson_low)
    lopsided = estimate_share(np.array([9, 0]), np.array([9, 1]))
    assert (lopsided.value, lopsided.pooled) == (0.5, 0.9)


@pytest.mark.parametrize(("wins", "of"), [(0, 10), (3, 7), (50, 100), (612, 1000), (8, 8)])
def test_the_columns_as_if_independent_are_wilsons_and_the_binomial_test(wins: int, of: int) -> None:
    share = estimate_share(np.array([wins]), np.array([of]))
    reference = binomtest(wins, of)
    interval = reference.proportion_ci(method="wilson")
    assert (share.wilson_low, share.wilson_high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert share.binomial_p == pytest.approx(reference.pvalue)
    assert (share.low, share.p) == (None, None)  # one subject says nothing of others


def test_holm_is_the_closed_test_of_bonferronis() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 5):
        p = (rng.random(count) ** 3).tolist()
        sets = list(chain.from_iterable(combinations(range(count), size) for size in range(1, count + 1)))
        closed = [max(min(1, len(s) * min(p[i] for i in s)) for s in sets if each in s) for each in range(count)]
        assert holm(p) == pytest.approx(closed)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_the_likeliest(seed: int) -> None:
    wins = random_wins(seed).sum(axis=0).astype(float)

    def unlikely(own: F64) -> float:
        scores = np.concatenate([[0], own])
        chances = expit(scores[:, None] - scores)
        halves = 0.5 * (1 - np.eye(len(scores)))
        return -float(((wins + halves) * np.log(chances)).sum())

    assert fit(wins)[1:] == pytest.approx(minimize(unlikely, np.zeros(3), tol=1e-10).x, abs=1e-4)


def test_scores_intervals_resample_subjects_not_answers() -> None:
    wins = random_wins(1, subjects=12)
    names = ("a", "b", "c", "d")
    one, same, often = (estimate_scores(each, names, resamples=200) for each in (wins, wins, 50 * wins))
    assert one == same
    for score, other in zip(one[1:], often[1:], strict=True):
        assert score.low is not None
        assert score.high is not None
        assert other.low is not None
        assert other.high is not None
        assert score.low < score.value < score.high
        assert other.high - other.low == pytest.approx(score.high - score.low, rel=0.05)


def test_scores_without_enough_to_go_by() -> None:
    names = ("a", "b", "c")
    with pytest.raises(ValueError, match="stationary"):
        estimate_scores(np.zeros((4, 3, 3), np.int64), names)
    wins = np.zeros((6, 3, 3), np.int64)
    wins[:, 0, 1], wins[:, 1, 0] = 5, 3
    wins[0, 2, 1] = 2  # the only one who saw c: resamples without them connect nothing
    assert [(score.low, score.high) for score in estimate_scores(wins, names)] == [(None, None)] * 3
    wins = np.zeros((6, 3, 3), np.int64)
    wins[:, 2, 0] = wins[:, 2, 1] = wins[:, 1, 0] = 24
    never_lost = estimate_scores(wins, names)
    assert [score.value for score in never_lost] == sorted(score.value for score in never_lost)
    assert all(np.isfinite(score.value) and score.low is None for score in never_lost)


@pytest.mark.parametrize(("answers", "sd", "share"), [(24, 0.7, 0.5), (6, 0.0, 0.5), (12, 1.2, 0.75)])
def test_as_many_subjects_as_were_planned_make_the_interval_as_narrow_as_wanted(
    answers: int, sd: float, share: float
) -> None:
    count = subjects_needed(0.05, answers, sd, share=share)
    rng = np.random.default_rng(0)
    halves = []
    for _ in range(60):
        own = expit(np.log(share / (1 - share)) + rng.normal(0, sd, count))
        half = estimate_share(rng.binomial(answers, own), np.full(count, answers)).half
        assert half is not None
        halves.append(half)
    assert np.mean(halves) == pytest.approx(0.05, rel=0.07)
    assert subjects_needed(0.1, answers, sd, share=share) < count / 3
