"""Real photos: a street seen from three spots, and originals of five cameras as scenes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest
from pair_truth import DSLR, PHONE, make_pair

from dpedkit.align import PairRejected, align_pair, cut_patches
from dpedkit.images import read_rgb, shrink
from dpedkit.types import U8

SCENES = ["canon_450d", "xperia_z2", "blackberry_z10", "iphone_5"]


@pytest.mark.parametrize("name", SCENES)
def test_real_scenes_align_to_the_truth(name: str, shared_data: Path) -> None:
    photo = read_rgb(shared_data / "photos" / "cameras" / f"{name}.jpg")
    texture = cv2.resize(photo, (2466, 1973), interpolation=cv2.INTER_AREA).astype(np.uint8)
    pair = make_pair(replace(PHONE, size=(512, 384)), DSLR, seed=3, texture=texture)
    errors = pair.errors(align_pair(pair.phone, pair.dslr).phone_to_dslr)
    assert np.median(errors) < 0.05
    assert np.quantile(errors, 0.95) < 0.2


def test_the_street_is_aligned_where_it_says_so_or_refused(shared_data: Path) -> None:
    photos = [read_rgb(shared_data / "photos" / "street" / f"{name}.jpg") for name in ("01", "02", "03")]
    outcomes = {}
    for i, j in permutations(range(3), 2):
        try:
            found = align_pair(photos[i], photos[j])
        except PairRejected as refusal:
            outcomes[i, j] = refusal.reason
            continue
        outcomes[i, j] = "aligned"
        assert found.warp.mesh is not None
        assert found.residual_px < 0.3
        assert found.trusted_share < 0.8
        patches = cut_patches(photos[i], photos[j], found)
        off = np.array([phase_offset(*each) for each in zip(patches.phone, patches.dslr, strict=True)])
        assert patches.keep.sum() >= 10
        assert np.median(off[patches.keep]) < 0.4
        assert (off[patches.keep] < 0.7).mean() > 0.75
        assert (off[patches.reason == "untrusted"] < 0.7).mean() < 0.4
    assert outcomes[0, 1] == outcomes[1, 0] == "aligned"
    assert set(outcomes.values()) <= {"aligned", "parallax", "not_alike", "too_few_inliers", "different_scene"}


@pytest.mark.parametrize("name", ["01", "02", "03"])
def test_a_symmetric_facade_is_not_taken_for_its_mirror_image(name: str, shared_data: Path) -> None:
    photo = shrink(read_rgb(shared_data / "photos" / "street" / f"{name}.jpg"), 2048)
    with pytest.raises(PairRejected) as refusal:
        align_pair(photo, np.ascontiguousarray(photo[:, ::-1]))
    assert refusal.value.reason == "mirrored"


def phase_offset(phone: U8, dslr: U8) -> float:
    """How far two patches lie apart, px, by phase correlation: not how they were aligned, nor how they were judged."""
    left, right = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float64) for each in (phone, dslr))
    shift, _ = cv2.phaseCorrelate(left, right, cv2.createHanningWindow(left.shape[::-1], cv2.CV_64F))
    return float(np.hypot(*shift))
