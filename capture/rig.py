"""The rig file: which devices stand on the tripod, where they are found and how each is fired."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from dpedkit.capture.drivers import Driver, find_driver
from dpedkit.capture.simulate.faults import FAULTS
from dpedkit.errors import SettingsError
from dpedkit.settings import Table, check, nearest, read_toml

SIMULATED = "simulated"

Ending = Literal["jpg", "heic", "cr2", "cr3", "nef", "arw", "dng"]
_PTPIP_PORT = 15740  # what the standard says


def _is_plain(value: object) -> object:
    """One complaint about a value of the wrong kind, instead of one for each kind that it is not."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"want a text, a number, true or false, found {value!r}")  # noqa: TRY004  (pydantic's way)
    return value


Setting = Annotated[str | int | float | bool, BeforeValidator(_is_plain)]


class Device(Table):
    """One camera of a rig.

    name       part of its photos' file names
    driver     a name from dpedkit.capture.drivers
    address    "usb:SERIAL", "ptpip:HOST[:PORT]", "tcp:HOST:PORT" or "simulated"
    trigger    how its driver releases the shutter; empty: the driver's own choice
    files      what one release makes, as lower-case file endings without the dot
    lag_ms     from the release command to the open shutter; it is fired this much earlier
    timeout_s  how long a shot waits for its photos
    settings   applied and verified when a session opens
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    role: Literal["dslr", "phone"]
    driver: str
    address: str
    trigger: str = ""
    files: tuple[Ending, ...] = Field(("jpg",), min_length=1)
    lag_ms: float = Field(default=0.0, ge=0)
    timeout_s: float = Field(default=30.0, gt=0)
    settings: dict[str, Setting] = Field(default_factory=dict)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The endings with their dots: (".jpg",)."""
        return tuple(f".{ending}" for ending in self.files)

    @property
    def lag_ns(self) -> int:
        """lag_ms in ns."""
        return round(self.lag_ms * 1e6)

    @field_validator("driver")
    @classmethod
    def _known_driver(cls, name: str) -> str:
        try:
            find_driver(name)
        except SettingsError as error:
            raise ValueError(f"{error.cause}; {error.remedy}") from None
        return name

    @field_validator("address")
    @classmethod
    def _reachable(cls, address: str, so_far: ValidationInfo) -> str:
        driver = _driver_of(so_far)
        if driver and address != SIMULATED:
            _check_address(address, driver.schemes)
        return address

    @field_validator("trigger")
    @classmethod
    def _known_trigger(cls, trigger: str, so_far: ValidationInfo) -> str:
        driver = _driver_of(so_far)
        if driver and trigger:
            try:
                driver.parse_trigger(trigger)
            except SettingsError as error:
                raise ValueError(f"{error.cause}; {error.remedy}") from None
        return trigger

    @field_validator("files")
    @classmethod
    def _makeable(cls, files: tuple[Ending, ...], so_far: ValidationInfo) -> tuple[Ending, ...]:
        driver = _driver_of(so_far)
        others = [ending for ending in files if driver and driver.files and ending not in driver.files]
        if driver and others:
            can = ", ".join(driver.files)
            raise ValueError(f"no device of the driver {so_far.data['driver']!r} makes {others[0]!r}; they make: {can}")
        if len(set(files)) < len(files):
            raise ValueError(f"one ending twice in {list(files)}")
        return files


class Thresholds(Table):
    """When a shot is flagged, and when a device is not fit for a session.

    skew_ms           spread of the shutter times of one shot
    battery_percent   least charge
    free_mb           least room on a device after the shots that are asked for
    temperature_c     highest temperature
    clock_ms          largest uncertainty of a device's clock
    calibration_days  age at which a calibration is called old
    """

    skew_ms: float = Field(default=100.0, gt=0)
    battery_percent: int = Field(default=15, ge=0, le=100)
    free_mb: float = Field(default=200.0, ge=0)
    temperature_c: float = Field(default=45.0, gt=0)
    clock_ms: float = Field(default=20.0, gt=0)
    calibration_days: float = Field(default=30.0, gt=0)


class Timing(Table):
    """How one simulated camera keeps time; what is left out is as its specification says (capture/simulate/specs.py).

    lag_ms, jitter_ms  release to shutter: mean and standard deviation
    exif_lag_ms        the time it writes into its photos, minus the shutter's
    clock_offset_ms    its clock minus the host's at the start
    drift_ppm          how much faster its clock runs
    write_ms           shutter to photo on the card
    cycle_ms           shortest time between two shutters
    """

    lag_ms: float | None = Field(default=None, ge=0)
    jitter_ms: float | None = Field(default=None, ge=0)
    exif_lag_ms: float | None = None
    clock_offset_ms: float | None = None
    drift_ppm: float | None = Field(default=None, ge=-1000, le=1000)
    write_ms: float | None = Field(default=None, ge=0)
    cycle_ms: float | None = Field(default=None, ge=0)


class Fault(Table):
    """Something that goes wrong with one simulated device, by its name in capture/simulate/faults.py.

    shots    when: the device's releases (of some faults: connections), counted from 1 since it was switched on;
             empty: always
    after_s  how late, how long or when over, for the faults that take time; None: as the table there says
    """

    device: str
    fault: str
    shots: tuple[Annotated[int, Field(ge=1)], ...] = ()
    after_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _known(self) -> Fault:
        if self.fault not in FAULTS:
            raise ValueError(f"unknown fault {self.fault!r}{nearest(self.fault, FAULTS)}")
        if self.after_s is not None and FAULTS[self.fault].after_s is None:
            raise ValueError(f"the fault {self.fault!r} takes no time, and no after_s")
        return self


