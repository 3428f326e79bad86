from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from pathlib import Path

import pytest

from dpedkit.capture.camera import CameraFile, ClockOffset, Release
from dpedkit.capture.shot import (
    STAMP_LAG_NS,
    Shot,
    ShotPlan,
    ShutterTime,
    StampLag,
    StoredPhoto,
    shutter_time,
    spread,
)
from dpedkit.errors import CameraError, CameraTimeout, PullFailed

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
        clock = ClockOffset(ahead_ns + 80_000, 100_000, at_ns=NOON_NS)
        found = shutter_time(taken_at, timedelta(microseconds=quantum_ns // 1000), clock, near_ns=NOON_NS + 5_000 * MS)
        assert found is not None
        assert abs(found.t_ns - opened_ns) <= quantum_ns + 100_000
        assert found.bound_ns == quantum_ns + 100_000 + STAMP_LAG_NS


def test_cut_time_stamps_are_right_on_average() -> None:
    opened_ns = range(NOON_NS, NOON_NS + 1000 * MS, 1_234_567)
    clock = ClockOffset(0, 0, at_ns=NOON_NS)
    ten_ms = timedelta(milliseconds=10)
    found = [shutter_time(stamped(t, 0, 10 * MS), ten_ms, clock, NOON_NS) for t in opened_ns]
    errors_ns = [shutter.t_ns - t for shutter, t in zip(found, opened_ns, strict=True) if shutter]
    assert len(errors_ns) == len(opened_ns)
    assert abs(sum(errors_ns)) / len(opened_ns) < 0.2 * MS


@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize("quantum_ns", [MS, 1000 * MS])
def test_a_calibrated_stamp_lag_is_taken_off_and_narrows_the_bound(quantum_ns: int, *, rounds: bool) -> None:
    lag_ns, step, clock = 1_370 * MS, timedelta(microseconds=quantum_ns // 1000), ClockOffset(0, 0, at_ns=NOON_NS)
    opened_ns = range(NOON_NS, NOON_NS + 20_000 * MS, 123_456_789)

    def found(stamp: StampLag) -> list[ShutterTime]:
        early_ns = quantum_ns // 2 if rounds else 0
        stamps = [stamped(t + lag_ns + early_ns, 2, quantum_ns) for t in opened_ns]
        return [shutter for s in stamps if (shutter := shutter_time(s, step, clock, NOON_NS, stamp))]

    errors_ns = [shutter.t_ns - t for shutter, t in zip(found(StampLag(0, 0)), opened_ns, strict=True)]
    measured = StampLag(round((min(errors_ns) + max(errors_ns)) / 2), 20 * MS)
    for shutter, t in zip(found(measured), opened_ns, strict=True):
        assert abs(shutter.t_ns - t) <= shutter.bound_ns == quantum_ns // 2 + 20 * MS


@pytest.mark.parametrize("seed", range(200))
def test_the_shutter_lies_within_its_bound_for_any_clock_that_keeps_its_own(seed: int) -> None:
    rng = random.Random(seed)
    quantum_ns = rng.choice([MS, 10 * MS, 1000 * MS])
    at_ns = NOON_NS + rng.randrange(-3_600_000, 3_600_000) * MS
    true = ClockOffset(rng.randrange(-400_000_000, 400_000_000) * MS, 0, at_ns, drift=rng.uniform(-5e-4, 5e-4))
    bound_ns, drift_bound = rng.randrange(50 * MS), rng.uniform(0, 1e-4)
    clock = ClockOffset(
        true.offset_ns + rng.randint(-bound_ns, bound_ns),
        bound_ns,
        at_ns,
        true.drift + rng.uniform(-drift_bound, drift_bound),
        drift_bound,
    )
    lag_bound_ns = rng.randrange(1, 30 * MS)
    stamp = StampLag(rng.randrange(-1000, 2000) * MS, lag_bound_ns)
    opened_ns = NOON_NS + rng.randrange(60_000) * MS
    stamped_at_ns = opened_ns + stamp.lag_ns + rng.randint(-lag_bound_ns, lag_bound_ns)
    device_ns = stamped_at_ns + true.at(stamped_at_ns).offset_ns
    taken_at = stamped(device_ns, rng.choice([0, 5.5, -3.5, 12.75, -11]), quantum_ns)
    near_ns = opened_ns + rng.randrange(-360_000, 360_000) * MS
    found = shutter_time(taken_at, timedelta(microseconds=quantum_ns // 1000), clock, near_ns, stamp)
    assert found is not None
    assert abs(found.t_ns - opened_ns) <= found.bound_ns + 2000  # EXIF counts microseconds
    most_ns = bound_ns + quantum_ns // 2 + lag_bound_ns
    assert most_ns <= found.bound_ns <= most_ns + drift_bound * 4_000_000 * MS


@pytest.mark.parametrize("date", [datetime(1970, 1, 1), datetime(2000, 1, 1, 0, 3), datetime(2026, 3, 3), datetime.max])
def test_a_date_that_the_devices_clock_cannot_have_shown_tells_nothing(date: datetime) -> None:
    clock = ClockOffset(3_000 * MS, 100_000, at_ns=NOON_NS)
    assert shutter_time(date, timedelta(seconds=1), clock, NOON_NS) is None


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


OWED = {"dslr": (".jpg", ".cr2"), "sony": (".jpg",)}
PLAN = ShotPlan("s", 1, "street", NOON_NS)


def photo(device: str, ending: str = ".jpg", shutter: ShutterTime | None = None, damage: str = "") -> StoredPhoto:
    return StoredPhoto(
        device=device,
        role="dslr" if device == "dslr" else "phone",
        number=1,
        path=Path(f"0001_{device}{ending}"),
        on_device=CameraFile(f"/DCIM/1{ending}", 9),
        sha256="0" * 64,
        release=Release(1, 2),
        meta=None,
        colour=None,
        shutter=shutter,
        damage=damage,
    )


Step = Callable[[Shot], Shot]
STEPS: dict[str, Step] = {
    "dslr ready": lambda shot: shot.ready("dslr"),
    "dslr .jpg": lambda shot: shot.stored(photo("dslr")),
    "dslr .cr2": lambda shot: shot.stored(photo("dslr", ".cr2")),
    "dslr failed": lambda shot: shot.failed("dslr", CameraTimeout("dslr: no photo")),
    "sony ready": lambda shot: shot.ready("sony"),
    "sony .jpg": lambda shot: shot.stored(photo("sony")),
    "sony failed": lambda shot: shot.failed("sony", PullFailed("sony: gone")),
}


def walk(names: Sequence[str]) -> Shot:
    """Take the steps one after the other; after each the shot stands where those taken so far leave it."""
    shot, done = Shot(PLAN, OWED), set[str]()
    for name in names:
        shot = STEPS[name](shot)
        done.add(name)
        paid = {device for device, endings in OWED.items() if done >= {f"{device} {ending}" for ending in endings}}
        failed = {device for device in OWED if f"{device} failed" in done} - paid
        ready = {device for device in OWED if f"{device} ready" in done}
        assert {device for device in OWED if shot.has_paid(device)} == paid
        assert shot.is_settled == (paid | failed == OWED.keys())
        assert shot.is_ready == (paid | failed | ready == OWED.keys())
        assert list(shot.result.failures) == [device for device in OWED if device in failed]
        assert shot.result.status == ("incomplete" if failed else "complete")
    return shot


@pytest.mark.parametrize("left_out", ["sony failed", "dslr failed", "dslr ready", "dslr .cr2", "sony .jpg"])
def test_a_shot_comes_to_the_same_end_in_whatever_order_things_happen(left_out: str) -> None:
    taken = [name for name in STEPS if name != left_out]
    for names in permutations(taken):
        walk(names)
    result = walk(taken).result
    missing = {"dslr .cr2": "dslr", "sony .jpg": "sony"}.get(left_out)
    assert set(result.failures) == ({missing} if missing else set())
    assert [photo.path.name for photo in result.photos] == [
        f"0001_{name.replace(' ', '')}" for name in ("dslr .cr2", "dslr .jpg", "sony .jpg") if name != left_out
    ]


def test_a_photo_that_is_told_twice_counts_once() -> None:
    shot = Shot(PLAN, OWED).stored(photo("dslr")).stored(photo("dslr"))
    assert (len(shot.photos), shot.has_paid("dslr")) == (1, False)


def test_a_shot_with_a_failure_is_incomplete_and_keeps_its_photos() -> None:
    shot = Shot(PLAN, {**OWED, "htc": (".jpg",), "iphone": (".jpg",)})
    for kept in (photo("sony", shutter=ShutterTime(5, 1)), photo("dslr"), photo("htc", shutter=ShutterTime(9, 1))):
        shot = shot.stored(kept)
    shot = shot.stored(photo("dslr", ".cr2"))
    assert not shot.is_settled
    result = shot.failed("iphone", PullFailed("gone")).result
    assert result.status == "incomplete"
    assert [(photo.device, photo.path.suffix) for photo in result.photos] == [
        ("dslr", ".cr2"),
        ("dslr", ".jpg"),
        ("sony", ".jpg"),
        ("htc", ".jpg"),
    ]
    assert result.skew is not None
    assert result.skew.devices == ("sony", "htc")


def test_a_damaged_photo_is_kept_and_its_device_has_failed() -> None:
    shot = Shot(PLAN, OWED).stored(photo("sony", damage="truncated"))
    shot = shot.stored(photo("dslr")).stored(photo("dslr", ".cr2"))
    assert shot.is_settled
    assert shot.result.status == "incomplete"
    assert len(shot.result.photos) == 3
    (failure,) = shot.result.failures.values()
    assert isinstance(failure, CameraError)
    assert failure.cause == "sony: /DCIM/1.jpg is damaged on the device: truncated"
    mended = shot.stored(photo("sony"))
    assert mended.result.status == "complete"


def test_the_time_of_a_damaged_photo_still_counts() -> None:
    early, late = photo("sony", shutter=ShutterTime(0, 1), damage="truncated"), photo("dslr", shutter=ShutterTime(7, 1))
    skew = Shot(PLAN, OWED).stored(early).stored(late).result.skew
    assert skew is not None
    assert (skew.spread_ns, skew.devices) == (7, ("sony", "dslr"))
