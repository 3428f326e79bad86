"""Is the rig fit for the shots that are asked for? Pure: what was found goes in, a table of checks comes out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from dpedkit.capture.camera import CameraInfo
from dpedkit.capture.inspection import Condition, largest_files
from dpedkit.capture.rig import Device, Rig, Thresholds
from dpedkit.errors import DpedError

Level = Literal["ok", "warn", "fail"]

HOST = "computer"
DEFAULT_BYTES: Mapping[str, int] = MappingProxyType(
    {
        "jpg": 12_000_000,
        "heic": 6_000_000,
        "cr2": 32_000_000,
        "cr3": 32_000_000,
        "nef": 55_000_000,
        "arw": 65_000_000,
        "dng": 35_000_000,
    }
)
"""What one photo may take where the device holds none to go by: what bodies of 24 to 45 megapixels write."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table.

    device  its name in the rig, or HOST
    topic   "present", "settings", "battery", ...
    found   what is
    wanted  what should be; "" where there is no limit
    level   "fail": no session should begin like this
    remedy  what to do; "" where all is well
    """

    device: str
    topic: str
    found: str
    wanted: str = ""
    level: Level = "ok"
    remedy: str = ""


def preflight(
    rig: Rig,
    conditions: Sequence[Condition],
    shots: int,
    *,
    calibration: Mapping[str, str] = MappingProxyType({}),
    host_free_bytes: int | None = None,
) -> list[Check]:
    """Return what speaks for and against firing `shots` shots now, device by device in the rig's order.

    calibration      device name -> "what is wrong with its calibration; what to do"; those without have a fresh one
    host_free_bytes  room for the photos on this computer
    """
    devices = {device.name: device for device in rig.devices}
    checks: list[Check] = []
    for condition in conditions:
        checks += _device_checks(devices[condition.device], condition, rig.thresholds, shots)
        if warning := calibration.get(condition.device):
            found, _, remedy = warning.rpartition("; ")
            checks.append(Check(condition.device, "calibration", found, "", "warn", remedy))
    if host_free_bytes is not None:
        per_shot = sum(_bytes_per_shot(devices[condition.device], condition) for condition in conditions)
        checks.append(_space(HOST, host_free_bytes, shots * per_shot, rig.thresholds, "free some space on this disk"))
    return checks


def supplies(rig: Rig, device: str, info: CameraInfo) -> list[Check]:
    """Return how a device stands in the middle of a session: charge, room for one more shot, temperature."""
    found = next(known for known in rig.devices if known.name == device)
    return list(_supplies(found, Condition(device, info=info), rig.thresholds, shots=1))


def _device_checks(device: Device, condition: Condition, limits: Thresholds, shots: int) -> Iterator[Check]:
    name, info = device.name, condition.info
    if condition.missing is not None or info is None:
        error = condition.missing or DpedError("it does not say who it is", "switch it off and on")
        yield Check(name, "present", error.cause, device.address, "fail", error.remedy)
        return
    yield Check(name, "present", f"{info.make} {info.model}".strip())
    if condition.refusal is not None:
        yield Check(name, "settings", condition.refusal.cause, "", "fail", condition.refusal.remedy)
    else:
        yield Check(name, "settings", "applied and verified")
    if condition.trouble and condition.refusal is None:  # which would say it twice
        yield Check(name, "state", condition.trouble, "", "fail", "look at its screen")
    yield from _supplies(device, condition, limits, shots)
    yield _clock(device, condition, limits)
    for warning in info.warnings:
        yield Check(name, "notice", warning, "", "warn", "see to it by hand")


def _supplies(device: Device, condition: Condition, limits: Thresholds, shots: int) -> Iterator[Check]:
    name, info = device.name, condition.info
    if info is None:
        return
    least = f"at least {limits.battery_percent}%"
    if info.battery_percent is None:
        yield Check(name, "battery", "it does not tell", least, "warn", "look at its display")
    else:
        enough = info.battery_percent >= limits.battery_percent
        yield _verdict(name, "battery", f"{info.battery_percent}%", least, enough, "charge it, or plug it in")
    if info.free_bytes is None:
        yield Check(name, "space", "it does not tell", f"{shots} shots", "warn", "look at its display")
    else:
        wanted = shots * _bytes_per_shot(device, condition)
        yield _space(name, info.free_bytes, wanted, limits, "free or change its card, or ask for fewer shots")
    if info.temperature_c is not None:
        cool = info.temperature_c <= limits.temperature_c
        most = f"at most {limits.temperature_c:g} °C"
        yield _verdict(name, "temperature", f"{info.temperature_c:.1f} °C", most, cool, "let it cool, out of the sun")


def _clock(device: Device, condition: Condition, limits: Thresholds) -> Check:
    wanted = f"known to ± {limits.clock_ms:g} ms"
    if condition.clock is None:
        remedy = "its shots have no measured skew; set its clock in its menu, and see that it runs"
        return Check(device.name, "clock", "none that can be read", wanted, "warn", remedy)
    bound_ms = condition.clock.bound_ns / 1e6
    found = f"{condition.clock.offset_ns / 1e6:+.1f} ± {bound_ms:.1f} ms"
    if bound_ms <= limits.clock_ms:
        return Check(device.name, "clock", found, wanted)
    if device.role == "phone":  # which waits for the shot on its own clock; a DSLR is fired on ours
        return Check(
            device.name, "clock", found, wanted, "fail", "use a cable instead of Wi-Fi, close other apps on it"
        )
    return Check(device.name, "clock", found, wanted, "warn", "the skew of its shots is known no better than that")


def _space(name: str, free_bytes: int, wanted_bytes: int, limits: Thresholds, remedy: str) -> Check:
    least_bytes = wanted_bytes + round(limits.free_mb * 1e6)
    return _verdict(
        name, "space", _size(free_bytes), f"at least {_size(least_bytes)}", free_bytes >= least_bytes, remedy
    )


def _verdict(device: str, topic: str, found: str, wanted: str, good: bool, remedy: str) -> Check:
    return Check(device, topic, found, wanted) if good else Check(device, topic, found, wanted, "fail", remedy)


def _bytes_per_shot(device: Device, condition: Condition) -> int:
    """Return the room that one shot takes: the largest photo of each kind that is there, else what is usual."""
    largest = largest_files(condition.photos)
    return sum(largest.get(ending) or DEFAULT_BYTES[ending] for ending in device.files)


def _size(count_bytes: int) -> str:
    return f"{count_bytes / 1e9:.1f} GB" if count_bytes >= 1e9 else f"{count_bytes / 1e6:.0f} MB"
