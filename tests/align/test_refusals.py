"""Wrong pairs are refused, each with its reason; hard ones that are right are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hard_pairs import FOLDED, RIGHT, WRONG, Right, Wrong
from pair_truth import Pair, make_pair

from dpedkit.align import AlignOptions, PairRejected, align_pair
from dpedkit.align.blur import blur_share
from dpedkit.align.chance import log10_false_alarms
from dpedkit.align.pyramid import Pyramid
from dpedkit.types import U8


def refusal(phone: U8, dslr: U8, options: AlignOptions | None = None) -> PairRejected:
    with pytest.raises(PairRejected) as caught:
        align_pair(phone, dslr, options)
    assert caught.value.cause
    assert caught.value.remedy
    assert "\n" not in caught.value.cause + caught.value.remedy
    return caught.value


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.name)
@pytest.mark.parametrize("seed", [0, 7])
def test_wrong_pairs_are_refused_with_the_reason(kind: Wrong, seed: int) -> None:
    assert refusal(*kind.make(seed)).reason in kind.reasons


@pytest.mark.parametrize("kind", RIGHT, ids=lambda kind: kind.name)
def test_hard_pairs_are_aligned_to_the_truth(kind: Right) -> None:
    pair = kind.make(3)
    found = align_pair(pair.phone, pair.dslr)
    points, _ = pair.overlap()
    trusted = found.confidence(points) >= 0.5
    assert trusted.mean() > 0.3
    assert np.quantile(pair.errors(found.phone_to_dslr)[trusted], 0.9) < 0.5


@pytest.mark.parametrize("blank", [0, 128, 255])
def test_a_blank_photo_is_named(pair: Pair, blank: int) -> None:
    nothing = np.full_like(pair.dslr, blank)
    told = refusal(pair.phone, nothing)
    assert told.reason == "blank"
    assert "DSLR's photo" in told.cause
    assert "phone's photo" in refusal(nothing, pair.phone).cause


def test_the_blurred_photo_is_named_with_its_blur(pair: Pair) -> None:
    blurred = cv2.GaussianBlur(pair.dslr, (0, 0), 20).astype(np.uint8)
    told = refusal(pair.phone, blurred)
    assert told.reason == "blurred"
    assert "the DSLR's photo is blurred by about 1" in told.cause  # 10 to 19 px: what lies there is no edge at all


def test_a_view_that_folds_is_refused() -> None:
    folded = make_pair(FOLDED, seed=1)
    assert refusal(folded.phone, folded.dslr).reason in {"degenerate", "too_few_inliers", "different_scene"}


def test_a_field_of_view_beyond_the_limit_is_refused(pair: Pair) -> None:
    told = refusal(pair.phone, pair.dslr, AlignOptions(max_area_ratio=1.2))
    assert told.reason == "insane_area"


def test_a_small_overlap_is_refused(pair: Pair) -> None:
    corner = np.ascontiguousarray(pair.dslr[:500, :700])
    assert refusal(pair.phone, corner, AlignOptions(min_overlap=0.5)).reason == "too_little_overlap"
    assert align_pair(pair.phone, corner).overlap_share < 0.5


def test_too_few_matches_are_told_from_chance(pair: Pair) -> None:
    demanding = AlignOptions(min_inliers=5000)
    assert refusal(pair.phone, pair.dslr, demanding).reason == "too_few_inliers"
    assert refusal(make_pair(seed=7).phone, pair.dslr, demanding).reason == "different_scene"


@pytest.mark.parametrize("shape", [(9, 7, 3), (1, 500, 3), (63, 300, 3)])
def test_tiny_photos_are_refused_not_crashed_on(shape: tuple[int, ...], pair: Pair) -> None:
    tiny = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    told = refusal(tiny, pair.dslr)
    assert told.reason == "too_small"
    assert f"the phone's photo has {shape[1]} x {shape[0]} px" in told.cause
    assert refusal(pair.phone, tiny).reason == "too_small"


def test_a_photo_without_pixels_is_no_photo(pair: Pair) -> None:
    with pytest.raises(ValueError, match="phone must be uint8"):
        align_pair(np.zeros((0, 5, 3), np.uint8), pair.dslr)


@pytest.mark.parametrize("sigma_px", [6.0, 9.0, 14.0, 20.0])
@pytest.mark.parametrize("noise", [0.0, 6.0])
def test_the_blur_of_edges_is_measured(sigma_px: float, noise: float) -> None:
    rng = np.random.default_rng(0)
    squares = np.kron(rng.integers(0, 2, (6, 8)), np.ones((128, 128))) * 160 + 40
    blurred = cv2.GaussianBlur(squares, (0, 0), sigma_px) + noise * rng.standard_normal(squares.shape)
    share = blur_share(Pyramid.of(np.clip(blurred, 0, 255).astype(np.uint8)))
    assert 0.75 * sigma_px < share * np.hypot(*squares.shape) < 1.1 * sigma_px  # noise makes it less, nothing more


def test_a_sharp_subject_makes_a_sharp_photo(pair: Pair) -> None:
    gray = cv2.cvtColor(cv2.GaussianBlur(pair.phone, (0, 0), 20), cv2.COLOR_RGB2GRAY)
    assert blur_share(Pyramid.of(gray.astype(np.uint8))) > 0.005
    gray[250:520, 350:670] = cv2.cvtColor(pair.phone, cv2.COLOR_RGB2GRAY)[250:520, 350:670]
    assert blur_share(Pyramid.of(gray.astype(np.uint8))) < 0.001


def test_chance_is_what_random_matches_do() -> None:
    rng = np.random.default_rng(0)
    width, height = 433, 289
    for _ in range(20):
        source, target = rng.uniform((0, 0), (width, height), (2, 60, 2))
        _, mask = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 3.0, maxIters=5000)
        agreeing = 0 if mask is None else int(mask.sum())
        assert log10_false_alarms(60, agreeing, 3.0, width * height) > -3
    assert log10_false_alarms(60, 15, 3.0, width * height) < -10
    assert log10_false_alarms(15, 15, 3.0, width * height) < log10_false_alarms(60, 15, 3.0, width * height)
