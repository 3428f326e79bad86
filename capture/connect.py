"""Where a rig's devices are: at the addresses of its file, or, for simulated ones, wherever their processes listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dpedkit.capture.rig import SIMULATED, Rig


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a rig's devices are now.

    addresses   device name -> address
    next_scene  turns a simulated rig to its next scene and returns its index; None from a real one
    """

    addresses: Mapping[str, str]
    next_scene: Callable[[], int | None]


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
    from dpedkit.capture.simulate.specs import SimulatedConfig
    from dpedkit.capture.simulate.supervisor import SimulatedRig

    settings = rig.simulated
    config = SimulatedConfig(settings.scale, settings.seed, str(settings.scenes) if settings.scenes else None)
    with SimulatedRig(config, state, [device.name for device in rig.rehearsal], keys / "adbkey.pub") as simulated:
        yield Connection(real | simulated.addresses, simulated.next_scene)
