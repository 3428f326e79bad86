"""The published method does what it says, and the same photos show what it cannot do."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from pair_truth import DSLR, PHONE, Pair, ideal, make_pair

from dpedkit.align import (
    Alignment,
    AlignOptions,
    Gates,
    PairRejected,
    PatchOptions,
    align_pair,
    cut_patches,
    phase_offsets,
    resample_dslr,
)

PAPER = AlignOptions(mode="paper")
ALL = PatchOptions(size=64, gates=Gates(max_clipped=None))
PAPERS_GATE = Gates(**dict.fromkeys((field.name for field in fields(Gates)), None) | {"min_ncc": 0.9})


@pytest.fixture(scope="module")
def undistorted() -> Pair:
    return make_pair(replace(PHONE, lens=ideal), replace(DSLR, lens=ideal), seed=1)


@pytest.fixture(scope="module")
def distorted() -> Pair:
    return make_pair(seed=1)


def test_photos_without_distortion_are_aligned_by_the_homography(undistorted: Pair) -> None:
    found = align_pair(undistorted.phone, undistorted.dslr, PAPER)
    assert found.mode == "paper"
    assert found.warp.mesh is None
    assert found.warp.phone_radial == found.warp.dslr_radial == (0.0, 0.0)
    assert np.median(undistorted.errors(found.phone_to_dslr)) < 0.3


def test_one_homography_cannot_follow_two_lenses(distorted: Pair) -> None:
    paper = align_pair(distorted.phone, distorted.dslr, PAPER)
    field = align_pair(distorted.phone, distorted.dslr)
    assert np.median(distorted.errors(paper.phone_to_dslr)) > 10 * np.median(distorted.errors(field.phone_to_dslr))
    assert paper.residual_px > 5 * field.residual_px or paper.trusted_share < 0.5 * field.trusted_share


def test_windows_are_moved_onto_each_other(distorted: Pair) -> None:
    paper = align_pair(distorted.phone, distorted.dslr, PAPER)
    picture, _ = resample_dslr(distorted.phone.shape, distorted.dslr, paper)
    patches = cut_patches(distorted.phone, distorted.dslr, paper, ALL)
    still = np.stack([distorted.phone[y : y + 64, x : x + 64] for x, y in patches.xy])
    assert all(
        np.array_equal(picture[y : y + 64, x : x + 64], dslr)
        for (x, y), dslr in zip(patches.xy, patches.dslr, strict=True)
    )
    before, after = phase_offsets(still, patches.dslr), phase_offsets(patches.phone, patches.dslr)
    assert np.median(before) > 1.0
    assert np.median(after) < 0.3  # no shift undoes what distortion does within a patch
    assert np.median(patches.scores.shift_px) < 0.1


def test_what_the_paper_keeps_is_further_apart_than_what_field_mode_does(distorted: Pair) -> None:
    kept = []
    for options, gates in ((PAPER, PAPERS_GATE), (AlignOptions(), Gates(max_clipped=None))):
        alignment = align_pair(distorted.phone, distorted.dslr, options)
        kept.append(cut_patches(distorted.phone, distorted.dslr, alignment, replace(ALL, gates=gates)).kept())
    paper, field = (phase_offsets(each.phone, each.dslr) for each in kept)
    assert min(len(paper), len(field)) > 50
    assert np.median(field) < 0.1
    assert np.median(paper) > 1.5 * np.median(field)


def test_refusals_are_those_of_field_mode(distorted: Pair) -> None:
    other = make_pair(seed=7)
    for options in (AlignOptions(), PAPER):
        with pytest.raises(PairRejected) as refusal:
            align_pair(other.phone, distorted.dslr, options)
        assert refusal.value.reason == "different_scene"


def test_windows_of_the_paper_do_not_overlap(distorted: Pair) -> None:
    paper = align_pair(distorted.phone, distorted.dslr, PAPER)
    with pytest.raises(ValueError, match="paper mode's windows do not"):
        cut_patches(distorted.phone, distorted.dslr, paper, replace(ALL, stride=32))


def test_json_restores_the_mode(distorted: Pair) -> None:
    paper = align_pair(distorted.phone, distorted.dslr, PAPER)
    restored = Alignment.from_dict(json.loads(json.dumps(paper.to_dict())))
    assert restored.mode == "paper"
    first, second = (cut_patches(distorted.phone, distorted.dslr, each, ALL) for each in (paper, restored))
    assert np.array_equal(first.phone, second.phone)
    assert np.array_equal(first.dslr, second.dslr)
