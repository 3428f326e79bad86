"""What is connected, a rig file for it, and whether a rig is fit for a session."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dpedkit.capture.calibration import calibration_warnings, load_calibrations
from dpedkit.capture.connect import connect, make_camera
from dpedkit.capture.draft import ROLES, Found, draft_rig
from dpedkit.capture.drivers import DRIVERS, Seen
from dpedkit.capture.inspection import DeviceReport, inspect, inspect_cameras, newest_endings, probe
from dpedkit.capture.preflight import Check, preflight
from dpedkit.capture.rig import Device, Rig, load_rig
from dpedkit.errors import CameraError, DpedError, NoWorkspace, UsageError
from dpedkit.files import write_atomic
from dpedkit.workspace import Workspace, find_workspace


@dataclass(frozen=True, slots=True)
class Connected:
    """A device on USB, and the driver that sees it."""

    driver: str
    model: str
    address: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class RigReport:
    """The devices of one rig file; `error` is what is wrong with the file itself."""

    name: str
    devices: list[DeviceReport] = field(default_factory=list)
    error: DpedError | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that could be fired: what is on USB, and the devices of each rig file.

    blind  driver -> why it cannot look
    """

    connected: list[Connected]
    rigs: list[RigReport]
    blind: dict[str, str]


def find_devices(workspace: Workspace, rig_name: str) -> list[DeviceReport]:
    """Ask every device of a rig who it is; a missing one has its error in its report."""
    rig = load_rig(workspace.rig_file(rig_name))
    with connect(rig, workspace.simulated(rig.name), workspace.keys) as connection:
        return probe(rig, connection.addresses, workspace.keys)


def find_everything(folder: Path) -> Overview:
    """Look at USB, and at every rig of the workspace that `folder` lies in, where there is one."""
    connected, blind = look_at_usb()
    rigs = []
    try:
        workspace = find_workspace(folder)
    except NoWorkspace:
        return Overview(connected, [], blind)
    for path in sorted((workspace.root / "rigs").glob("*.toml")):
        try:
            rigs.append(RigReport(path.stem, find_devices(workspace, path.stem)))
        except DpedError as error:
            rigs.append(RigReport(path.stem, error=error))
    return Overview(connected, rigs, blind)


def look_at_usb() -> tuple[list[Connected], dict[str, str]]:
    """Return what all drivers see, and why those that cannot look cannot; a phone is not also a camera."""
    seen: dict[str, list[Seen]] = {}
    blind: dict[str, str] = {}
    for name, driver in DRIVERS.items():
        try:
            seen[name] = driver.detect()
        except DpedError as error:
            blind[name] = f"{error.cause}; {error.remedy}"
    phones = {one.address for one in seen.get("adb", []) if one.address != "usb:"}
    found = [
        Connected(name, one.model, one.address, one.trouble)
        for name, devices in seen.items()
        for one in devices
        if name == "adb" or one.address not in phones  # a phone also shows its photos as a camera does
    ]
    return found, blind


@dataclass(frozen=True, slots=True)
class NewRig:
    """A rig file that was written, or would be."""

    path: str
    text: str
    devices: list[str]
    left_out: dict[str, str]


def new_rig(workspace: Workspace, name: str, addresses: Sequence[str], *, dry_run: bool) -> NewRig:
    """Write rigs/NAME.toml for what is connected by USB and what answers at `addresses`.

    A device on USB that cannot be asked is left out; one whose address was given must answer.

    Raises:
        UsageError: there is a rig of this name, or an address is none.
        CameraError: a given device does not answer, or there is not exactly one DSLR.
    """
    path = workspace.rig_file(name)
    if path.exists():
        raise UsageError(f"{path} is there already", "choose another name, or move it away")
    connected, blind = look_at_usb()
    left_out = {f"{one.model} {one.address}": one.trouble for one in connected if one.trouble}
    drivers = {one.address: one.driver for one in connected if not one.trouble}
    drivers |= {address: _driver_for(address, drivers) for address in addresses}
    found, silent = _ask(drivers, workspace.keys)
    for address in addresses:
        if address in silent:
            raise silent[address]
    left_out |= {address: f"{error.cause}; {error.remedy}" for address, error in silent.items()} | blind
    _check_roles(found, left_out)
    text = draft_rig(name, found)
    if not dry_run:
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, text.encode())
    names = [f"{one.info.make} {one.info.model}".strip() for one in found]
    return NewRig(str(path), text, names, left_out)


