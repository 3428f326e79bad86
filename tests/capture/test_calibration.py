"""Devices with known lags are fired in arithmetic; what calibration makes of it must be those lags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dpedkit.capture.calibration import (
    Calibration,
    Sighting,
    calibration_warnings,
    estimate,
    handlings,
    load_calibrations,
    save_calibrations,
    stamp_lag,
)
from dpedkit.capture.rig import Device, Rig, load_rig, rig_template
from dpedkit.capture.shot import STAMP_LAG_NS, UNKNOWN_STAMP_LAG
from dpedkit.capture.times import Window
from dpedkit.errors import SettingsError

MS = 1_000_000
START_NS = 1_763_000_000_000_000_000
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PHONE = Device(name="sony", role="phone", driver="adb", address="tcp:127.0.0.1:5555")


@dataclass(frozen=True)
class Made:
    """A device as it is made: all in ms. skipped: share of the shots in which the screen was a frame late."""

    lag: float = 210.0
    jitter: float = 0.0
    stamp_lag: float = -18.0
    stamp_jitter: float = 0.0
    step: float = 1.0
    clock_bound: float = 0.3
    skipped: float = 0.0

    def sightings(self, shots: int = 24, seed: int = 0) -> list[Sighting]:
        random = np.random.default_rng(seed)
        clock_error_ns = round(random.uniform(-1, 1) * self.clock_bound * MS)
        made = []
        for shot in range(shots):
            commanded_ns = START_NS + shot * 2_000_000_000 + round((shot * 0.618 + random.uniform(0, 0.01)) % 1 * 1e9)
            shutter_ns = commanded_ns + round(max(0, random.normal(self.lag, self.jitter)) * MS)
            frame = shutter_ns * 60 // 1_000_000_000 - int(random.uniform() < self.skipped)
            frame_ns = frame * 1_000_000_000 // 60 // MS * MS
            stamped_ns = shutter_ns + round(random.normal(self.stamp_lag, self.stamp_jitter) * MS)
            step_ns = round(self.step * MS)
            middle_ns = stamped_ns // step_ns * step_ns + step_ns // 2 + clock_error_ns
            doubt_ns = step_ns // 2 + round(self.clock_bound * MS)
            stamp = Window(middle_ns - doubt_ns, middle_ns + doubt_ns)
            made.append(Sighting(commanded_ns, stamp, Window(frame_ns, frame_ns + 17_666_667)))
        return made


def found(made: Made, shots: int = 24, seed: int = 0) -> Calibration:
    calibration = estimate(PHONE, made.sightings(shots, seed), NOW)
    assert calibration is not None
    return calibration


def stamp_of(calibration: Calibration) -> tuple[float, float]:
    assert calibration.stamp_lag_ms is not None
    assert calibration.stamp_bound_ms is not None
    return calibration.stamp_lag_ms, calibration.stamp_bound_ms


@pytest.mark.parametrize("seed", range(5))
def test_four_devices_are_told_apart_to_a_millisecond(seed: int) -> None:
    rig = [
        Made(95, stamp_lag=12, step=10, clock_bound=1),
        Made(210, stamp_lag=-18),
        Made(260, stamp_lag=25),
        Made(330, stamp_lag=-40),
    ]
    calibrations = [found(made, 24, seed * 4 + number) for number, made in enumerate(rig)]
    errors = [calibration.lag_ms - made.lag for calibration, made in zip(calibrations, rig, strict=True)]
    assert max(np.abs(errors)) < 1.5
    for calibration, made in zip(calibrations, rig, strict=True):
        lag_ms, bound_ms = stamp_of(calibration)
        assert abs(lag_ms - made.stamp_lag) <= bound_ms < made.step + 5
        assert (calibration.shots, calibration.source, calibration.measured) == (24, "clock", NOW)


@pytest.mark.parametrize("seed", range(5))
def test_a_lag_that_varies_is_told_with_its_spread_and_the_stamps_stay_sharp(seed: int) -> None:
    calibration = found(Made(330, jitter=16, stamp_lag=-40), 60, seed)
    assert abs(calibration.lag_ms - 330) < 3 * 16 / 60**0.5
    assert 10 < calibration.lag_spread_ms < 23
    lag_ms, bound_ms = stamp_of(calibration)
    assert abs(lag_ms + 40) <= bound_ms < 4


def test_more_shots_narrow_the_bound() -> None:
    bounds = [np.mean([stamp_of(found(Made(jitter=9), shots, seed))[1] for seed in range(6)]) for shots in (6, 24, 96)]
    assert bounds[0] > 1.3 * bounds[1] > 1.6 * bounds[2]


def test_stamps_that_shake_are_no_contradiction_and_widen_the_bound() -> None:
    steady, shaky = Made(jitter=9), Made(jitter=9, stamp_jitter=10)
    for seed in range(5):
        lag_ms, bound_ms = stamp_of(found(shaky, seed=seed))
        assert abs(lag_ms - shaky.stamp_lag) < min(bound_ms, 9)
        assert bound_ms > 2.5 * stamp_of(found(steady, seed=seed))[1]


def test_a_screen_that_skips_frames_and_a_strange_photo_do_not_move_the_lags() -> None:
    made = Made(jitter=9, skipped=0.08)
    sightings = made.sightings(seed=3)
    other = sightings[5].stamp
    assert other is not None
    sightings[5] = Sighting(sightings[5].commanded_ns, Window(other.low_ns - 10**12, other.high_ns - 10**12), None)
    first = sightings[6]
    assert first.stamp is not None
    sightings[6] = Sighting(
        first.commanded_ns, Window(first.stamp.low_ns + 10**12, first.stamp.high_ns + 10**12), first.board
    )
    calibration = estimate(PHONE, sightings, NOW)
    assert calibration is not None
    assert abs(calibration.lag_ms - 210) < 8
    lag_ms, bound_ms = stamp_of(calibration)
    assert abs(lag_ms + 18) < min(bound_ms, 4)


def test_whole_seconds_are_enough_for_the_lag_and_add_up_to_a_stamp_lag() -> None:
    made = Made(stamp_lag=300, step=1000, clock_bound=1)
    calibration = found(made, 30)
    assert abs(calibration.lag_ms - made.lag) < 3
    lag_ms, bound_ms = stamp_of(calibration)
    assert abs(lag_ms - 300) <= bound_ms < 150


def blind(sightings: list[Sighting]) -> list[Sighting]:
    return [Sighting(one.commanded_ns, one.stamp, None) for one in sightings]


@pytest.mark.parametrize(("step", "allowed"), [(1.0, 1.5), (10.0, 3.0), (1000.0, 60.0)])
def test_without_the_clock_only_the_sum_is_known(step: float, allowed: float) -> None:
    made = Made(stamp_lag=40, step=step)
    calibration = estimate(PHONE, blind(made.sightings(30)), NOW)
    assert calibration is not None
    assert calibration.source == "stamps"
    assert calibration.stamp_lag_ms is None
    assert abs(calibration.lag_ms - (made.lag + made.stamp_lag)) < allowed
    assert calibration.handling.stamp is UNKNOWN_STAMP_LAG


def test_without_stamps_the_clock_tells_the_lag() -> None:
    sightings = [Sighting(one.commanded_ns, None, one.board) for one in Made().sightings()]
    calibration = estimate(PHONE, sightings, NOW)
    assert calibration is not None
    assert abs(calibration.lag_ms - 210) < 3
    assert calibration.stamp_lag_ms is None


def test_photos_that_tell_nothing_and_photos_that_are_few_give_nothing() -> None:
    sightings = Made().sightings()
    assert estimate(PHONE, [Sighting(one.commanded_ns, None, None) for one in sightings]) is None
    assert estimate(PHONE, sightings[:4]) is None
    assert estimate(PHONE, []) is None


def test_windows_that_share_one_point_give_that_point() -> None:
    stamps = [(100, 200), (200, 300), *[(150, 250)] * 6]
    found = stamp_lag([(Window(low * MS, high * MS), Window(0, 0)) for low, high in stamps])
    assert abs(found.lag_ns - 200 * MS) < MS
    assert found.bound_ns < MS


def test_a_calibration_says_how_to_handle_its_device() -> None:
    handling = found(Made()).handling
    assert abs(handling.lag_ns - 210 * MS) < 3 * MS
    assert abs(handling.stamp.lag_ns + 18 * MS) <= handling.stamp.bound_ns < STAMP_LAG_NS


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    path = tmp_path / "tripod.toml"
    path.write_text(rig_template("simulated"))
    return load_rig(path)


def known(rig: Rig) -> dict[str, Calibration]:
    calibrations = {}
    for device in rig.devices:
        calibration = estimate(device, Made().sightings(), NOW)
        assert calibration is not None
        calibrations[device.name] = calibration
    return calibrations


def test_a_file_gives_back_what_was_saved(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "calibration" / "tripod.json"
    assert load_calibrations(path) == {}
    save_calibrations(path, known(rig))
    assert load_calibrations(path) == known(rig)


@pytest.mark.parametrize("text", ["{", "[]", '{"calibrations": [{"device": "sony"}]}', '{"calibration": []}'])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tripod.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"tripod\.json"):
        load_calibrations(path)


def test_only_calibrations_that_hold_are_used(rig: Rig) -> None:
    calibrations = known(rig)
    assert set(handlings(rig, calibrations)) == {"dslr", "sony", "blackberry", "iphone"}
    calibrations["sony"] = calibrations["sony"].model_copy(update={"trigger": "tap"})
    del calibrations["iphone"]
    assert set(handlings(rig, calibrations)) == {"dslr", "blackberry"}


def test_capture_is_warned_of_calibrations_that_are_missing_old_or_of_something_else(rig: Rig) -> None:
    calibrations = known(rig)
    assert calibration_warnings(rig, calibrations, NOW + timedelta(days=29)) == []
    calibrations["sony"] = calibrations["sony"].model_copy(update={"trigger": "tap"})
    calibrations["dslr"] = calibrations["dslr"].model_copy(update={"measured": NOW - timedelta(days=2)})
    blackberry = estimate(rig.devices[2], blind(Made().sightings()), NOW)
    assert blackberry is not None
    calibrations["blackberry"] = blackberry
    del calibrations["iphone"]
    lines = calibration_warnings(rig, calibrations, NOW + timedelta(days=29))
    assert [line.split(" ")[0].rstrip(":") for line in lines] == ["dslr", "sony", "blackberry", "iphone"]
    for line, word in zip(lines, ("31 days ago", "tap", "50 ms", "not calibrated"), strict=True):
        assert word in line
        assert "dpedkit calibrate --device" in line
