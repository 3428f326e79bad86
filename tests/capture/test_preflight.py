"""The table of a preflight: each threshold from both sides, and what a device in trouble leads to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset
from dpedkit.capture.inspection import Condition
from dpedkit.capture.preflight import Check, preflight
from dpedkit.capture.rig import Rig
from dpedkit.errors import CameraError, CameraNotFound

RIG = Rig.model_validate(
    {
        "name": "tripod",
        "thresholds": {"battery_percent": 20, "free_mb": 100, "temperature_c": 40, "clock_ms": 5},
        "device": [
            {"name": "canon", "role": "dslr", "driver": "gphoto2", "address": "usb:1", "files": ["jpg", "cr2"]},
            {"name": "sony", "role": "phone", "driver": "adb", "address": "tcp:10.0.0.2:5555"},
        ],
    }
)
CANON = Condition(
    "canon",
    info=CameraInfo("Canon", "70D", "1", battery_percent=20, free_bytes=1_000_000_000),
    clock=ClockOffset(3_000_000, 5_000_000, 0),
    photos=frozenset({CameraFile("/a/1.JPG", 8_000_000), CameraFile("/a/2.JPG", 9_000_000)}),
)
SONY = Condition(
    "sony",
    info=CameraInfo("Sony", "C6603", "2", battery_percent=90, free_bytes=112_000_000, temperature_c=40.0),
    clock=ClockOffset(-3_000_000, 5_000_000, 0),
)


def checks(*conditions: Condition, shots: int = 1, **more: object) -> dict[tuple[str, str], Check]:
    found = preflight(RIG, conditions, shots, **more)
    assert all(bool(one.remedy) == (one.level != "ok") for one in found)
    return {(one.device, one.topic): one for one in found}


def with_info(condition: Condition, **change: object) -> Condition:
    assert condition.info is not None
    return replace(condition, info=replace(condition.info, **change))


def test_a_rig_that_just_meets_every_threshold_is_fit() -> None:
    found = checks(CANON, SONY, host_free_bytes=153_000_000)
    assert {one.level for one in found.values()} == {"ok"}
    assert [topic for device, topic in found if device == "sony"] == [
        "present",
        "settings",
        "battery",
        "space",
        "temperature",
        "clock",
    ]
    assert found["canon", "present"].found == "Canon 70D"
    assert found["sony", "clock"].found == "-3.0 ± 5.0 ms"


@pytest.mark.parametrize(
    ("topic", "condition"),
    [
        ("battery", with_info(SONY, battery_percent=19)),
        ("space", with_info(SONY, free_bytes=111_999_999)),
        ("temperature", with_info(SONY, temperature_c=40.1)),
        ("clock", replace(SONY, clock=ClockOffset(0, 5_000_001, 0))),
        ("state", replace(SONY, trouble="its screen is locked")),
        ("settings", replace(SONY, refusal=CameraError("sony: it is locked", "unlock it by hand"))),
    ],
)
def test_a_phone_beyond_a_threshold_is_not_fit(topic: str, condition: Condition) -> None:
    found = checks(CANON, condition)
    assert [key for key, one in found.items() if one.level == "fail"] == [("sony", topic)]


def test_a_dslr_is_fired_by_our_clock_so_its_own_is_no_reason_to_stop() -> None:
    for clock in (ClockOffset(0, 5_000_001, 0), None):
        assert checks(replace(CANON, clock=clock), SONY)["canon", "clock"].level == "warn"


def test_room_is_what_the_largest_photos_there_take_else_what_is_usual() -> None:
    # a JPEG of 9 MB as on the card, a CR2 of 32 MB as usual: 41 MB a shot, and 100 MB must stay free
    enough = with_info(CANON, free_bytes=10 * 41_000_000 + 100_000_000)
    assert checks(enough, SONY, shots=10)["canon", "space"].level == "ok"
    assert checks(enough, SONY, shots=11)["canon", "space"].level == "fail"
    here = checks(CANON, SONY, shots=2, host_free_bytes=2 * (41_000_000 + 12_000_000) + 99_999_999)
    assert (here["computer", "space"].level, here["computer", "space"].wanted) == ("fail", "at least 206 MB")


def test_a_device_that_is_not_there_has_one_line() -> None:
    gone = Condition("sony", missing=CameraNotFound("sony", "tcp:10.0.0.2:5555"))
    found = checks(CANON, gone)
    assert [topic for device, topic in found if device == "sony"] == ["present"]
    assert found["sony", "present"].level == "fail"
    assert "no device 'sony'" in found["sony", "present"].found


def test_what_a_device_does_not_tell_is_said_and_stops_nothing() -> None:
    found = checks(CANON, with_info(SONY, battery_percent=None, free_bytes=None, temperature_c=None))
    assert (found["sony", "battery"].level, found["sony", "space"].level) == ("warn", "warn")
    assert ("sony", "temperature") not in found


def test_warnings_of_drivers_and_of_the_calibration_are_shown() -> None:
    warned = with_info(CANON, warnings=("autopoweroff cannot be set",))
    found = checks(warned, SONY, calibration={"sony": "never calibrated; run it"})
    assert found["canon", "notice"].found == "autopoweroff cannot be set"
    assert (found["sony", "calibration"].found, found["sony", "calibration"].level) == ("never calibrated", "warn")
    assert found["sony", "calibration"].remedy == "run it"
