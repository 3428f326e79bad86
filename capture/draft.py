"""A rig file for the devices that were found, commented like the one of `dpedkit init`. Pure: text in, text out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from dpedkit.capture.camera import CameraInfo
from dpedkit.capture.drivers import find_driver
from dpedkit.capture.rig import Rig
from dpedkit.settings import check

Role = Literal["dslr", "phone"]

ROLES: Mapping[str, Role] = MappingProxyType({"gphoto2": "dslr", "adb": "phone"})
_COLUMN = 34
_HEAD = """\
# One tripod, as `dpedkit rig new` found it. `dpedkit rig check --rig {name}` says whether it is fit for a session.
name = {quoted}

[thresholds]                      # left out, they are as written here
skew_ms = 100                     # a shot whose shutters opened further apart than this is flagged
# battery_percent = 15            # below this a device is not fit for a session
# free_mb = 200                   # room on a device after the shots that are asked for
# temperature_c = 45              # above this a device is not fit for a session
# clock_ms = 20                   # largest uncertainty of a device's clock
# calibration_days = 30           # age at which a calibration is called old
"""
_SETTINGS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "gphoto2": (
            "[device.settings]",
            "# their names and choices are libgphoto2's: `gphoto2 --list-all-config` shows this camera's",
            'capturetarget = "Memory card"',
            '# imageformat = "Large Fine JPEG"  # or "RAW + Large Fine JPEG", with files = ["jpg", "cr2"]',
            '# iso = "100"',
            '# aperture = "8"',
            '# shutterspeed = "1/125"',
            '# whitebalance = "Daylight"',
        ),
        "adb": (
            "[device.settings]",
            '# camera_app = "net.sourceforge.opencamera/.MainActivity"  # left out: the phone\'s own',
            '# "system.screen_brightness" = 40  # any of Android\'s: NAMESPACE.KEY, of system, secure or global',
        ),
    }
)
_OTHER_TRIGGERS = MappingProxyType(
    {
        "tap": "tap:X,Y",
        "keyevent": "keyevent",
        "intent": "intent:PACKAGE/ACTIVITY",
        "shell": "shell:COMMAND",
        "events": "events:NODE RECORDING",
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answered.

    driver   the one that it answered to
    address  for the rig file
    endings  of the newest photo on it, lower case without the dot; empty: there is none
    """

    driver: str
    address: str
    info: CameraInfo
    endings: frozenset[str] = frozenset()


def draft_rig(name: str, found: Sequence[Found]) -> str:
    """Return the text of a rig file; it is a whole rig if `found` holds exactly one DSLR.

    Raises:
        SettingsError: the devices make no rig, or `name` is none.
    """
    ordered = sorted(found, key=lambda one: ROLES[one.driver])
    parts = [_HEAD.format(name=name, quoted=json.dumps(name))]
    names: list[str] = []
    for one in ordered:
        names.append(_unused(_slug(one.info.model) or ROLES[one.driver], names))
        parts.append(_device(names[-1], one))
    text = "\n".join(parts)
    check(Rig, tomllib.loads(text), f"rig {name!r}")
    return text


def _device(name: str, found: Found) -> str:
    driver, role = find_driver(found.driver), ROLES[found.driver]
    trigger = _trigger(found)
    least, most = driver.triggers[trigger]
    others = [_OTHER_TRIGGERS.get(kind, kind) for kind in driver.triggers if kind != trigger]
    files = [ending for ending in driver.files if ending in found.endings] or ["jpg"]
    serial = f", serial number {found.info.serial}" if found.info.serial else ""
    lines = [
        _comment(f"{found.info.make} {found.info.model}{serial}"),
        "[[device]]",
        _line(f"name = {json.dumps(name)}", f"part of its photos' names: photos/SESSION/0001_{name}.jpg"),
        _line(f"role = {json.dumps(role)}", 'exactly one device is the "dslr"'),
        f"driver = {json.dumps(found.driver)}",
        f"address = {json.dumps(found.address)}",
        _line(f"trigger = {json.dumps(trigger)}", f"takes {least}-{most} ms; others: {', '.join(others)}"),
        _line(f"files = {json.dumps(files)}", f"what one release makes; of: {', '.join(driver.files)}"),
        _line(f"lag_ms = {(least + most) // 2}", "until `dpedkit calibrate` measures it: fired this much earlier"),
        _line("timeout_s = 30", "how long a shot waits for its photos"),
    ]
    return "\n".join([*lines, *_SETTINGS[found.driver]]) + "\n"


def _trigger(found: Found) -> str:
    """Return the driver's first trigger that the device can be expected to have."""
    triggers = list(find_driver(found.driver).triggers)
    is_canon = "canon" in f"{found.info.make} {found.info.model}".lower()
    return next(trigger for trigger in triggers if trigger != "eos" or is_canon)


def _comment(words: str) -> str:
    """Return a line of comment; what a device calls itself may be anything."""
    return "# " + " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())


def _line(entry: str, comment: str) -> str:
    return f"{entry:{_COLUMN - 1}} # {comment}"


def _slug(model: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")


def _unused(name: str, taken: Sequence[str]) -> str:
    candidate, again = name, 2
    while candidate in taken:
        candidate, again = f"{name}-{again}", again + 1
    return candidate
