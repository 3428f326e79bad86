"""Artefacts that were made on purpose are measured as large as they were made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dpedkit.measures import to_linear
from dpedkit.train.artefacts import Scene
from dpedkit.train.ciede2000 import delta_e, to_lab
from dpedkit.types import F64, U8, Bools

SIDE = 256


def to_bytes(values: F64) -> U8:
    rounded: U8 = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def photo(height: int = SIDE, width: int = SIDE, sigma: float = 0.0, seed: int = 0) -> F64:
    """Soft shapes between 70 and 180 in three colours, a flat corner, and noise."""
    random = np.random.default_rng(seed)
    shapes = gaussian_filter(random.normal(size=(height, width, 3)), (6, 6, 0))
    levels = 125 + np.clip(shapes / np.abs(shapes).max() * 110, -55, 55)
    levels[: height // 2, : width // 2] = (120, 130, 125)
    return levels + random.normal(0, sigma, levels.shape)


def everywhere(rgb: U8) -> Bools:
    return np.ones(rgb.shape[:2], dtype=np.bool_)


def scene(rgb: U8, dslr: U8 | None = None) -> Scene:
    return Scene(rgb, rgb if dslr is None else dslr, everywhere(rgb))


def test_a_photo_has_no_artefacts_beside_itself() -> None:
    rgb = to_bytes(photo(sigma=2))
    numbers = scene(rgb).judge(rgb).numbers
    assert (numbers.colour_dslr, numbers.colour_dslr_p95, numbers.colour_phone) == (0, 0, 0)
    assert (numbers.contrast_phone, numbers.contrast_dslr, numbers.contrast_p95) == (1, 1, 1)
    assert numbers.noise_gain == 1


@pytest.mark.parametrize("cast", [(6.0, 0.0, -4.0), (-3.0, 9.0, 0.0)])
def test_a_colour_cast_is_as_large_as_its_colour_difference(cast: tuple[float, float, float]) -> None:
    flat = np.full((SIDE, SIDE, 3), (120.0, 130.0, 125.0))
    before, after = to_bytes(flat), to_bytes(flat + cast)
    expected = float(delta_e(*(to_lab(to_linear(rgb[0, 0]).astype(np.float64)) for rgb in (before, after))))
    numbers = scene(before).judge(after).numbers
    assert numbers.colour_dslr == numbers.colour_phone == pytest.approx(expected, abs=1e-6)


def test_a_cast_in_one_place_is_found_there_and_texture_is_none() -> None:
    rgb = photo(sigma=2)
    after = rgb.copy()
    after[180:230, 40:90] += (20, 0, -20)
    judged = scene(to_bytes(rgb)).judge(to_bytes(after))
    worst = judged.colour.worst()
    assert worst is not None
    assert 40 < worst[0] < 90
    assert 180 < worst[1] < 230
    rough = photo() + np.random.default_rng(1).normal(0, 8, rgb.shape)
    pixel_by_pixel = delta_e(*(to_lab(to_linear(to_bytes(levels)).astype(np.float64)) for levels in (photo(), rough)))
    assert pixel_by_pixel.mean() > 5
    assert (scene(to_bytes(photo())).judge(to_bytes(rough)).numbers.colour_dslr or 9) < 1


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.5])
def test_contrast_multiplied_around_the_local_mean_is_recovered(factor: float) -> None:
    levels = np.repeat(photo()[..., :1], 3, axis=2)  # grays: their luma is their level
    tiles = levels.reshape(SIDE // 16, 16, SIDE // 16, 16, 3)
    means = tiles.mean(axis=(1, 3), keepdims=True)
    after = (means + factor * (tiles - means)).reshape(levels.shape)
    darker = to_bytes(0.8 * levels)
    numbers = scene(to_bytes(levels), darker).judge(to_bytes(after)).numbers
    assert numbers.contrast_phone == pytest.approx(factor, rel=0.02)
    assert numbers.contrast_dslr == pytest.approx(factor / 0.8, rel=0.02)


@pytest.mark.parametrize(("before", "added"), [(2.0, 3.0), (3.0, 0.0), (4.0, 8.0)])
def test_added_noise_is_recovered_in_flat_places(before: float, added: float) -> None:
    rgb = photo(480, 640, sigma=before)
    after = rgb + np.random.default_rng(1).normal(0, added, rgb.shape)
    numbers = scene(to_bytes(rgb)).judge(to_bytes(after)).numbers
    luma = np.linalg.norm([0.299, 0.587, 0.114])  # of independent noise in three channels so much is left
    assert numbers.noise_in == pytest.approx(luma * before, rel=0.06)
    assert numbers.noise_out == pytest.approx(luma * np.hypot(before, added), rel=0.06)
    assert numbers.noise_gain == pytest.approx(np.hypot(before, added) / before, rel=0.06)


def test_more_contrast_makes_more_noise_and_smoothing_less() -> None:
    rgb = photo(sigma=3)
    judge = scene(to_bytes(rgb)).judge
    assert judge(to_bytes(125 + 1.4 * (rgb - 125))).numbers.noise_gain == pytest.approx(1.4, rel=0.05)
    assert (judge(to_bytes(gaussian_filter(rgb, (1, 1, 0)))).numbers.noise_gain or 9) < 0.2


def test_large_photos_are_looked_at_from_afar_with_the_same_result() -> None:
    small, cast = photo(300, 400), np.array([5.0, 0.0, 0.0])
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)[:, :-3]  # 1200 x 1597: does not divide
    numbers = [scene(to_bytes(rgb)).judge(to_bytes(rgb + cast)).numbers for rgb in (small, large)]
    assert numbers[1].colour_dslr == pytest.approx(numbers[0].colour_dslr, rel=0.02)


def test_where_the_dslr_shows_nothing_nothing_is_measured() -> None:
    rgb = to_bytes(photo())
    wrong = rgb.copy()
    wrong[:, SIDE // 2 :] = (255, 0, 0)
    known = everywhere(rgb)
    known[:, SIDE // 2 :] = False
    judged = Scene(rgb, wrong, known).judge(rgb)
    assert (judged.numbers.colour_dslr or 9) < 0.2  # what the blur brings over from beyond the border
    assert judged.numbers.contrast_p95 == 1
    assert np.isnan(judged.colour.values[:, SIDE // 2 :]).all()
    nothing = Scene(rgb, wrong, ~everywhere(rgb)).judge(rgb)
    assert nothing.colour.worst() is None
    assert nothing.numbers.colour_dslr is None
    assert nothing.numbers.contrast_dslr is None
    assert nothing.numbers.contrast_phone == 1


@pytest.mark.parametrize("spoil", [lambda rgb: rgb * 0, lambda rgb: rgb | 255])
def test_a_clipped_photo_has_no_noise_to_measure(spoil: Callable[[U8], U8]) -> None:
    rgb = to_bytes(photo())
    numbers = scene(rgb).judge(spoil(rgb)).numbers
    assert numbers.noise_in is None
    assert numbers.noise_gain is None


def test_photos_of_other_sizes_are_refused() -> None:
    rgb = to_bytes(photo())
    with pytest.raises(ValueError, match=r"\(256, 255, 3\)"):
        scene(rgb).judge(rgb[:, 1:])
    with pytest.raises(ValueError, match="mask"):
        Scene(rgb, rgb, everywhere(rgb)[1:])
