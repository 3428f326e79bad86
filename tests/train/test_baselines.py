from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dpedkit.train.baselines import fit_gain_offset, fit_matrix_curve
from dpedkit.train.metrics import psnr
from dpedkit.types import F64, U8, PairSource

Pairs = Callable[[U8, U8], PairSource]


def colours(count: int = 80, side: int = 24, seed: int = 0) -> U8:
    return np.random.default_rng(seed).integers(30, 200, (count, side, side, 3)).astype(np.uint8)


def rounded(values: F64) -> U8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def test_gain_and_offset_are_recovered(in_memory: Pairs) -> None:
    phone = colours()
    gain, offset = np.array([1.1, 0.9, 0.7]), np.array([5.0, -12.0, 30.0])
    fitted = fit_gain_offset(in_memory(phone, rounded(phone * gain + offset)))
    np.testing.assert_allclose(fitted.gain, gain, atol=2e-3)
    np.testing.assert_allclose(fitted.offset, offset, atol=0.2)
    fresh = colours(seed=1)
    assert psnr(fitted(fresh), rounded(fresh * gain + offset)) > 50


def test_matrix_and_curve_are_recovered(in_memory: Pairs) -> None:
    matrix = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])

    def develop(rgb: U8) -> U8:
        return rounded(255 * ((rgb @ matrix.T) / 255) ** np.array([0.6, 0.8, 1.5]))

    phone, fresh = colours(), colours(seed=1)
    pairs = in_memory(phone, develop(phone))
    assert psnr(fit_matrix_curve(pairs)(fresh), develop(fresh)) > 48
    assert psnr(fit_gain_offset(pairs)(fresh), develop(fresh)) < 35


def test_curves_never_fall(in_memory: Pairs) -> None:
    phone = colours()
    fitted = fit_matrix_curve(
        in_memory(phone, np.random.default_rng(1).permutation(phone.ravel()).reshape(phone.shape))
    )
    for curve in fitted.curves:
        assert (np.diff(curve.inputs) > 0).all()
        assert (np.diff(curve.outputs) >= 0).all()


def test_a_single_gray_is_mapped_to_its_partner(in_memory: Pairs) -> None:
    flat = np.full((3, 8, 8, 3), 90, np.uint8)
    pairs = in_memory(flat, flat + np.uint8(40))
    for fit in (fit_gain_offset, fit_matrix_curve):
        assert np.array_equal(fit(pairs)(flat[0]), flat[0] + 40)


def test_a_fit_is_the_same_every_time(in_memory: Pairs) -> None:
    phone = colours()
    pairs = in_memory(phone, 255 - phone // 2)
    assert np.array_equal(fit_matrix_curve(pairs)(phone[0]), fit_matrix_curve(pairs)(phone[0]))


def test_no_pairs_are_refused(in_memory: Pairs) -> None:
    empty = np.zeros((0, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="no pairs"):
        fit_gain_offset(in_memory(empty, empty))
