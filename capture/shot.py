"""One shot of the rig: what was planned, what each device gave, and how far apart the shutters opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Literal

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.errors import DpedError
from dpedkit.images import PhotoMeta

Role = Literal["dslr", "phone"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP_LAG_NS = 50_000_000
"""How far from its shutter an uncalibrated camera is taken to stamp its photo: nobody can see it from outside."""
_ZONE_NS = 15 * 60 * 1_000_000_000  # every time zone in use is a whole number of quarter hours from UTC


@dataclass(frozen=True, slots=True)
class ShotPlan:
    """A shot before it is fired.

    session  its key, which is also its folder under photos/
    number   counted from 1 within the session
    at_ns    when all shutters should open, host wall clock, ns
    """

    session: str
    number: int
    scene: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class ShutterTime:
    """When a shutter opened, as measured.

    t_ns      host wall clock, ns
    bound_ns  worst-case error of t_ns, ns
    """

    t_ns: int
    bound_ns: int


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo that is whole on this machine's disk.

    path         where it is stored
    device_path  where it still is on the device
    sha256       of its bytes, hex
    release      when the release command was given
    meta         what its header tells; None where the file cannot be read (some RAW files)
    shutter      when its shutter opened; None where the device's clock or the photo does not tell
    """

    device: str
    role: Role
    path: Path
    device_path: str
    sha256: str
    size_bytes: int
    release: Release
    meta: PhotoMeta | None
    shutter: ShutterTime | None


@dataclass(frozen=True, slots=True)
class Skew:
    """How far apart the shutters of one shot opened.

    spread_ns  from the first to the last, ns
    bound_ns   worst-case error of spread_ns, ns
    devices    those whose shutter time is known, first to last
    """

    spread_ns: int
    bound_ns: int
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShotResult:
    """A shot after it was fired.

    photos    everything that was stored, also from devices that failed later
    failures  device name -> what went wrong
    """

    plan: ShotPlan
    photos: tuple[StoredPhoto, ...]
    failures: Mapping[str, DpedError]

    @property
    def status(self) -> Literal["complete", "incomplete"]:
        """Whether every device gave every photo it owes."""
        return "incomplete" if self.failures else "complete"

    @property
    def skew(self) -> Skew | None:
        """The measured spread of the shutter times; None where fewer than two are known."""
        return spread({photo.device: photo.shutter for photo in self.photos if photo.shutter})


def spread(shutters: Mapping[str, ShutterTime]) -> Skew | None:
    """Return how far apart the shutters opened, with the interval that their bounds leave."""
    if len(shutters) < 2:
        return None
    pairs = list(permutations(shutters.values(), 2))
    measured = max(late.t_ns - early.t_ns for late, early in pairs)
    most = max(late.t_ns + late.bound_ns - early.t_ns + early.bound_ns for late, early in pairs)
    least = max(late.t_ns - late.bound_ns - early.t_ns - early.bound_ns for late, early in pairs)
    in_order = sorted(shutters, key=lambda device: shutters[device].t_ns)
    return Skew(measured, max(most - measured, measured - max(least, 0)), tuple(in_order))


def shutter_time(taken_at: datetime, step: timedelta, clock: ClockOffset, near_ns: int) -> ShutterTime:
    """Bring the time a device wrote into its photo to the host's clock.

    taken_at  the device's local time, of whatever time zone the device is set to
    step      of taken_at; whether a camera rounds or cuts to it is not known
    near_ns   a host time within 7 minutes of the shutter: it tells the zone

    The bound allows STAMP_LAG_NS between the shutter and the time that the camera writes.
    """
    microsecond = timedelta(microseconds=1)
    step_ns = step // microsecond * 1000
    local_ns = (taken_at.replace(tzinfo=UTC) - _EPOCH) // microsecond * 1000
    zone_ns = round((local_ns - clock.offset_ns - near_ns) / _ZONE_NS) * _ZONE_NS
    stamped_ns = local_ns - zone_ns - clock.offset_ns + step_ns // 2
    return ShutterTime(stamped_ns, clock.bound_ns + step_ns + STAMP_LAG_NS)
