"""The offset between two clocks, and who goes with whom, from a hidden truth that makes the times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpedkit.stages.matching import match_in_order
from dpedkit.stages.pairing_times import ClockFit, TimeMatch, match_times
from dpedkit.types import F64

DAY_S = 86400.0


@dataclass(frozen=True)
class Truth:
    """What two cameras wrote down of a session, and what was so.

    pairs   (DSLR's photo, phone's photo) of each shot that both took
    offset  phone minus DSLR when the session began
    """

    dslr: F64
    phone: F64
    pairs: set[tuple[int, int]]
    offset: float


def session(
    seed: int,
    *,
    shots: int,
    offset: float,
    drift_ppm: float = 0.0,
    step: float = 1.0,
    missing: float = 0.1,
    extra: int = 3,
) -> Truth:
    """Photograph at irregular times, now and then in bursts; each camera misses some shots and has some of its own."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(shots) < 0.1, rng.uniform(900, 20_000, shots), rng.exponential(25, shots) + 6)
    when = np.cumsum(gaps)
    took = [rng.random(shots) >= missing for _ in range(2)]
    own = [rng.uniform(0, when[-1], extra) for _ in range(2)]
    moments = [np.concatenate([when[taken], alone]) for taken, alone in zip(took, own, strict=True)]
    labels = [np.concatenate([np.flatnonzero(taken), np.full(extra, -1)]) for taken in took]
    shown = [
        (moments[0] + rng.normal(0, 0.03, len(moments[0]))) // 0.01 * 0.01,
        (moments[1] * (1 + drift_ppm * 1e-6) + offset + rng.normal(0, 0.08, len(moments[1]))) // step * step,
    ]
    orders = [rng.permutation(len(times)) for times in shown]  # files come in any order
    dslr, phone = (times[order] for times, order in zip(shown, orders, strict=True))
    ours, theirs = (label[order] for label, order in zip(labels, orders, strict=True))
    at = {int(shot): index for index, shot in enumerate(theirs) if shot >= 0}
    pairs = {(index, at[int(shot)]) for index, shot in enumerate(ours) if int(shot) in at}
    return Truth(dslr, phone, pairs, offset)


def found(match: TimeMatch) -> ClockFit:
    assert match.best is not None
    return match.best


def told(truth: Truth, step: float = 1.0) -> TimeMatch:
    return match_times(truth.dslr, truth.phone, step_s=step, within_s=2.0)


@pytest.mark.parametrize(("fewest", "most", "count"), [(12, 24, 60), (24, 60, 30), (60, 121, 15)])
def test_the_hidden_pairs_are_found(fewest: int, most: int, count: int) -> None:
    rng = np.random.default_rng(fewest)
    true = lost = strangers = 0
    for seed in range(count):
        step, missing, extra = rng.choice([1.0, 0.01, 0.001]), rng.uniform(0, 0.3), int(rng.integers(0, 7))
        offset, drift_ppm = rng.uniform(-40, 40) * DAY_S, rng.uniform(-60, 60)
        shots = int(rng.integers(fewest, most))
        truth = session(seed, shots=shots, offset=offset, drift_ppm=drift_ppm, step=step, missing=missing, extra=extra)
        match = told(truth, step)
        if match.verdict != "clear":  # another offset may well explain few pairs: content decides, but not without it
            assert len(truth.pairs) < 10
            assert any(len(pairs_of(fit) & truth.pairs) >= len(truth.pairs) - 2 for fit in match.fits)
            continue
        true += len(truth.pairs)
        lost += len(truth.pairs - pairs_of(found(match)))
        strangers += len(pairs_of(found(match)) - truth.pairs)  # two may meet within two seconds
        at = np.array([truth.dslr[ours] for ours, _ in truth.pairs])
        wanted = np.array([truth.phone[theirs] for _, theirs in truth.pairs])
        assert np.median(np.abs(found(match).on_phone(at) - wanted)) < 0.6 * step + 0.4
    assert lost <= 0.01 * true
    assert strangers <= 0.01 * true


def pairs_of(fit: ClockFit) -> set[tuple[int, int]]:
    return {(ours, theirs) for ours, theirs in fit.pairs.tolist()}


