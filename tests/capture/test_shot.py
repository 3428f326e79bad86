from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.capture.shot import (
    STAMP_LAG_NS,
    ShotPlan,
    ShotResult,
    ShutterTime,
    StoredPhoto,
    shutter_time,
    spread,
)
from dpedkit.errors import PullFailed

MS = 1_000_000
NOON_NS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()) * 1000 * MS


def stamped(device_ns: int, zone_h: float, quantum_ns: int) -> datetime:
    """What a device whose clock shows `device_ns` (UTC) writes into a photo."""
    zone = timezone(timedelta(hours=zone_h))
    cut_us = device_ns // quantum_ns * quantum_ns // 1000
    return (datetime.fromtimestamp(0, zone) + timedelta(microseconds=cut_us)).replace(tzinfo=None)


@pytest.mark.parametrize("zone_h", [0, 5.75, -9.5, 14, -12])
@pytest.mark.parametrize("quantum_ns", [MS, 10 * MS, 1000 * MS])
@pytest.mark.parametrize("ahead_ns", [3_270 * MS, -86_400_000 * MS])
def test_a_photos_time_stamp_leads_back_to_the_shutter(zone_h: float, quantum_ns: int, ahead_ns: int) -> None:
    for opened_ns in range(NOON_NS, NOON_NS + 2_000 * MS, 333_333_333):
        taken_at = stamped(opened_ns + ahead_ns, zone_h, quantum_ns)
        clock = ClockOffset(ahead_ns + 80_000, 100_000)
        found = shutter_time(taken_at, timedelta(microseconds=quantum_ns // 1000), clock, near_ns=NOON_NS + 5_000 * MS)
        assert abs(found.t_ns - opened_ns) <= quantum_ns + 100_000
        assert found.bound_ns == quantum_ns + 100_000 + STAMP_LAG_NS


def test_cut_time_stamps_are_right_on_average() -> None:
    opened_ns = range(NOON_NS, NOON_NS + 1000 * MS, 1_234_567)
    clock = ClockOffset(0, 0)
    ten_ms = timedelta(milliseconds=10)
    found_ns = [shutter_time(stamped(t, 0, 10 * MS), ten_ms, clock, NOON_NS).t_ns for t in opened_ns]
    assert abs(sum(found - t for found, t in zip(found_ns, opened_ns, strict=True))) / len(opened_ns) < 0.2 * MS


def test_skew_is_the_spread_of_the_shutters_within_its_bound() -> None:
    skew = spread({"dslr": ShutterTime(100, 10), "sony": ShutterTime(130, 1), "htc": ShutterTime(90, 2)})
    assert skew is not None
    assert (skew.spread_ns, skew.devices) == (40, ("htc", "dslr", "sony"))
    # the true spread lies between 129 - 92 = 37 (dslr cannot change that) and 131 - 88 = 43
    assert skew.bound_ns == 3


def test_a_late_device_of_wide_bound_widens_the_skew() -> None:
    skew = spread({"dslr": ShutterTime(0, 500), "sony": ShutterTime(0, 1)})
    assert skew is not None
    assert (skew.spread_ns, skew.bound_ns) == (0, 501)


def test_one_shutter_has_no_skew() -> None:
    assert spread({"dslr": ShutterTime(100, 10)}) is None


def photo(device: str, shutter: ShutterTime | None) -> StoredPhoto:
    return StoredPhoto(device, "phone", Path("a.jpg"), "/a.jpg", "0" * 64, 1, Release(1, 2), None, shutter)


def test_a_shot_with_a_failure_is_incomplete_and_keeps_its_photos() -> None:
    plan = ShotPlan("s", 1, "street", NOON_NS)
    photos = (photo("dslr", None), photo("sony", ShutterTime(5, 1)), photo("htc", ShutterTime(9, 1)))
    whole = ShotResult(plan, photos, {})
    assert whole.status == "complete"
    assert whole.skew is not None
    assert whole.skew.devices == ("sony", "htc")
    broken = ShotResult(plan, photos, {"iphone": PullFailed("gone")})
    assert broken.status == "incomplete"
    assert len(broken.photos) == 3
