"""What many pairs tell of two lenses together is nearer to the truth than what one tells."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pair_truth import DSLR, PHONE, Pair, brown, make_pair, random_pose, scene

from dpedkit.align import UNKNOWN_LENS, Alignment, Lens, align_pair, learn_lens, refit

COUNT = 7


def half_sky(seed: int) -> Pair:
    """A scene of which one side shows nothing."""
    texture = scene(822, seed).copy()
    height, width = texture.shape[:2]
    sides = ((slice(0, height // 2), slice(None)), (slice(height // 2, None), slice(None)))
    sides += ((slice(None), slice(0, width // 2)), (slice(None), slice(width // 2, None)))
    texture[sides[seed % 4]] = 180
    return make_pair(replace(PHONE, view=random_pose(seed)), DSLR, seed=seed, texture=texture)


@pytest.fixture(scope="module")
def session() -> list[tuple[Pair, Alignment]]:
    pairs = [half_sky(seed) for seed in range(COUNT)]
    return [(pair, align_pair(pair.phone, pair.dslr)) for pair in pairs]


@pytest.fixture(scope="module")
def lens(session: list[tuple[Pair, Alignment]]) -> Lens:
    found = learn_lens([alignment for _, alignment in session])
    assert found is not None
    return found


def test_the_lenses_are_those_that_took_the_photos(lens: Lens) -> None:
    assert lens.terms[0] == pytest.approx(-0.08, abs=0.003)
    assert lens.terms[1] == pytest.approx(0.02, abs=0.003)
    assert lens.terms[2] == pytest.approx(0.03, abs=0.004)  # to first order: the truth's is from distorted to ideal
    assert lens.terms[3] == pytest.approx(3 * 0.03**2, abs=0.004)  # to second order
    assert np.sqrt(np.diag(lens.covariance)).max() < 0.005


def test_pairs_come_nearer_to_the_truth(session: list[tuple[Pair, Alignment]], lens: Lens) -> None:
    alone = np.concatenate([pair.errors(alignment.phone_to_dslr) for pair, alignment in session])
    together = np.concatenate([pair.errors(refit(alignment, lens).phone_to_dslr) for pair, alignment in session])
    assert np.quantile(together, 0.95) < 0.9 * np.quantile(alone, 0.95)
    assert np.median(together) <= 1.02 * np.median(alone)


def test_a_new_pair_is_aligned_with_what_was_learnt(lens: Lens) -> None:
    pair = half_sky(COUNT)
    found = align_pair(pair.phone, pair.dslr, lens=lens)
    again = refit(align_pair(pair.phone, pair.dslr), lens)
    for each in (found, again):
        assert np.abs(np.array(each.warp.phone_radial) - lens.terms[:2]).max() < 0.003
    points = np.random.default_rng(0).uniform((0, 0), (1023, 767), (200, 2))
    assert np.abs(found.phone_to_dslr(points) - again.phone_to_dslr(points)).max() < 0.3


def test_a_pair_that_went_wrong_tells_nothing(session: list[tuple[Pair, Alignment]], lens: Lens) -> None:
    good = [alignment for _, alignment in session]
    wrong = replace(good[0], warp=replace(good[0].warp, phone_radial=(0.3, -0.2)))
    found = learn_lens([*good, wrong])
    assert found is not None
    assert np.abs(found.terms - lens.terms).max() < 1e-3


def test_another_lens_in_every_photo_gives_a_wide_prior(lens: Lens) -> None:
    pairs = [make_pair(replace(PHONE, lens=brown(-0.08 + 0.02 * seed)), seed=seed) for seed in range(5)]
    found = learn_lens([align_pair(pair.phone, pair.dslr) for pair in pairs])
    assert found is not None
    assert 0.015 < np.sqrt(found.covariance[0, 0]) < 0.06
    assert np.sqrt(found.covariance[0, 0]) > 5 * np.sqrt(lens.covariance[0, 0])


def test_few_pairs_tell_nothing(session: list[tuple[Pair, Alignment]]) -> None:
    assert learn_lens([alignment for _, alignment in session[:4]]) is None
    assert learn_lens([]) is None


def test_fitting_again_without_a_memory_changes_next_to_nothing(session: list[tuple[Pair, Alignment]]) -> None:
    pair, alignment = session[0]
    points, _ = pair.overlap()
    moved = refit(alignment, UNKNOWN_LENS).phone_to_dslr(points) - alignment.phone_to_dslr(points)
    assert np.abs(moved).max() < 0.02


def test_json_restores_every_bit(lens: Lens) -> None:
    restored = Lens.from_dict(json.loads(json.dumps(lens.to_dict())))
    assert np.array_equal(restored.terms, lens.terms)
    assert np.array_equal(restored.covariance, lens.covariance)