def check_rig(workspace: Workspace, rig_name: str, shots: int) -> list[Check]:
    """Make every device of a rig ready and say whether it is fit for `shots` shots; nothing is fired."""
    rig = load_rig(workspace.rig_file(rig_name))
    with connect(rig, workspace.simulated(rig.name), workspace.keys) as connection:
        conditions = inspect(rig, connection.addresses, workspace.keys)
    return preflight(
        rig,
        conditions,
        shots,
        calibration=calibration_notes(rig, workspace.calibration_file(rig_name)),
        host_free_bytes=shutil.disk_usage(workspace.root).free,
    )


def calibration_notes(rig: Rig, file: Path) -> dict[str, str]:
    """Return what is wrong with the devices' calibrations and what to do, as `preflight` takes it."""
    known, now = load_calibrations(file), datetime.now(UTC)
    notes = {}
    for device in rig.devices:
        alone = rig.model_copy(update={"devices": (device,)})
        for line in calibration_warnings(alone, known, now):
            notes[device.name] = line
    return notes


def _driver_for(address: str, connected: Mapping[str, str]) -> str:
    """Return the driver that an address belongs to."""
    if address in connected:
        return connected[address]
    scheme, _, place = address.partition(":")
    fitting = [name for name, driver in DRIVERS.items() if scheme in driver.schemes]
    if not place or not fitting:
        raise UsageError(f"{address!r} is no device's address", 'write "tcp:HOST:PORT" or "ptpip:HOST"')
    if len(fitting) > 1:
        there = ", ".join(connected) or "nothing"
        raise CameraError(f"no device at {address}; on USB: {there}", "check its cable, then run `dpedkit devices`")
    return fitting[0]


def _ask(drivers: Mapping[str, str], keys: Path) -> tuple[list[Found], dict[str, DpedError]]:
    """Ask the device at each address who it is; return those that answer and the others' errors."""
    devices = {
        address: Device.model_validate({"name": "asked", "role": ROLES[driver], "driver": driver, "address": address})
        for address, driver in drivers.items()
    }
    cameras = {address: make_camera(device, address, keys) for address, device in devices.items()}
    found, silent = [], {}
    for condition in inspect_cameras(cameras, prepare=False):
        address = condition.device
        if condition.info is None:
            silent[address] = condition.missing or CameraError(f"{address} does not say who it is")
        else:
            found.append(Found(drivers[address], address, condition.info, newest_endings(condition.photos)))
    return found, silent


def _check_roles(found: Iterable[Found], left_out: Mapping[str, str]) -> None:
    """A rig has one DSLR: say so before a file is drafted that could not be loaded."""
    models = [f"{one.info.model} at {one.address}" for one in found if ROLES[one.driver] == "dslr"]
    if len(models) > 1:
        raise CameraError(f"a rig has one DSLR, here are {len(models)}: {', '.join(models)}", "disconnect the others")
    if not models:
        why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise CameraError(
            f"no DSLR answers{f' ({why})' if why else ''}",
            "connect it by USB, switch it on, or name one on the network: --device ptpip:HOST",
        )


def run_simulated(workspace: Workspace, rig_name: str, ready: Callable[[dict[str, str]], None]) -> None:
    """Run a rig's simulated devices until the process is told to stop; `ready` is called with their addresses.

    Raises:
        UsageError: the rig has none.
    """
    rig = load_rig(workspace.rig_file(rig_name))
    if not rig.rehearsal:
        raise UsageError(f"no device of the rig {rig.name!r} is simulated", "make a workspace with --rig simulated")
    with connect(rig, workspace.simulated(rig.name), workspace.keys) as connection:
        ready({device.name: connection.addresses[device.name] for device in rig.rehearsal})
        threading.Event().wait()
