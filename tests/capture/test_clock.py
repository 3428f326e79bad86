"""A device's clock is recovered from windows, and the stated bounds hold whatever the clock does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dpedkit.capture.clock import ClockModel

MOST_DRIFT = 100e-6
BEGUN_NS = 1_790_000_000_000_000_000
S = 1_000_000_000


class Truth:
    """A clock that runs straight, and windows around it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.drift = float(self.rng.uniform(-MOST_DRIFT, MOST_DRIFT))
        self.offset_ns = int(self.rng.integers(-(10**14), 10**14))

    def at(self, host_ns: int) -> int:
        return self.offset_ns + round(self.drift * (host_ns - BEGUN_NS))

    def window(self, host_ns: int, width_ns: int) -> tuple[int, int, int]:
        below_ns, above_ns = self.rng.integers(1, width_ns, 2)
        return self.at(host_ns) - int(below_ns), self.at(host_ns) + int(above_ns), host_ns


@pytest.mark.parametrize("seed", range(40))
def test_the_bounds_hold_at_every_moment_and_shrink_where_the_windows_are(seed: int) -> None:
    truth = Truth(seed)
    model = ClockModel(MOST_DRIFT)
    now_ns = BEGUN_NS
    widths, drift_bounds = [], []
    for _ in range(200):
        now_ns += int(truth.rng.integers(0, 5 * S))
        assert model.add(*truth.window(now_ns, int(truth.rng.integers(10_000, 5_000_000))))
        for moment_ns in (now_ns, now_ns + 60 * S, now_ns - 100 * S, BEGUN_NS):
            offset = model.at(moment_ns)
            assert offset.at_ns == moment_ns
            assert abs(offset.offset_ns - truth.at(moment_ns)) <= offset.bound_ns
            later = offset.at(moment_ns + 7 * S)
            assert abs(later.offset_ns - truth.at(moment_ns + 7 * S)) <= later.bound_ns + 1
        assert abs(offset.drift - truth.drift) <= offset.drift_bound + 1e-12
        widths.append(model.at(now_ns).bound_ns)
        drift_bounds.append(offset.drift_bound)
    assert np.mean(widths[-20:]) < np.mean(widths[:3]) / 3
    assert drift_bounds[-1] < MOST_DRIFT / 20


@pytest.mark.parametrize("seed", range(20))
def test_more_windows_never_widen_the_bound_of_one_moment(seed: int) -> None:
    truth = Truth(seed)
    model = ClockModel(MOST_DRIFT)
    bounds_ns = []
    for step in range(60):  # as many as are remembered
        model.add(*truth.window(BEGUN_NS + step * S, 2_000_000))
        bounds_ns.append(model.at(BEGUN_NS + 30 * S).bound_ns)
    assert all(after <= before + 1 for before, after in itertools.pairwise(bounds_ns))


@pytest.mark.parametrize("seed", range(10))
def test_no_line_through_all_windows_is_left_out(seed: int) -> None:
    """Against brute force: the extremes of a fine grid of lines lie within the bound, and come close to it."""
    truth = Truth(seed)
    windows = [truth.window(BEGUN_NS + int(t * S), 1_000_000) for t in truth.rng.uniform(0, 60, 12)]
    model = ClockModel(MOST_DRIFT)
    for window in windows:
        assert model.add(*window)
    drifts = np.linspace(-MOST_DRIFT, MOST_DRIFT, 20_001)
    away = np.array([at_ns - BEGUN_NS for *_, at_ns in windows])
    low = (np.array([w[0] - truth.offset_ns for w in windows]) - drifts[:, None] * away).max(axis=1)
    high = (np.array([w[1] - truth.offset_ns for w in windows]) - drifts[:, None] * away).min(axis=1)
    fits = low <= high
    for after_s in (-20, 0, 30, 90):
        offset = model.at(BEGUN_NS + after_s * S)
        least = (low + drifts * after_s * S)[fits].min() + truth.offset_ns
        most = (high + drifts * after_s * S)[fits].max() + truth.offset_ns
        assert offset.offset_ns - offset.bound_ns <= least + 2
        assert offset.offset_ns + offset.bound_ns >= most - 2
        grid_ns = 2 * MOST_DRIFT / 20_000 * 100 * S
        assert 2 * offset.bound_ns <= most - least + 2 * grid_ns + 5
    assert abs(offset.drift + offset.drift_bound - drifts[fits].max()) < 2e-8
    assert abs(offset.drift - offset.drift_bound - drifts[fits].min()) < 2e-8


def test_a_clock_that_was_set_is_noticed_and_learnt_anew() -> None:
    truth = Truth(1)
    model = ClockModel(MOST_DRIFT)
    for step in range(10):
        assert model.add(*truth.window(BEGUN_NS + step * S, 100_000))
    truth.offset_ns += 3_000_000
    assert not model.add(*truth.window(BEGUN_NS + 10 * S, 100_000))
    assert model.at(BEGUN_NS + 10 * S).drift_bound == MOST_DRIFT
    for step in range(11, 20):
        assert model.add(*truth.window(BEGUN_NS + step * S, 100_000))
        offset = model.at(BEGUN_NS + step * S)
        assert abs(offset.offset_ns - truth.at(offset.at_ns)) <= offset.bound_ns


def test_a_drift_that_has_changed_is_forgotten_in_time() -> None:
    """Quartz warms up: what held minutes ago does not hold the windows of today."""
    model = ClockModel(MOST_DRIFT, memory_s=60)
    for step in range(0, 300, 5):
        model.add(-1000, 1000, BEGUN_NS + step * S)
    at_ns, offset_ns = BEGUN_NS + 300 * S, 0
    for _ in range(20):
        at_ns, offset_ns = at_ns + 5 * S, offset_ns + 100_000  # 20e-6 now
        model.add(offset_ns - 1000, offset_ns + 1000, at_ns)
    assert model.at(at_ns).drift == pytest.approx(20e-6, abs=1e-6)


def test_without_a_window_nothing_is_known() -> None:
    model = ClockModel(MOST_DRIFT)
    assert not model.known
    with pytest.raises(ValueError, match="never compared"):
        model.at(BEGUN_NS)
    with pytest.raises(ValueError, match="none"):
        model.add(2, 1, BEGUN_NS)
