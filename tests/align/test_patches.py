"""Patches are checked against the cameras, and against photos tampered with on purpose."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from pair_truth import DSLR, PHONE, Camera, Pair, make_pair, pose, scene

from dpedkit.align import Alignment, Gates, PatchOptions, PatchSet, align_pair, cut_patches, judge, resample_dslr
from dpedkit.types import F64

SMALL = PatchOptions(size=64, gates=Gates(max_clipped=1.0))


@pytest.fixture(scope="module")
def patches(pair: Pair, alignment: Alignment) -> PatchSet:
    return cut_patches(pair.phone, pair.dslr, alignment, SMALL)


def moved(alignment: Alignment, shift: F64) -> Alignment:
    """The alignment, wrong by a shift (x, y) in DSLR px over half the diagonal."""
    step = np.eye(3)
    step[:2, 2] = shift
    return replace(alignment, warp=replace(alignment.warp, homography=step @ alignment.warp.homography))


def test_phone_pixels_stay_as_they_are(pair: Pair, patches: PatchSet) -> None:
    assert patches.phone.shape == patches.dslr.shape == (len(patches), 64, 64, 3)
    for (x, y), patch in zip(patches.xy, patches.phone, strict=True):
        assert np.array_equal(patch, pair.phone[y : y + 64, x : x + 64])


def test_the_grid_covers_the_overlap_edge_to_edge(pair: Pair, alignment: Alignment, patches: PatchSet) -> None:
    assert (patches.xy % 64 == 0).all()
    _, mask = resample_dslr(pair.phone.shape, pair.dslr, alignment)
    whole = [(x, y) for y in range(0, 705, 64) for x in range(0, 961, 64) if mask[y : y + 64, x : x + 64].all()]
    assert sorted(map(tuple, patches.xy.tolist())) == sorted(whole)
    dense = cut_patches(pair.phone, pair.dslr, alignment, replace(SMALL, stride=32))
    assert len(dense) > 3 * len(patches)


def test_the_resampled_picture_is_what_the_dslr_would_have_seen_from_the_phone(
    pair: Pair, alignment: Alignment
) -> None:
    ideal = replace(
        DSLR, size=PHONE.size, lens=PHONE.lens, view=pair.phone_camera.view, blur_px=0.55, noise=0.0
    ).render(scene(822, 0), seed=0)
    picture, mask = resample_dslr(pair.phone.shape, pair.dslr, alignment)
    difference = np.abs(picture[mask].astype(float) - ideal[mask])
    assert difference.mean() < 3.0
    shifted = np.abs(np.roll(picture, 1, axis=1)[mask].astype(float) - ideal[mask])
    assert shifted.mean() > 2 * difference.mean()


def test_good_patches_of_a_good_alignment_are_kept(patches: PatchSet) -> None:
    assert patches.keep.mean() > 0.95
    assert np.median(patches.scores.shift_px) < 0.05
    assert np.median(np.abs(patches.scores.rotation_deg)) < 0.05
    assert np.median(patches.scores.ncc) > 0.9
    kept = patches.kept()
    assert len(kept) == patches.keep.sum()
    assert np.array_equal(kept.xy, patches.xy[patches.keep])
    assert len(kept.scores) == len(kept)


def test_scores_measure_the_shift_that_was_made(alignment: Alignment, pair: Pair) -> None:
    for shift in ([0.3, -0.2], [1.4, 0.0], [-2.0, 3.0], [6.0, -5.0]):
        wrong = moved(alignment, np.array(shift) * alignment.warp.scale() / (np.hypot(*DSLR.size) / 2))
        patches = cut_patches(pair.phone, pair.dslr, wrong, SMALL)
        centres = (patches.xy + 31.5).astype(np.float64)
        true = wrong.dslr_to_phone(alignment.phone_to_dslr(centres)) - centres
        off = np.linalg.norm(patches.scores.shift_xy_px - true, axis=1)
        assert np.median(off) < 0.04
        assert np.quantile(off, 0.95) < 0.1


def test_a_misplaced_patch_is_not_kept(alignment: Alignment, pair: Pair) -> None:
    for shift in ([0.8, 0.0], [0.0, -2.5], [5.0, 5.0], [40.0, 10.0]):
        off = np.array(shift) * alignment.warp.scale() / (np.hypot(*DSLR.size) / 2)
        wrong = cut_patches(pair.phone, pair.dslr, moved(alignment, off), SMALL)
        assert wrong.keep.mean() < 0.005


def test_ncc_alone_would_keep_misplaced_patches(alignment: Alignment, pair: Pair) -> None:
    off = np.array([0.8, 0.0]) * alignment.warp.scale() / (np.hypot(*DSLR.size) / 2)
    wrong = cut_patches(pair.phone, pair.dslr, moved(alignment, off), SMALL)
    assert (wrong.scores.ncc > 0.9).mean() > 0.2
    assert (wrong.reason[wrong.scores.ncc > 0.9] == "misplaced").mean() > 0.9


def test_a_turned_patch_is_not_kept(alignment: Alignment, pair: Pair) -> None:
    turn = pose(1.2)
    wrong = replace(alignment, warp=replace(alignment.warp, homography=turn @ alignment.warp.homography))
    patches = cut_patches(pair.phone, pair.dslr, wrong, SMALL)
    middle = np.linalg.norm(patches.xy + 32 - [512, 384], axis=1) < 150
    assert np.median(np.abs(patches.scores.rotation_deg[middle])) == pytest.approx(1.2, abs=0.1)
    assert not patches.keep[middle].any()


def test_something_that_moved_is_not_kept(pair: Pair) -> None:
    phone = pair.phone.copy()
    phone[192:448, 320:640] = pair.phone[196:452, 323:643]
    patches = cut_patches(phone, pair.dslr, align_pair(phone, pair.dslr), SMALL)
    x, y = patches.xy.T
    inside = (x >= 320) & (x + 64 <= 640) & (y >= 192) & (y + 64 <= 448)
    far = (x > 760) | (x < 200)
    assert inside.sum() >= 12
    assert not patches.keep[inside].any()
    assert patches.keep[far].mean() > 0.9


def test_a_patch_across_the_edge_of_something_that_moved_is_torn(pair: Pair, alignment: Alignment) -> None:
    phone = pair.phone.copy()
    for left in range(40, 1000, 128):  # every second patch has 24 columns of 64 that lie 2 px off
        phone[:, left : left + 24] = pair.phone[:, left + 2 : left + 26]
    patches = cut_patches(phone, pair.dslr, alignment, SMALL)
    across = patches.xy[:, 0] % 128 == 0
    assert (patches.scores.local_shift_px[across] > 0.4).mean() > 0.9
    assert (patches.scores.local_shift_px[~across] > 0.4).mean() < 0.05
    assert patches.keep[across].mean() < 0.1
    assert (patches.reason[across] == "torn").any()
    assert patches.keep[~across].mean() > 0.9


def test_flat_and_clipped_patches_are_named(pair: Pair, alignment: Alignment) -> None:
    phone = pair.phone.copy()
    phone[128:256, 256:512] = 90
    phone[384:512, 256:512] = 255
    patches = cut_patches(phone, pair.dslr, alignment, PatchOptions(size=64))
    x, y = patches.xy.T
    flat = (x >= 256) & (x < 512) & (y >= 128) & (y < 256)
    burnt = (x >= 256) & (x < 512) & (y >= 384) & (y < 512)
    assert set(patches.reason[flat]) == {"flat"}
    assert set(patches.reason[burnt]) <= {"flat", "clipped"}
    assert (patches.scores.clipped[burnt] == 1.0).all()
    assert np.isfinite(patches.scores.ncc).all()


def test_tone_is_recorded_per_channel(pair: Pair, alignment: Alignment, patches: PatchSet) -> None:
    made = np.array([0.5, 0.7, 0.6]), np.array([40.0, 0.0, 20.0])
    toned = np.rint(pair.dslr * made[0] + made[1]).astype(np.uint8)
    scores = cut_patches(pair.phone, toned, alignment, SMALL).scores
    told = patches.keep  # a flat patch tells none
    ratio = scores.gain[told] / patches.scores.gain[told] / made[0]
    assert np.quantile(np.abs(ratio - 1), 0.95) < 0.02
    level = patches.phone.mean(axis=(1, 2))
    seen = (scores.gain * level + scores.offset, patches.scores.gain * level + patches.scores.offset)
    assert np.allclose(seen[0], seen[1] * made[0] + made[1], atol=0.5)
    means = patches.dslr.mean(axis=(1, 2))
    assert np.median(np.abs(seen[1] - means)) < 0.5


def test_tone_is_that_of_most_of_the_patch(pair: Pair, alignment: Alignment, patches: PatchSet) -> None:
    phone = pair.phone.copy()
    for x, y in patches.xy:
        phone[y + 8 : y + 32, x + 8 : x + 32] = (250, 5, 250)
    scores = cut_patches(phone, pair.dslr, alignment, SMALL).scores
    assert np.median(np.abs(scores.gain / patches.scores.gain - 1)) < 0.05


def test_patches_are_the_same_on_any_number_of_threads(pair: Pair, alignment: Alignment, patches: PatchSet) -> None:
    threads = cv2.getNumThreads()
    try:
        for count in (1, 3):
            cv2.setNumThreads(count)
            again = cut_patches(pair.phone, pair.dslr, alignment, SMALL)
            assert np.array_equal(again.dslr, patches.dslr)
            for field in fields(again.scores):
                assert np.array_equal(getattr(again.scores, field.name), getattr(patches.scores, field.name)), (
                    field.name
                )
    finally:
        cv2.setNumThreads(threads)


def test_a_patch_scores_the_same_among_others(pair: Pair, alignment: Alignment, patches: PatchSet) -> None:
    far = pair.phone.copy()
    far[:192] = 0
    rows = patches.xy[:, 1] >= 256
    scores = cut_patches(far, pair.dslr, alignment, SMALL).scores.take(rows)
    for field in fields(scores):
        assert np.array_equal(getattr(scores, field.name), getattr(patches.scores, field.name)[rows]), field.name


def test_gates_can_be_applied_again(patches: PatchSet) -> None:
    assert np.array_equal(judge(patches.scores, SMALL.gates), patches.reason)
    assert set(judge(patches.scores, Gates(max_crlb_px=0.0, max_clipped=1.0))) <= {"flat", "unlocated"}
    assert set(judge(patches.scores, Gates(min_std=255.0))) == {"flat"}


def test_another_photo_than_the_aligned_one_is_an_error(pair: Pair, alignment: Alignment) -> None:
    with pytest.raises(ValueError, match="the alignment is for"):
        cut_patches(pair.phone[:-1], pair.dslr, alignment)
    with pytest.raises(ValueError, match="patches of 0 px"):
        cut_patches(pair.phone, pair.dslr, alignment, PatchOptions(size=0))


def test_photos_smaller_than_a_patch_give_none(pair: Pair) -> None:
    small: Camera = replace(PHONE, size=(400, 300))
    shot = make_pair(small, seed=1)
    patches = cut_patches(shot.phone, shot.dslr, align_pair(shot.phone, shot.dslr), PatchOptions(size=350))
    assert len(patches) == len(patches.scores) == len(patches.kept()) == 0
