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
from typing import Any, cast

from dpedkit.capture.camera import Camera
from dpedkit.errors import MissingExtra, SettingsError
from dpedkit.settings import nearest

ENTRY_POINTS = "dpedkit.cameras"


@dataclass(frozen=True, slots=True)
class Seen:
    """A device that is connected by USB.

    model    as USB tells it
    address  for the rig file; "usb:" alone where its serial number cannot be read
    trouble  why it could not be asked, and what to do; "" where all is well
    """

    model: str
    address: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Driver:
    """What a rig file may ask of a driver, known without importing it.

    target    "module:Class"
    schemes   what may stand before the first colon of an address; empty: the driver checks it itself
    triggers  the triggers it knows -> their expected latency, (least, most) ms from the release command to the open
              shutter, before anything was calibrated; empty: the driver checks them itself
    parser    "module:function" that is called with a whole trigger ("tap:540,1800") and raises SettingsError where it
              does not understand it; empty: no trigger takes more than its name
    files     the file endings that its devices can make; empty: whatever a rig file says
    has_keys  it proves who we are: it is also given keys=, the folder of this computer's keys
    has_trace it can record what is said: it is also given trace=, a capture.trace.Trace, where one is wanted
    detector  "module:function" that returns what is connected by USB, as a list of `Seen`; empty: it cannot look
    """

    target: str
    schemes: tuple[str, ...] = ()
    triggers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    parser: str = ""
    files: tuple[str, ...] = ()
    has_keys: bool = False
    has_trace: bool = False
    detector: str = ""

    def load(self) -> Callable[..., Camera]:
        """Import the driver's class.

        Raises:
            MissingExtra: a package it stands on is not installed.
        """
        return cast("Callable[..., Camera]", _load(self.target))

    def parse_trigger(self, trigger: str) -> None:
        """Check what a rig file says of the trigger.

        Raises:
            SettingsError: there is none of this name, or what follows its colon makes no sense.
        """
        if not self.triggers:
            return
        kind, colon, argument = trigger.partition(":")
        if kind not in self.triggers:
            near = nearest(kind, self.triggers)
            raise SettingsError(f"unknown trigger {kind!r}{near}", f"triggers: {', '.join(self.triggers)}")
        if self.parser:
            _load(self.parser)(trigger)
        elif colon:
            raise SettingsError(f"the trigger {kind!r} takes nothing after it, found {argument!r}", f'write "{kind}"')

    def detect(self) -> list[Seen]:
        """Look for the driver's devices on USB.

        Raises:
            MissingExtra: a package it stands on is not installed.
            CameraError: it cannot look, for a reason that the message tells.
        """
        found: list[Seen] = _load(self.detector)() if self.detector else []
        return found


DRIVERS = MappingProxyType(
    {
        "gphoto2": Driver(
            "dpedkit.capture.drivers.gphoto2:Gphoto2Camera",
            schemes=("usb", "ptpip"),
            triggers={"eos": (60, 300), "ptp": (200, 500)},
            files=("jpg", "heic", "cr2", "cr3", "nef", "arw", "dng"),
            has_trace=True,
            detector="dpedkit.capture.drivers.gphoto2_connect:detect",
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
            parser="dpedkit.capture.drivers.adb_trigger:parse_trigger",
            files=("jpg", "heic", "dng"),
            has_keys=True,
            has_trace=True,
            detector="dpedkit.capture.drivers.adb_connect:detect",
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


def _load(target: str) -> Callable[..., Any]:
    try:
        loaded: Callable[..., Any] = EntryPoint(name=target, value=target, group=ENTRY_POINTS).load()
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or target, "capture") from error
    return loaded
