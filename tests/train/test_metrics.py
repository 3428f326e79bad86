from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dpedkit.train.metrics import compare, ms_ssim, ms_ssim_per_image, psnr, psnr_per_image, ssim
from dpedkit.types import U8


def noisy_pair(height: int, width: int, noise: float = 20.0, seed: int = 0) -> tuple[U8, U8]:
    """A smooth picture and a noisy copy, so that similarity lies well inside (0, 1)."""
    rng = np.random.default_rng(seed)
    waves = 128 + 80 * np.sin(np.arange(height)[:, None, None] / 7 + np.arange(width)[None, :, None] / 5 + np.arange(3))
    clean = waves.astype(np.uint8)
    return clean, np.clip(clean + rng.normal(0, noise, clean.shape), 0, 255).astype(np.uint8)


def test_ms_ssim_equals_the_reference(shared_data: Path) -> None:
    reference = np.load(shared_data / "reference" / "ms_ssim.npz")
    assert ms_ssim(reference["a"], reference["b"]) == pytest.approx(float(reference["batch"]), abs=1e-9)
    np.testing.assert_allclose(ms_ssim_per_image(reference["a"], reference["b"]), reference["per_image"], atol=1e-9)


@pytest.mark.parametrize("size", [(11, 11), (37, 64), (100, 100)])
def test_ssim_equals_scikit_image(size: tuple[int, int]) -> None:
    a, b = noisy_pair(*size)
    expected = structural_similarity(
        a, b, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)


def test_psnr_equals_scikit_image_and_equal_pictures_are_infinitely_close() -> None:
    a, b = noisy_pair(40, 50)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))
    assert psnr(a, a) == math.inf
    assert ssim(a, a) == pytest.approx(1.0)
    assert ms_ssim(a, a) == pytest.approx(1.0)


def test_floats_in_zero_to_one_give_what_bytes_give() -> None:
    a, b = noisy_pair(40, 50)
    for metric in (psnr, ssim, ms_ssim):
        assert metric(a / 255.0, b / 255.0) == pytest.approx(metric(a, b), rel=1e-12)
        assert metric(a, (b / 255.0).astype(np.float32)) == pytest.approx(metric(a, b), rel=1e-5)


def test_a_stack_is_pooled_and_per_image_is_not() -> None:
    pairs = [noisy_pair(40, 50, noise) for noise in (4.0, 30.0)]
    a, b = (np.stack(side) for side in zip(*pairs, strict=True))
    each = [psnr(x, y) for x, y in pairs]
    np.testing.assert_allclose(psnr_per_image(a, b), each)
    assert psnr(a, b) == pytest.approx(-10 * math.log10(np.mean([10 ** (-value / 10) for value in each])))
    assert psnr(a, b) < np.mean(each) - 1
    np.testing.assert_allclose(ms_ssim_per_image(a, b), [ms_ssim(x, y) for x, y in pairs])


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (8, 8), (5, 300)])
def test_tiny_pictures_have_similarities_too(size: tuple[int, int]) -> None:
    a, b = noisy_pair(*size)
    assert 0.0 <= ms_ssim(a, b) <= 1.0
    assert ms_ssim(a, a) == ssim(a, a) == pytest.approx(1.0)


def test_opposite_pictures_are_dissimilar_not_undefined() -> None:
    a, _ = noisy_pair(64, 64)
    assert ms_ssim(a, 255 - a) == 0.0


def test_wrong_shapes_and_types_are_quoted() -> None:
    a, b = noisy_pair(40, 50)
    with pytest.raises(ValueError, match=r"\(40, 50, 3\) and \(39, 50, 3\)"):
        psnr(a, b[1:])
    with pytest.raises(ValueError, match="int64"):
        ssim(a.astype(np.int64), b.astype(np.int64))


def test_metrics_load_without_torch() -> None:
    code = "import sys, dpedkit.train, dpedkit.train.metrics, dpedkit.train.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_at_once_is_each_by_itself() -> None:
    pairs = [noisy_pair(40, 50, noise) for noise in (4.0, 15.0, 30.0)]
    a, b = (np.stack(side) for side in zip(*pairs, strict=True))
    close = compare(a, b)
    np.testing.assert_allclose(close.psnr, [psnr(x, y) for x, y in pairs])
    np.testing.assert_allclose(close.ssim, [ssim(x, y) for x, y in pairs])
    np.testing.assert_allclose(close.ms_ssim, [ms_ssim(x, y) for x, y in pairs])


def test_the_authors_way_pools_each_batch_and_leaves_out_the_rest() -> None:
    pairs = [noisy_pair(40, 50, noise) for noise in (4.0, 30.0, 8.0, 50.0, 90.0)]
    a, b = (np.stack(side) for side in zip(*pairs, strict=True))
    close = compare(a, b)
    by_hand = [(metric(a[:2], b[:2]) + metric(a[2:4], b[2:4])) / 2 for metric in (psnr, ms_ssim)]
    assert close.as_the_authors_report(batch=2) == pytest.approx(by_hand)
    assert close.as_the_authors_report() == pytest.approx((psnr(a, b), ms_ssim(a, b)))
    assert close.as_the_authors_report()[0] < close.psnr.mean() - 1