@pytest.mark.parametrize("offset", [-7 * 3600.0, 0.0, 412 * DAY_S + 17])
def test_a_drift_over_days_is_followed(offset: float) -> None:
    truth = session(1, shots=400, offset=offset, drift_ppm=45, step=0.001)
    fit = found(told(truth, 0.001))
    assert np.ptp(truth.dslr) * 45e-6 > 5  # more than photos of one shot may lie apart
    assert abs(fit.drift_ppm - 45) < 1
    assert fit.within_s < 1.0
    assert len({(a, b) for a, b in fit.pairs.tolist()} ^ truth.pairs) <= 2


@pytest.mark.parametrize("few", [3, 4])
def test_a_few_photos_after_a_gap_tell_the_drift(few: int) -> None:
    rng = np.random.default_rng(few)
    when = np.concatenate([np.cumsum(rng.uniform(10, 40, 10)), 20_000 + np.cumsum(rng.uniform(10, 40, few))])
    shown = when * (1 + 50e-6) + 500 + rng.normal(0, 0.05, len(when))  # a second later than before the gap
    fit = found(match_times(when, shown, step_s=0.001, within_s=2.0))
    assert fit.pairs.tolist() == [[index, index] for index in range(len(when))]
    assert abs(fit.drift_ppm - 50) < 10


def test_bursts_keep_their_order_and_a_missing_frame_its_place() -> None:
    rng = np.random.default_rng(3)
    starts = np.cumsum(rng.uniform(20, 90, 15))
    when = (starts[:, None] + np.array([0.0, 0.4, 0.8])).ravel()
    there = np.arange(len(when)) != 22
    match = match_times(when, when[there] + 3600, step_s=0.01, within_s=2.0)
    expected = [(index, index if index < 22 else index - 1) for index in range(len(when)) if index != 22]
    assert match.verdict == "clear"
    assert found(match).pairs.tolist() == [list(pair) for pair in expected]
    assert abs(found(match).offset_s - 3600) < 0.01


def test_a_regular_series_is_ambiguous_and_its_true_offset_is_among_the_candidates() -> None:
    when = np.arange(0, 300, 10.0)
    match = match_times(when, np.delete(when, 0) + 3600, step_s=1.0, within_s=2.0)
    assert match.verdict == "ambiguous"
    assert 3600.0 in [round(fit.offset_s, 6) for fit in match.fits]


def test_series_that_have_nothing_to_do_with_each_other_are_no_match() -> None:
    clear = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        first, second = (np.sort(rng.uniform(0, 3600, 12)) for _ in range(2))
        clear += match_times(first, second, step_s=1.0, within_s=2.0).verdict == "clear"
    assert clear <= 1  # one in a hundred is what the limit allows


FEW = [(0, 3, "none"), (2, 0, "none"), (1, 1, "clear"), (1, 2, "ambiguous"), (2, 2, "ambiguous"), (3, 3, "clear")]


@pytest.mark.parametrize(("ours", "theirs", "verdict"), FEW)
def test_few_photos(ours: int, theirs: int, verdict: str) -> None:
    times = [np.array([5.0, 78.0, 200.0])[:count] for count in (ours, theirs)]
    assert match_times(times[0], times[1] + 9000, step_s=1.0, within_s=2.0).verdict == verdict


@settings(max_examples=80, deadline=None)
@given(
    first=st.lists(st.floats(0, 20), max_size=7).map(sorted),
    second=st.lists(st.floats(0, 20), max_size=7).map(sorted),
    within=st.floats(0.1, 30),
)
def test_no_matching_in_order_is_worth_more(first: list[float], second: list[float], within: float) -> None:
    ours, theirs = np.array(first), np.array(second)

    def best(i: int, j: int) -> float:
        if i == len(ours) or j == len(theirs):
            return 0.0
        apart = abs(ours[i] - theirs[j])
        taken = 1 - (apart / within) ** 2 + best(i + 1, j + 1) if apart <= within else -1.0
        return max(taken, best(i + 1, j), best(i, j + 1))

    pairs = match_in_order(ours, theirs, within)
    assert (np.diff(pairs, axis=0) > 0).all()
    worth = float(np.sum(1 - ((ours[pairs[:, 0]] - theirs[pairs[:, 1]]) / within) ** 2))
    assert worth == pytest.approx(best(0, 0), abs=1e-9)
