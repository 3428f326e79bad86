"""A rig's devices: where they are (simulated ones: wherever their processes listen), and the driver of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dpedkit.capture.camera import Camera
from dpedkit.capture.drivers import find_driver
from dpedkit.capture.rig import SIMULATED, Device, Rig, Timing
from dpedkit.capture.simulate.faults import FAULTS, ScriptedFault
from dpedkit.capture.trace import Trace

if TYPE_CHECKING:
    from dpedkit.capture.simulate.specs import SimulatedConfig


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a rig's devices are now.

    addresses   device name -> address
    next_scene  turns a simulated rig to its next scene and returns its index; None from a real one
    show_board  while entered, simulated cameras look at the clock board; of no effect on real ones
    """

    addresses: Mapping[str, str]
    next_scene: Callable[[], int | None]
    show_board: Callable[[], AbstractContextManager[None]] = nullcontext


@contextmanager
def connect(rig: Rig, state: Path, keys: Path) -> Iterator[Connection]:
    """Yield a rig's addresses, with its simulated devices running.

    state  the folder in which the simulated devices live; those that run there already are used
    keys   folder of this computer's adb key, which the simulated phones trust

    Raises:
        UsageError: a simulated device of a name that the simulated rig does not have.
        CameraError: a simulated device did not start.
    """
    real = {device.name: device.address for device in rig.devices if device.address != SIMULATED}
    if not rig.rehearsal:
        yield Connection(real, lambda: None)
        return
    from dpedkit.capture.simulate.supervisor import SimulatedRig

    names = [device.name for device in rig.rehearsal]
    with SimulatedRig(simulated_config(rig), state, names, keys / "adbkey.pub") as simulated:
        yield Connection(real | simulated.addresses, simulated.next_scene, simulated.show_board)


def simulated_config(rig: Rig) -> SimulatedConfig:
    """Return what a rig file says of its simulated devices, as their processes are told."""
    from dpedkit.capture.simulate.specs import DeviceConfig, SimulatedConfig

    said = rig.simulated
    faults: dict[str, list[ScriptedFault]] = {}
    for fault in said.faults:
        after_s = fault.after_s if fault.after_s is not None else FAULTS[fault.fault].after_s
        faults.setdefault(fault.device, []).append(ScriptedFault(fault.fault, fault.shots, after_s or 0.0))
    devices = {
        device.name: DeviceConfig(
            said.timing.get(device.name, Timing()).model_dump(exclude_none=True),
            device.files,
            tuple(faults.get(device.name, ())),
        )
        for device in rig.rehearsal
    }
    return SimulatedConfig(said.scale, said.seed, str(said.scenes) if said.scenes else None, devices)


def make_camera(device: Device, address: str, keys: Path, trace: Trace | None = None) -> Camera:
    """Make a device's camera, unopened.

    keys   folder of this computer's adb key
    trace  takes down the conversation, if the driver can
    """
    driver = find_driver(device.driver)
    options: dict[str, object] = {"trigger": device.trigger} | ({"keys": keys} if driver.has_keys else {})
    if trace is not None and driver.has_trace:
        options["trace"] = trace
    return driver.load()(device.name, address, device.settings, **options)
