"""Measures of photos whose blur, noise, clipping and light are known, because the test made them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dpedkit.images import encode_jpeg, read_rgb
from dpedkit.measures import measure
from dpedkit.types import U8

RNG_SEED = 3


def scene(height: int = 960, width: int = 1280, seed: int = RNG_SEED) -> U8:
    """Flat shapes of many shades with hard edges: what blur and noise are added to is known to have none."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120, np.uint8)
    for _ in range(150):
        x, y = rng.integers(0, (width, height))
        size = rng.integers(height // 40, height // 6, 2)
        shade = tuple(int(level) for level in rng.integers(40, 215, 3))
        box = ((float(x), float(y)), (float(size[0]), float(size[1])), float(rng.uniform(0, 180)))
        cv2.fillPoly(picture, [cv2.boxPoints(box).astype(np.int32)], shade)
    return picture


def jpeg(rgb: U8, quality: int) -> U8:
    return np.asarray(Image.open(io.BytesIO(encode_jpeg(rgb, quality=quality))).convert("RGB"))


def with_noise(rgb: U8, deviation: float) -> U8:
    noise = np.random.default_rng(RNG_SEED).normal(0, deviation, rgb.shape[:2])
    return np.clip(np.rint(rgb + noise[..., None]), 0, 255).astype(np.uint8)


def bits_apart(first: str, second: str) -> int:
    return (int(first, 16) ^ int(second, 16)).bit_count()


@pytest.mark.parametrize("deviation", [1.0, 2.0, 4.0, 8.0, 16.0])
def test_noise_is_that_which_was_added(deviation: float) -> None:
    assert measure(with_noise(scene(), deviation)).noise == pytest.approx(deviation, rel=0.08)


@pytest.mark.parametrize("quality", [98, 95, 90])
def test_noise_that_a_jpeg_keeps_is_found(quality: int) -> None:
    assert measure(jpeg(with_noise(scene(), 8.0), quality)).noise == pytest.approx(8.0, rel=0.12)


def test_texture_is_no_noise() -> None:
    """Half of the photo is covered by grain as rough as noise of 20 levels; the other half tells the noise."""
    picture = scene()
    picture[:, :640] = np.random.default_rng(1).integers(60, 130, (960, 640, 1))
    assert measure(with_noise(picture, 3.0)).noise == pytest.approx(3.0, rel=0.15)


def test_a_photo_without_noise_has_none() -> None:
    assert measure(scene()).noise < 0.05
    assert measure(np.full((100, 100, 3), 255, np.uint8)).noise == 0.0


@pytest.mark.parametrize("blurs_in_diagonal", [400.0, 600.0, 900.0])
def test_sharpness_is_the_diagonal_in_blurs(blurs_in_diagonal: float) -> None:
    soft = cv2.GaussianBlur(scene(), (0, 0), math.hypot(960, 1280) / blurs_in_diagonal)
    assert measure(soft.astype(np.uint8)).sharpness == pytest.approx(blurs_in_diagonal, rel=0.1)


@pytest.mark.parametrize("scale", [1.25, 2.0, 3.3])
def test_sharpness_is_the_same_at_all_sizes(scale: float) -> None:
    """One blurred scene seen by cameras of 1.2 to 13 million pixels."""
    large = cv2.GaussianBlur(scene(3168, 4224), (0, 0), math.hypot(3168, 4224) / 700)
    size = round(1280 * scale), round(960 * scale)
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    assert measure(small).sharpness == pytest.approx(measure(large.astype(np.uint8)).sharpness, rel=0.05)


def test_noise_is_no_sharpness() -> None:
    soft = cv2.GaussianBlur(scene(1920, 2560), (0, 0), 6.0).astype(np.uint8)
    assert measure(with_noise(soft, 8.0)).sharpness == pytest.approx(measure(soft).sharpness, rel=0.1)


def test_a_sharp_subject_before_a_blurred_background_is_sharp() -> None:
    picture = cv2.GaussianBlur(scene(), (0, 0), 8.0).astype(np.uint8)
    picture[300:660, 400:880] = scene()[300:660, 400:880]
    assert measure(picture).sharpness > 0.7 * measure(scene()).sharpness


def test_a_photo_of_nothing_has_no_sharpness() -> None:
    assert measure(np.full((200, 300, 3), 90, np.uint8)).sharpness == 0.0
    assert measure(np.zeros((3, 5, 3), np.uint8)).sharpness == 0.0


def test_clipping_is_that_of_the_worst_channel() -> None:
    picture = np.full((700, 1001, 3), 128, np.uint8)
    picture[:70, :, 0] = 254
    picture[630:, :, 0] = 1
    picture[:70, :, 1] = 253
    assert measure(picture).clipped == pytest.approx(0.2, abs=0.01)


def test_means_are_of_light_not_of_levels() -> None:
    """Half of the light of white is level 188, not 128 (IEC 61966-2-1)."""
    picture = np.zeros((400, 600, 3), np.uint8)
    picture[..., 0] = 188
    picture[:, :300, 1] = 255
    found = measure(picture)
    assert (found.mean_red, found.mean_green, found.mean_blue) == pytest.approx((0.503, 0.5, 0.0), abs=0.002)


def test_the_hash_knows_a_scene_again(shared_data: Path) -> None:
    """Smaller, darker, compressed, noisy, the same scene differs in few bits; another in many."""
    photo = read_rgb(shared_data / "photos" / "street" / "01.jpg")
    other = read_rgb(shared_data / "photos" / "street" / "02.jpg")
    known = measure(photo).phash
    assert len(known) == 16
    again = {
        "small": cv2.resize(photo, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA).astype(np.uint8),
        "dark": (photo * 0.7).astype(np.uint8),
        "compressed": jpeg(photo, 60),
        "noisy": with_noise(photo, 10.0),
    }
    far = {name: bits_apart(known, measure(picture).phash) for name, picture in again.items()}
    assert max(far.values()) <= 6, far
    assert bits_apart(known, measure(other).phash) >= 16


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (33, 33), (34, 7000), (17, 90)])
def test_any_size_can_be_measured(size: tuple[int, int]) -> None:
    found = measure(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    assert all(math.isfinite(number) for number in (found.sharpness, found.noise, found.mean_red))
    assert found.sharpness >= 0


def test_what_is_no_photo_is_refused() -> None:
    with pytest.raises(ValueError, match=r"uint8 \(10, 10\)"):
        measure(np.zeros((10, 10), np.uint8))
