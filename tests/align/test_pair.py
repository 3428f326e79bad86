"""An alignment is checked against the cameras that took the photos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pair_scenes import Board, step_boards
from pair_truth import DSLR, PHONE, Camera, Pair, brown, decentred, division, make_pair, pose, relief, scene

from dpedkit.align import Alignment, AlignOptions, align_pair
from dpedkit.types import F64


def assert_close(found: Alignment, pair: Pair, median_px: float, p95_px: float) -> None:
    errors = pair.errors(found.phone_to_dslr)
    assert len(errors) > 1000
    assert np.median(errors) <= median_px
    assert np.quantile(errors, 0.95) <= p95_px


@pytest.mark.parametrize("size", [(1024, 768), (512, 384), (400, 300), (768, 1024)])
def test_alignment_meets_the_truth_at_any_size(size: tuple[int, int]) -> None:
    pair = make_pair(replace(PHONE, size=size), seed=1)
    assert_close(align_pair(pair.phone, pair.dslr), pair, 0.03, 0.10)


@pytest.mark.parametrize(
    "view", [pose(180, 1.1), pose(91, 1.4), pose(3, 0.8, (0.1, 0.05)), pose(-4, 1.1, tilt=(0.1, -0.08))]
)
def test_alignment_meets_the_truth_in_any_pose(view: F64) -> None:
    pair = make_pair(replace(PHONE, size=(512, 384), view=view), seed=2)
    assert_close(align_pair(pair.phone, pair.dslr), pair, 0.03, 0.12)


def test_a_phone_finer_than_the_dslr_is_aligned() -> None:
    pair = make_pair(PHONE, replace(DSLR, size=(684, 456)), seed=1, texture=scene(822, 0))
    assert_close(align_pair(pair.phone, pair.dslr), pair, 0.06, 0.15)


def test_a_noisy_blurred_phone_is_aligned() -> None:
    pair = make_pair(replace(PHONE, size=(512, 384), noise=12.0, blur_px=1.3, gamma=1.6), seed=1)
    assert_close(align_pair(pair.phone, pair.dslr), pair, 0.04, 0.12)


@pytest.mark.parametrize(
    ("phone", "dslr"),
    [(division(0.09, -0.02), division(0.03)), (decentred(-0.08, 0.003, 0.002), brown(-0.03))],
    ids=["division", "decentred"],
)
def test_lenses_outside_the_fitted_family_are_aligned(phone: object, dslr: object) -> None:
    pair = make_pair(replace(PHONE, lens=phone), replace(DSLR, lens=dslr), seed=1)
    assert_close(align_pair(pair.phone, pair.dslr), pair, 0.06, 0.20)


def test_smooth_parallax_is_followed_by_a_mesh() -> None:
    pair = make_pair(replace(PHONE, parallax=relief(3.0, PHONE.size)), seed=1)
    found = align_pair(pair.phone, pair.dslr)
    assert_close(found, pair, 0.06, 0.20)
    rigid = align_pair(pair.phone, pair.dslr, AlignOptions(parallax=False))
    assert rigid.warp.mesh is None
    assert np.median(pair.errors(rigid.phone_to_dslr)) > 0.3


def test_the_lens_alone_is_used_where_it_is_enough(alignment: Alignment) -> None:
    assert alignment.warp.mesh is None


def test_the_inverse_leads_back(pair: Pair) -> None:
    bent = make_pair(replace(PHONE, parallax=relief(3.0, PHONE.size)), seed=1)
    found = align_pair(bent.phone, bent.dslr)
    points = np.random.default_rng(0).uniform((0, 0), (1023, 767), (500, 2))
    assert np.abs(found.dslr_to_phone(found.phone_to_dslr(points)) - points).max() < 1e-6


def test_overlap_is_what_both_photos_show(pair: Pair, alignment: Alignment) -> None:
    ys, xs = np.mgrid[0:768:7, 0:1024:7]
    points = np.stack([xs, ys], axis=-1).reshape(-1, 2).astype(np.float64)
    true = pair.truth(points)
    shown = ((true >= 0) & (true <= np.array(DSLR.size) - 1)).all(axis=1)
    polygon = alignment.overlap.astype(np.float32)
    depth = np.array([cv2.pointPolygonTest(polygon, (float(x), float(y)), True) for x, y in points])
    assert shown[depth > 0.5].all()
    assert not shown[depth < -0.5].any()
    assert alignment.overlap_share == pytest.approx(shown.mean(), abs=0.01)


def test_residuals_speak_of_what_was_measured(alignment: Alignment) -> None:
    assert 0 < alignment.residual_px < 0.1
    assert alignment.residual_px < alignment.residual_p95_px < 0.3
    assert alignment.inliers > 100
    assert alignment.windows > 200
    assert set(alignment.timings) == {"gray_s", "coarse_s", "refine_s"}


def test_json_restores_every_bit() -> None:
    bent = make_pair(replace(PHONE, parallax=relief(3.0, PHONE.size)), seed=1)
    found = align_pair(bent.phone, bent.dslr)
    assert found.warp.mesh is not None
    text = json.dumps(found.to_dict(), allow_nan=False)
    restored = Alignment.from_dict(json.loads(text))
    assert json.dumps(restored.to_dict()) == text
    points = np.random.default_rng(0).uniform((0, 0), (1023, 767), (500, 2))
    assert np.array_equal(restored.phone_to_dslr(points), found.phone_to_dslr(points))
    assert np.array_equal(restored.confidence(points), found.confidence(points))


def test_threads_do_not_change_the_result(pair: Pair) -> None:
    before = cv2.getNumThreads()
    try:
        results = []
        for threads in (1, 4):
            cv2.setNumThreads(threads)
            results.append(align_pair(pair.phone, pair.dslr).to_dict())
    finally:
        cv2.setNumThreads(before)
    assert results[0] == results[1]


@pytest.mark.parametrize("boards", [(), step_boards(3, 6.0, PHONE.size, 1)], ids=["rigid", "depth"])
def test_threads_of_linear_algebra_do_not_change_the_result(boards: tuple[Board, ...], tmp_path: Path) -> None:
    make_pair(replace(PHONE, boards=boards), seed=1).save(tmp_path)
    code = (
        "import json, numpy; from dpedkit.align import align_pair;"
        "print(json.dumps(align_pair(numpy.load('phone.npy'), numpy.load('dslr.npy')).to_dict()))"
    )
    texts = []
    for threads in ("1", "3"):
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | limits, capture_output=True, check=True
        )
        texts.append(run.stdout)
    assert texts[0] == texts[1]


def test_something_that_moved_is_not_trusted(pair: Pair) -> None:
    phone = pair.phone.copy()
    phone[200:450, 300:600] = pair.phone[206:456, 304:604]
    found = align_pair(phone, pair.dslr)
    assert found.confidence(np.array([[450.0, 325.0]]))[0] < 0.2
    assert found.confidence(np.array([[850.0, 600.0]]))[0] > 0.9
    errors = pair.errors(found.phone_to_dslr)
    assert np.median(errors) < 0.06


def test_arrays_of_another_kind_are_named(pair: Pair) -> None:
    with pytest.raises(ValueError, match=r"phone must be uint8 \[H, W, 3\], not float32"):
        align_pair(pair.phone.astype(np.float32), pair.dslr)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"dslr must be uint8 \[H, W, 3\], not uint8 \[912, 1368\]"):
        align_pair(pair.phone, pair.dslr[..., 0])


def test_truth_inverts_itself() -> None:
    camera: Camera = replace(PHONE, view=pose(2, 1.1, (0.02, 0.01), (0.03, 0.0)))
    points = np.random.default_rng(0).uniform((0, 0), (1023, 767), (100, 2))
    assert np.abs(camera.from_scene(camera.to_scene(points)) - points).max() < 1e-6


def test_a_phone_that_sees_far_more_than_the_dslr_is_aligned() -> None:
    pair = make_pair(replace(PHONE, view=pose(3, 0.5, (0.05, 0.02))), seed=2)
    found = align_pair(pair.phone, pair.dslr)
    assert found.overlap_share < 0.3
    assert found.windows > 100
    errors = pair.errors(found.phone_to_dslr, per_side=101)
    assert np.median(errors) < 0.03
    assert np.quantile(errors, 0.95) < 0.10


@pytest.mark.parametrize("step_px", [4.0, 16.0])
def test_steps_in_depth_are_masked_and_both_sides_followed(step_px: float) -> None:
    size = 1536, 1152
    phone = replace(PHONE, size=size, boards=step_boards(3, step_px, size, 1))
    pair = make_pair(phone, replace(DSLR, size=(2048, 1366)), seed=1)
    found = align_pair(pair.phone, pair.dslr)
    points, _ = pair.overlap(per_side=81)
    errors = pair.errors(found.phone_to_dslr, per_side=81)
    trusted = found.confidence(points) >= 0.5
    assert (errors[trusted] > 0.5).mean() < 0.05
    assert trusted[errors < 0.2].mean() > 0.9
    assert trusted.mean() > 0.6


def test_what_nothing_vouches_for_is_not_trusted() -> None:
    texture = np.full_like(scene(822, 3), 180)
    rows, columns = slice(650, 1050), slice(700, 1100)
    texture[rows, columns] = scene(822, 3)[rows, columns]
    pair = make_pair(seed=3, texture=texture)
    found = align_pair(pair.phone, pair.dslr)
    points, _ = pair.overlap()
    errors = pair.errors(found.phone_to_dslr)
    trusted = found.confidence(points) >= 0.5
    assert 0.1 < trusted.mean() < 0.8
    assert np.quantile(errors[trusted], 0.99) < 0.5
    assert errors[~trusted].max() > 1.0
