"""Intervals of means over photos: how often they hold, against simulated photos whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dpedkit.train.bootstrap import FEWEST, Resampled
from dpedkit.types import F64

TRUTH_DB, GAIN_DB = 24.0, 0.5


def photos(units: int, seed: int) -> tuple[F64, F64]:
    """Sums [U, 2] and counts [U] of two methods: photos differ by 3 dB, patches of one by 2 dB, the gain by 0.4 dB."""
    random = np.random.default_rng(seed)
    counts = random.integers(1, 60, units)
    hard = random.normal(TRUTH_DB, 3.0, units)
    gain = random.normal(GAIN_DB, 0.4, units)
    texture = random.normal(0, 2.0, units) / np.sqrt(counts)  # both methods see the same patches
    before = hard + texture
    sums = np.column_stack([before, before + gain]) * counts[:, None]
    return sums, counts.astype(np.float64)


@pytest.mark.parametrize("units", [6, 12, 40])
def test_95_percent_intervals_hold_the_truth_in_about_95_percent(units: int) -> None:
    of, held, gains_held = 400, 0, 0
    for seed in range(of):
        drawn = Resampled(*photos(units, seed), resamples=1000, seed=seed)
        mean, gain = drawn.interval(0), drawn.interval(1, minus=0)
        assert mean is not None
        assert gain is not None
        held += mean.low <= TRUTH_DB <= mean.high
        gains_held += gain.low <= GAIN_DB <= gain.high
    assert 0.90 <= held / of <= 0.98
    assert 0.90 <= gains_held / of <= 0.98


def test_resampling_patches_instead_of_photos_would_be_far_too_sure() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(TRUTH_DB, 3.0, 20)
    patches = hard[:, None] + random.normal(0, 0.5, (20, 50))
    by_photo = Resampled(patches.sum(axis=1)[:, None], np.full(20, 50.0)).interval(0)
    by_patch = Resampled(patches.reshape(-1, 1), np.ones(1000)).interval(0)
    assert by_photo is not None
    assert by_patch is not None
    assert by_photo.half > 5 * by_patch.half


def test_a_paired_difference_is_narrower_where_both_share_the_photos_difficulty() -> None:
    drawn = Resampled(*photos(20, seed=1))
    before, after, gain = drawn.interval(0), drawn.interval(1), drawn.interval(1, minus=0)
    assert before is not None
    assert after is not None
    assert gain is not None
    unpaired = math.hypot(before.half, after.half)
    assert gain.half < unpaired / 5
    assert gain.low <= drawn.means[1] - drawn.means[0] <= gain.high


def test_the_mean_is_over_patches_and_the_same_seed_gives_the_same_interval() -> None:
    sums, counts = photos(8, seed=2)
    drawn = Resampled(sums, counts, seed=3)
    assert drawn.means.tolist() == pytest.approx((sums.sum(axis=0) / counts.sum()).tolist())
    assert drawn.interval(0) == Resampled(sums, counts, seed=3).interval(0)
    assert drawn.interval(0) != Resampled(sums, counts, seed=4).interval(0)


def test_a_photo_counts_by_its_patches_in_every_resample() -> None:
    values, counts = np.array([10.0] + [0.0] * 9), np.array([1000.0] + [1.0] * 9)
    interval = Resampled((values * counts)[:, None], counts).interval(0)
    assert interval is not None
    assert interval.high > 9.9  # wherever the large one is drawn, it is nearly all there is


def test_many_units_are_drawn_in_blocks_of_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    sums, counts = photos(30, seed=5)
    at_once = Resampled(sums, counts, resamples=500).interval(0)
    monkeypatch.setattr("dpedkit.train.bootstrap._AT_ONCE", 900)
    assert Resampled(sums, counts, resamples=500).interval(0) == at_once


def test_too_few_photos_or_an_infinite_score_have_no_interval() -> None:
    sums, counts = photos(FEWEST, seed=0)
    assert Resampled(sums, counts).interval(0) is not None
    assert Resampled(sums[1:], counts[1:]).interval(0) is None
    sums[0, 1] = np.inf
    drawn = Resampled(sums, counts)
    assert drawn.interval(0) is not None
    assert drawn.interval(1) is None
    assert drawn.interval(1, minus=0) is None
    with pytest.raises(ValueError, match=r"\(3, 1\) and \(2,\)"):
        Resampled(np.ones((3, 1)), np.ones(2))
