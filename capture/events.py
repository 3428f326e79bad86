"""What a session tells while it runs: one small record for each thing that happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.capture.shot import ShotPlan, ShotResult, StoredPhoto
from dpedkit.errors import DpedError

State = Literal["ready", "waiting", "pulling", "lost"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A shot is about to be fired; nothing has been released yet.

    plan    its time is the earliest possible one; the result holds the one that was kept
    clocks  the clocks of the devices that will be fired
    """

    plan: ShotPlan
    clocks: dict[str, ClockOffset | None]


@dataclass(frozen=True, slots=True)
class Fired:
    """A device has given the release command."""

    device: str
    number: int
    release: Release


@dataclass(frozen=True, slots=True)
class Ready:
    """A device may be fired again: all that its last shot owes is on its card, or will not come."""

    device: str
    number: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A photo is whole on this machine's disk."""

    photo: StoredPhoto


@dataclass(frozen=True, slots=True)
class Failed:
    """A device did not give what it owes for a shot, so far: a photo may still come late."""

    device: str
    number: int
    error: DpedError


@dataclass(frozen=True, slots=True)
class Settled:
    """A shot is complete or given up; told again when a late photo changes that."""

    result: ShotResult


@dataclass(frozen=True, slots=True)
class Stray:
    """A photo on a device that belongs to no shot, or that nobody can tell whose it is; it stays on the device."""

    device: str
    photo: CameraFile
    why: str


@dataclass(frozen=True, slots=True)
class DeviceNews:
    """How a device stands.

    waiting  photos on it that are not here yet
    why      it is lost, "" otherwise
    """

    device: str
    state: State
    waiting: int = 0
    info: CameraInfo | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know, and that stops nothing: a battery that runs low, an old calibration."""

    device: str
    text: str


Event = Planned | Fired | Ready | Stored | Failed | Settled | Stray | DeviceNews | Notice
