"""Two pictures of one scene whose light, colour and blur differ by what the test made of them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from test_measures import scene, with_noise

from dpedkit.pair_measures import STRIP_PX, PairMeasures, Strip, measure_pair
from dpedkit.types import U8, Bools

GAINS = (0.8, 1.25, 1.1)


def lit(rgb: U8, gains: tuple[float, ...]) -> U8:
    """The same scene in other light (IEC 61966-2-1, there and back)."""
    level = rgb / 255
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4) * np.array(gains)
    back = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(back * 255), 0, 255).astype(np.uint8)


def blurred(rgb: U8, sigma_px: float) -> U8:
    return cv2.GaussianBlur(rgb, (0, 0), sigma_px).astype(np.uint8)


def measured(phone: U8, dslr: U8, known: Bools | None = None) -> PairMeasures:
    known = np.ones(phone.shape[:2], np.bool_) if known is None else known
    tops = range(0, phone.shape[0] - STRIP_PX, 120)
    return measure_pair(
        Strip(phone[top : top + STRIP_PX], dslr[top : top + STRIP_PX], known[top : top + STRIP_PX]) for top in tops
    )


def gains(found: PairMeasures) -> tuple[float | None, ...]:
    return found.gain_red, found.gain_green, found.gain_blue


def test_gains_are_those_of_the_light() -> None:
    phone = scene()
    found = measured(with_noise(phone, 4.0), with_noise(lit(phone, GAINS), 2.0))
    assert gains(found) == pytest.approx(GAINS, rel=0.01)


def test_what_moved_or_was_clipped_does_not_count() -> None:
    phone, dslr = scene(), lit(scene(), GAINS)
    dslr[:, :400] = scene(seed=9)[:, :400]
    phone[:, 900:1000] = 255
    assert gains(measured(phone, dslr)) == pytest.approx(GAINS, rel=0.02)


def test_what_only_one_shows_does_not_count() -> None:
    phone, dslr = scene(), lit(scene(), GAINS)
    known = np.zeros(phone.shape[:2], np.bool_)
    known[:, :500] = True
    dslr[:, 500:] = 77
    assert gains(measured(phone, dslr, known)) == pytest.approx(GAINS, rel=0.01)


@pytest.mark.parametrize(("phone_px", "dslr_px"), [(2.0, 2.0), (3.0, 2.0), (2.0, 3.0), (2.4, 1.2), (1.0, 0.5)])
def test_the_sharpness_ratio_is_that_of_the_blurs(phone_px: float, dslr_px: float) -> None:
    """Each with the 0.6 px that keep noise away."""
    found = measured(blurred(scene(), phone_px), blurred(scene(), dslr_px))
    assert found.sharpness_ratio == pytest.approx(math.hypot(phone_px, 0.6) / math.hypot(dslr_px, 0.6), rel=0.08)


def test_light_and_noise_are_no_sharpness() -> None:
    soft, sharp = blurred(scene(), 2.5), blurred(scene(), 1.5)
    plain = measured(soft, sharp).sharpness_ratio
    assert measured(with_noise(lit(soft, (0.5, 0.5, 0.5)), 5.0), sharp).sharpness_ratio == pytest.approx(
        plain, rel=0.15
    )


def test_flat_photos_have_light_but_no_sharpness() -> None:
    flat = np.full((960, 1280, 3), 90, np.uint8)
    assert gains(measured(flat, flat)) == pytest.approx((1, 1, 1))
    assert measured(flat, flat).sharpness_ratio is None


def test_nothing_in_common_is_no_measure() -> None:
    nothing = np.zeros((960, 1280), np.bool_)
    assert measured(scene(), scene(), nothing) == PairMeasures(None, None, None, None)
    assert measure_pair([]) == PairMeasures(None, None, None, None)
