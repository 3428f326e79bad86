"""Photograph a clock with every device of a rig, and learn from the photos how each is to be fired."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpedkit.capture.calibration import (
    LEAST_SIGHTINGS,
    Calibration,
    Sighting,
    estimate,
    load_calibrations,
    save_calibrations,
)
from dpedkit.capture.clock_board import clock_page
from dpedkit.capture.connect import connect
from dpedkit.capture.rig import SIMULATED, Device, Rig, load_rig
from dpedkit.capture.shot import STAMP_LAG_NS
from dpedkit.errors import UsageError
from dpedkit.files import locked, write_atomic
from dpedkit.progress import Progress
from dpedkit.settings import nearest
from dpedkit.stages.clock_shots import ClockShots
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Plan:
    """What a calibration would do.

    devices    those that are fired
    page       the web page with the clock; None where all devices are simulated, and look at it by themselves
    file       where the result goes
    """

    rig: str
    devices: tuple[str, ...]
    shots: int
    page: Path | None
    file: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one device.

    calibration  what holds for it from now on: None where nothing was found and nothing was known
    is_new       whether it was found now
    unread       photos in which the clock could not be read
    note         what stood in the way
    """

    device: str
    calibration: Calibration | None
    is_new: bool
    unread: int = 0
    note: str = ""


@dataclass(slots=True)
class CalibrationReport:
    """What a calibration found; failed: device name -> the last thing that went wrong with it."""

    rig: str
    file: Path
    devices: list[Found] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def plan_calibration(workspace: Workspace, rig_name: str, shots: int, device: str | None = None) -> Plan:
    """Return what `calibrate` would do; nothing is touched.

    Raises:
        UsageError: the rig has no such device, or the shots are too few.
    """
    return _plan(workspace, load_rig(workspace.rig_file(rig_name)), rig_name, shots, device)


def calibrate(
    workspace: Workspace,
    rig_name: str,
    *,
    shots: int,
    progress: Progress,
    device: str | None = None,
    ask: Callable[[Path], None] = lambda _page: None,
    keep: bool = False,
    delete: bool = False,
) -> CalibrationReport:
    """Photograph the clock `shots` times, and store what that tells of each device.

    device  only this one
    ask     is called with the page that shows the clock, once the devices are ready; returns when it is shown
    keep    keep the photos here
    delete  delete the photos on the devices

    What is not found anew stays as it was. A device that keeps failing is left out, and the others go on.

    Raises:
        UsageError: the rig has no such device, or the shots are too few.
        CameraNotFound: none of the devices is there.
        StorageError: another process uses the rig, or the disk is full.
    """
    rig = load_rig(workspace.rig_file(rig_name))
    plan = _plan(workspace, rig, rig_name, shots, device)
    known = load_calibrations(plan.file)
    devices = [one for one in rig.devices if one.name in plan.devices]
    photos = workspace.root / ".calibration" / rig_name
    with (
        locked(workspace.rig_file(rig_name).with_suffix(".lock"), f"using the rig {rig_name}"),
        connect(rig, workspace.simulated(rig.name), workspace.keys) as connection,
        connection.show_board(),
    ):
        shutil.rmtree(photos, ignore_errors=True)  # of a calibration that was killed, or kept its photos
        try:
            clock_shots = ClockShots(workspace, rig, connection, photos, known, progress, delete=delete)
            clock_shots.shoot(devices, shots, lambda: _show_clock(plan.page, ask))
            report = CalibrationReport(rig_name, plan.file, failed=clock_shots.failed)
            sightings = clock_shots.sightings(devices)
        finally:
            if not keep:
                shutil.rmtree(photos, ignore_errors=True)
    for one in devices:
        report.devices.append(_judge(one, sightings[one.name], known.get(one.name)))
    new = {found.device: found.calibration for found in report.devices if found.calibration and found.is_new}
    if new:
        save_calibrations(plan.file, {**known, **new})
    return report


def _plan(workspace: Workspace, rig: Rig, rig_name: str, shots: int, device: str | None) -> Plan:
    names = [one.name for one in rig.devices]
    if device is not None and device not in names:
        raise UsageError(
            f"the rig {rig_name!r} has no device {device!r}{nearest(device, names)}", f"it has: {', '.join(names)}"
        )
    if shots < LEAST_SIGHTINGS:
        raise UsageError(f"{shots} shots tell nothing", f"take {LEAST_SIGHTINGS} at least; 24 are good")
    wanted = [one for one in rig.devices if device in (None, one.name)]
    file = workspace.calibration_file(rig_name)
    page = None if all(one.address == SIMULATED for one in wanted) else file.with_name("clock.html")
    return Plan(rig_name, tuple(one.name for one in wanted), shots, page, file)


def _show_clock(page: Path | None, ask: Callable[[Path], None]) -> None:
    if page is None:
        return
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page, clock_page().encode())
    ask(page)


def _judge(device: Device, sightings: Sequence[Sighting], old: Calibration | None) -> Found:
    """Return what a device's photos tell; what the clock told before is not given up for less."""
    found = estimate(device, sightings)
    unread = sum(sighting.board is None for sighting in sightings)
    if found is None:
        why = "no photos" if not sightings else "its photos tell neither their time nor the clock's"
        return Found(device.name, old, is_new=False, unread=unread, note=why)
    if found.source == "clock":
        return Found(device.name, found, is_new=True, unread=unread)
    if old is not None and old.source == "clock" and old.fits(device):
        note = "the clock could not be read in its photos: the old calibration stays"
        return Found(device.name, old, is_new=False, unread=unread, note=note)
    note = f"the clock could not be read: its skew is only known to {STAMP_LAG_NS / 1e6:.0f} ms"
    return Found(device.name, found, is_new=True, unread=unread, note=note)
