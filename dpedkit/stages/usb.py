"""The part of `dpedkit doctor` that looks at USB: what is there, what stands in the way, who is not let in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dpedkit.capture.connect import make_camera
from dpedkit.capture.rig import Device
from dpedkit.capture.usb import Machine, Obstacle, find_obstacles, usb_devices
from dpedkit.errors import DpedError
from dpedkit.stages.overview import Finding
from dpedkit.stages.rigs import look_at_usb


def usb_findings(machine: Machine, keys: Path | None, *, fix: bool) -> list[Finding]:
    """Return what there is to say about USB.

    keys  folder of this computer's adb key; None: phones are not asked whether they accept it
    fix   whether to move out of the way what is safe to move; what was done is among the findings
    """
    devices = usb_devices(machine)
    obstacles = find_obstacles(machine, devices)
    done: list[Finding] = []
    if fix:
        done = [_fixed(obstacle) for obstacle in obstacles if obstacle.fix is not None]
        obstacles = find_obstacles(machine, devices)
    there = ", ".join(device.name for device in devices) or "no camera, no phone with USB debugging"
    findings = [Finding("USB", "ok", there)] if (machine.sys / "bus" / "usb").is_dir() else []
    findings += done + [_found(obstacle) for obstacle in obstacles]
    if any(obstacle.is_grave for obstacle in obstacles):
        return findings  # asking the devices would only say the same in other words
    return findings + _asked(keys, any(device.kind == "phone" for device in devices))


def phone_findings(addresses: Sequence[str], keys: Path) -> list[Finding]:
    """Knock at phones: one that does not know this computer's key asks its owner on the screen."""
    findings = []
    for address in addresses:
        device = Device.model_validate({"name": "phone", "role": "phone", "driver": "adb", "address": address})
        phone = make_camera(device, address, keys)
        try:
            phone.open()
            findings.append(Finding(f"phone {address}", "ok", "lets this computer in"))
        except DpedError as error:
            findings.append(Finding(f"phone {address}", "problem", error.cause, error.remedy))
        finally:
            phone.close()
    return findings


def _asked(keys: Path | None, has_phone: bool) -> list[Finding]:
    connected, blind = look_at_usb()
    findings = [Finding(f"{driver} on USB", "problem" if has_phone else "note", why) for driver, why in blind.items()]
    findings += [Finding(one.model, "problem", one.trouble) for one in connected if one.trouble]
    phones = [one.address for one in connected if one.driver == "adb" and not one.trouble]
    return findings + (phone_findings(phones, keys) if keys else [])


def _found(obstacle: Obstacle) -> Finding:
    return Finding(obstacle.topic, "problem" if obstacle.is_grave else "note", obstacle.found, obstacle.remedy)


def _fixed(obstacle: Obstacle) -> Finding:
    try:
        return Finding("fixed", "ok", obstacle.fix() if obstacle.fix else "")
    except DpedError as error:
        return Finding(obstacle.topic, "problem", error.cause, error.remedy)
