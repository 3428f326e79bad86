"""One file per kind of device, found by the name a rig file calls it.

Another package adds a kind with an entry point in the group "dpedkit.cameras":

    [project.entry-points."dpedkit.cameras"]
    webcam = "my_package.webcam:WebcamCamera"

Its class fulfils `dpedkit.capture.camera.Camera` and is called as
`WebcamCamera(name, address, settings, trigger=...)`, with what stands in the rig file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import cast

from dpedkit.capture.camera import Camera
from dpedkit.errors import MissingExtra, SettingsError
from dpedkit.settings import nearest

ENTRY_POINTS = "dpedkit.cameras"


@dataclass(frozen=True, slots=True)
class Driver:
    """What a rig file may ask of a driver, known without importing it.

    target    "module:Class"
    schemes   what may stand before the first colon of an address; empty: the driver checks it itself
    triggers  the triggers it knows -> their expected latency, (least, most) ms from the release command to the open
              shutter, before anything was calibrated; empty: the driver checks them itself
    has_keys  it proves who we are: it is also given keys=, the folder of this computer's keys
    """

    target: str
    schemes: tuple[str, ...] = ()
    triggers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    has_keys: bool = False

    def load(self) -> Callable[..., Camera]:
        """Import the driver's class.

        Raises:
            MissingExtra: a package it stands on is not installed.
        """
        try:
            loaded = EntryPoint(name=self.target, value=self.target, group=ENTRY_POINTS).load()
        except ModuleNotFoundError as error:
            raise MissingExtra(error.name or self.target, "capture") from error
        return cast("Callable[..., Camera]", loaded)


DRIVERS = MappingProxyType(
    {
        "gphoto2": Driver(
            "dpedkit.capture.drivers.gphoto2:Gphoto2Camera",
            schemes=("usb", "ptpip"),
            triggers={"eos": (60, 300), "ptp": (200, 500)},
        ),
        "adb": Driver(
            "dpedkit.capture.drivers.adb:AdbCamera",
            schemes=("usb", "tcp"),
            triggers={
                "keyevent": (300, 1200),
                "tap": (300, 1200),
                "events": (60, 400),
                "intent": (500, 2500),
                "shell": (60, 2500),
            },
            has_keys=True,
        ),
    }
)


def find_driver(name: str) -> Driver:
    """Return a driver by name: one that ships with dpedkit, or one of an installed package.

    Raises:
        SettingsError: there is none of this name; the message names the nearest.
    """
    if name in DRIVERS:
        return DRIVERS[name]
    foreign = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    if name in foreign:
        return Driver(foreign[name])
    known = sorted([*DRIVERS, *foreign])
    raise SettingsError(f"unknown driver {name!r}{nearest(name, known)}", f"drivers here: {', '.join(known)}")
