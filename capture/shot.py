"""One shot of the rig: what was planned, what each device gave, and how far apart the shutters opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Literal

from dpedkit.capture.camera import CameraFile, ClockOffset, Release
from dpedkit.errors import CameraError, DpedError
from dpedkit.images import PhotoMeta

Role = Literal["dslr", "phone"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP_LAG_NS = 50_000_000
"""How far from its shutter an uncalibrated camera is taken to stamp its photo: nobody can see it from outside."""
_ZONE_NS = 15 * 60 * 1_000_000_000  # every time zone in use is a whole number of quarter hours from UTC,
_MOST_ZONE_NS = 28 * 3600 * 1_000_000_000  # and at most 14 hours; a file's date may be off by as much again


@dataclass(frozen=True, slots=True)
class ShotPlan:
    """A shot before it is fired.

    session   its key, which is also its folder under photos/
    number    counted from 1 within the session
    at_ns     when all shutters should open, host wall clock, ns
    retry_of  number of the shot that it repeats
    """

    session: str
    number: int
    scene: str
    at_ns: int
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class ShotRequest:
    """A shot that is wanted.

    number         within the session; no photo of this number may exist yet
    not_before_ns  host wall clock, ns
    retry_of       number of the shot that it repeats
    """

    number: int
    scene: str = ""
    not_before_ns: int = 0
    retry_of: int | None = None


@dataclass(frozen=True, slots=True)
class ShutterTime:
    """When a shutter opened, as measured.

    t_ns      host wall clock, ns
    bound_ns  worst-case error of t_ns, ns
    """

    t_ns: int
    bound_ns: int


@dataclass(frozen=True, slots=True)
class StampLag:
    """How much later than its shutter a device stamps its photos.

    lag_ns    ns; negative: earlier
    bound_ns  worst-case error of lag_ns, ns
    """

    lag_ns: int
    bound_ns: int


UNKNOWN_STAMP_LAG = StampLag(0, STAMP_LAG_NS)


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo that is whole on this machine's disk.

    number       of its shot
    path         where it is stored
    on_device    what it is there
    sha256       of its bytes, hex
    release      when the release command was given; None where that was not seen (a shot of a session that was killed)
    meta         what its header tells; None where the file cannot be read (some RAW files)
    colour       mean R, G, B of the picture, 0-255; None where it cannot be decoded (RAW files)
    shutter      when its shutter opened; None where the device's clock or the photo does not tell
    damage       what is wrong with the picture, here and on the device; "" where nothing is
    """

    device: str
    role: Role
    number: int
    path: Path
    on_device: CameraFile
    sha256: str
    release: Release | None
    meta: PhotoMeta | None
    colour: tuple[float, float, float] | None
    shutter: ShutterTime | None
    damage: str = ""

    @property
    def size_bytes(self) -> int:
        """Its size, here as there."""
        return self.on_device.size_bytes


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


@dataclass(frozen=True, slots=True)
class Shot:
    r"""Where one shot stands: a state machine without clocks and cameras, each step returns the next state.

    Each device goes

        fired -> ready (its photos are on its card) -> complete (they are here)
             \-> failed (-> complete, when they come late after all)

    owed  device name -> the endings of the photos that it owes, with their dots
    """

    plan: ShotPlan
    owed: Mapping[str, tuple[str, ...]]
    photos: tuple[StoredPhoto, ...] = ()
    failures: Mapping[str, DpedError] = field(default_factory=dict)
    ready_devices: frozenset[str] = frozenset()

    def stored(self, photo: StoredPhoto) -> Shot:
        """Take in a photo; one that is there already changes nothing. A device that has paid has not failed."""
        photos = {known.path: known for known in self.photos} | {photo.path: photo}
        shot = replace(self, photos=tuple(photos[path] for path in sorted(photos)))
        if shot.has_paid(photo.device):
            failures = {name: error for name, error in shot.failures.items() if name != photo.device}
            shot = replace(shot, failures=failures)
        return shot

    def failed(self, device: str, error: DpedError) -> Shot:
        """Note what keeps a device from paying; one that has paid already cannot fail any more."""
        if self.has_paid(device):
            return self
        return replace(self, failures={**self.failures, device: error})

    def ready(self, device: str) -> Shot:
        """Note that a device may be fired again, though its photos are not here yet."""
        return replace(self, ready_devices=self.ready_devices | {device})

    def has_paid(self, device: str) -> bool:
        """Whether a device gave everything it owes, in whatever state."""
        return {photo.path.suffix for photo in self.photos if photo.device == device} >= set(self.owed[device])

    @property
    def is_ready(self) -> bool:
        """Whether every device may be fired again."""
        return all(device in self.ready_devices or self._is_done(device) for device in self.owed)

    @property
    def is_settled(self) -> bool:
        """Whether every device has paid or failed."""
        return all(self._is_done(device) for device in self.owed)

    def _is_done(self, device: str) -> bool:
        return device in self.failures or self.has_paid(device)

    @property
    def result(self) -> ShotResult:
        """What there is so far."""
        order = list(self.owed)
        photos = sorted(self.photos, key=lambda photo: (order.index(photo.device), photo.path))
        failures = {photo.device: _damage(photo) for photo in photos if photo.damage} | dict(self.failures)
        failures = {device: failures[device] for device in order if device in failures}
        return ShotResult(self.plan, tuple(photos), failures)


def _damage(photo: StoredPhoto) -> DpedError:
    cause = f"{photo.device}: {photo.on_device.path} is damaged on the device: {photo.damage}"
    return CameraError(cause, "check its memory card and take the shot again")


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


def shutter_time(
    taken_at: datetime, step: timedelta, clock: ClockOffset, near_ns: int, stamp: StampLag = UNKNOWN_STAMP_LAG
) -> ShutterTime | None:
    """Bring the time a device wrote into its photo to the host's clock; None where the two cannot be the same clock.

    taken_at  the device's local time, of whatever time zone the device is set to
    step      of taken_at
    near_ns   a host time within 7 minutes of the shutter: it tells the zone
    stamp     how much later than its shutter the device stamps

    Whether a camera cuts to its step or rounds is not known: a calibrated stamp lag was measured with the same doubt,
    so that it cancels; without one the bound takes both in.
    """
    microsecond = timedelta(microseconds=1)
    step_ns = step // microsecond * 1000
    local_ns = (taken_at.replace(tzinfo=UTC) - _EPOCH) // microsecond * 1000
    ahead_ns = local_ns - clock.at(near_ns).offset_ns - near_ns
    if abs(ahead_ns) > _MOST_ZONE_NS:
        return None
    zone_ns = round(ahead_ns / _ZONE_NS) * _ZONE_NS
    offset = clock.at(local_ns - zone_ns - clock.offset_ns)
    stamped_ns = local_ns - zone_ns - offset.offset_ns + step_ns // 2
    doubt_ns = step_ns if stamp is UNKNOWN_STAMP_LAG else step_ns // 2
    return ShutterTime(stamped_ns - stamp.lag_ns, offset.bound_ns + doubt_ns + stamp.bound_ns)