class Simulated(Table):
    """How the rehearsal rig renders, keeps time and fails.

    scale   size of its photos against the real sensors', 0.01 to 1
    seed    of scenes, noise and jitter
    scenes  a folder of photos to point the cameras at, relative to the rig file's; None: generated scenes
    timing  device name -> how it keeps time
    faults  what goes wrong
    """

    scale: float = Field(default=0.25, ge=0.01, le=1)
    seed: int = Field(default=0, ge=0)
    scenes: Path | None = None
    timing: dict[str, Timing] = Field(default_factory=dict)
    faults: tuple[Fault, ...] = Field((), alias="fault")


class Rig(Table):
    """One DSLR and any number of phones on one tripod."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    devices: tuple[Device, ...] = Field(alias="device", min_length=1)
    thresholds: Thresholds = Thresholds()
    simulated: Simulated = Simulated()

    @property
    def rehearsal(self) -> tuple[Device, ...]:
        """The devices that are simulated."""
        return tuple(device for device in self.devices if device.address == SIMULATED)

    @model_validator(mode="after")
    def _holds_together(self) -> Rig:
        names = Counter(device.name for device in self.devices)
        places = Counter(_place(device.address) for device in self.devices if device.address != SIMULATED)
        for key, values in (("name", names), ("address", places)):
            if twice := [value for value, count in values.items() if count > 1]:
                raise ValueError(f"two devices have the {key} {twice[0]!r}")
        dslrs = [device.name for device in self.devices if device.role == "dslr"]
        if len(dslrs) != 1:
            found = f"{len(dslrs)}: {', '.join(dslrs)}" if dslrs else "none"
            raise ValueError(f'a rig has exactly one device with role = "dslr", this one has {found}')
        return self

    @model_validator(mode="after")
    def _simulates_what_is_there(self) -> Rig:
        roles = {device.name: device.role for device in self.rehearsal}
        for name in self.simulated.timing:
            if name not in roles:
                raise ValueError(f"simulated.timing.{name}: no simulated device {name!r}{nearest(name, roles)}")
        for number, fault in enumerate(self.simulated.faults):
            key = f"simulated.fault {number}"
            if fault.device not in roles:
                raise ValueError(f"{key}.device: no simulated device {fault.device!r}{nearest(fault.device, roles)}")
            kind = FAULTS[fault.fault]
            if roles[fault.device] not in kind.roles:
                others = [name for name, other in FAULTS.items() if roles[fault.device] in other.roles]
                near = nearest(fault.fault, others)
                raise ValueError(f"{key}.fault: {fault.fault!r} happens to a {kind.roles[0]} only{near}")
        return self


def load_rig(path: Path) -> Rig:
    """Read a rig file.

    Raises:
        SettingsError: no such file, not TOML, or a wrong key or value; the message names the file and the key.
        StorageError: the file cannot be read.
    """
    rig = check(Rig, read_toml(path), str(path))
    if rig.simulated.scenes is None or rig.simulated.scenes == Path():  # "" in the file
        scenes = None
    else:
        scenes = (path.parent / rig.simulated.scenes.expanduser()).resolve()
        if not scenes.is_dir():
            raise SettingsError(f"{path}: simulated.scenes: no folder {scenes}", "correct it there")
    return rig.model_copy(update={"simulated": rig.simulated.model_copy(update={"scenes": scenes})})


def rig_template(kind: Literal["tripod", "simulated"]) -> str:
    """Return the commented rig file that `dpedkit init` writes to rigs/tripod.toml."""
    return files("dpedkit.capture").joinpath(f"rig_{kind}.toml").read_text(encoding="utf-8")


def rehearsal_rig(seed: int, scenes: Path | None) -> str:
    """Return the simulated rig's file with another seed and, unless None, a folder of photos as scenes."""
    text = rig_template("simulated").replace("seed = 0 ", f"seed = {seed} ")
    if scenes is not None:
        text = text.replace('scenes = "" ', f"scenes = {json.dumps(str(scenes.resolve()))} ")  # a TOML string, too
    return text


def _driver_of(so_far: ValidationInfo) -> Driver | None:
    """Return the driver of the device that is being read; None where that was wrong already."""
    name = so_far.data.get("driver")
    return find_driver(name) if name else None


def _place(address: str) -> str:
    """Return an address as all that lead to the same device are: serial numbers may begin with zeros."""
    scheme, _, place = address.partition(":")
    if scheme == "usb":
        return f"usb:{place.lstrip('0')}"
    if scheme == "ptpip" and ":" not in place:
        return f"{address}:{_PTPIP_PORT}"
    return address


def _check_address(address: str, schemes: Sequence[str]) -> None:
    scheme, _, place = address.partition(":")
    if schemes and (scheme not in schemes or not place):
        raise ValueError(f"{address!r} must be {SIMULATED!r} or start with {' or '.join(f'{s}:' for s in schemes)}")
    host, colon, port = place.rpartition(":")
    needs_port = scheme == "tcp" or (scheme == "ptpip" and colon)
    if needs_port and not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} must end with a host, a colon and a port from 1 to 65535")
