"""What a device owes for each shot, and whose photo a photo is. Pure: no clock is read here, no camera asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath

from dpedkit.capture.camera import CameraFile, ClockOffset, Release
from dpedkit.capture.rig import Device
from dpedkit.capture.shot import Shot, ShotPlan, ShutterTime

_PUNCTUAL_NS = 100_000_000
RAW = frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng"})


@dataclass(slots=True)
class Order:
    """One device's part in one shot.

    plan        the shot
    owed        endings of the photos it should give, lower case with the dot
    release_ns  when it is told to give the release command, host wall clock, ns
    patience_s  how long after its release a photo may be taken and appear
    clock       its clock as it was compared before the shot; None where it has none
    release     when it did give it; None: not yet, or nobody saw it
    paid        ending -> where on the device the photo lay that is stored here
    """

    plan: ShotPlan
    owed: tuple[str, ...]
    release_ns: int
    patience_s: float
    clock: ClockOffset | None = None
    release: Release | None = None
    paid: dict[str, str] = field(default_factory=dict)

    @property
    def is_paid(self) -> bool:
        """Whether everything it owes is here."""
        return self.paid.keys() >= set(self.owed)

    @property
    def earliest_ns(self) -> int:
        """Before this its shutter cannot have opened."""
        return self.release.earliest_ns if self.release else self.release_ns

    @property
    def latest_ns(self) -> int:
        """After this its shutter will not open any more."""
        return (self.release.latest_ns if self.release else self.plan.at_ns) + round(self.patience_s * 1e9)


@dataclass(frozen=True, slots=True)
class PastShot:
    """A shot of an earlier process.

    clocks    device name -> its clock, as it was compared before the shot
    releases  device name -> when it gave the release command, where that was recorded
    """

    shot: Shot
    clocks: Mapping[str, ClockOffset]
    releases: Mapping[str, Release]

    def order(self, device: Device, lag_ns: int) -> Order:
        """Return what one device was told."""
        plan = self.shot.plan
        mine = [photo for photo in self.shot.photos if photo.device == device.name]
        return Order(
            plan,
            self.shot.owed[device.name],
            plan.at_ns - lag_ns,
            device.timeout_s,
            self.clocks.get(device.name),
            self.releases.get(device.name),
            {photo.path.suffix: photo.on_device.path for photo in mine},
        )


@dataclass(frozen=True, slots=True)
class Nobodys:
    """A photo that is attached to no shot, and why."""

    why: str


def suffix_of(photo: CameraFile) -> str:
    """Return a photo's ending as rig files name it: lower case, with its dot, .jpg for .jpeg."""
    suffix = PurePosixPath(photo.path).suffix.lower()
    return {".jpeg": ".jpg", ".heif": ".heic", ".hif": ".heic"}.get(suffix, suffix)


def whose(photo: CameraFile, shutter: ShutterTime | None, orders: Sequence[Order], seen_ns: int) -> Order | Nobodys:
    """Return the order that a photo pays, or why it is nobody's. A photo that might be another shot's is nobody's.

    shutter  when its shutter opened; None: it does not tell
    orders   of its device, in the order in which they were fired
    seen_ns  when it was seen on the device, host wall clock, ns: no shot that was fired later has taken it
    """
    suffix = suffix_of(photo)
    orders = [order for order in orders if order.earliest_ns <= seen_ns]
    if (sibling := _sibling(photo, orders)) is not None:
        candidates = [sibling]
    elif shutter is None:
        candidates = list(orders[-2:])
        if candidates and candidates[-1].is_paid:
            return Nobodys("it does not tell when it was taken, and the last shot has its photos")
    else:
        candidates = _at_that_time(shutter, orders)
        if not candidates:
            return Nobodys("it was not taken by any shot of this session")
    owing = [order for order in candidates if suffix in order.owed and suffix not in order.paid]
    if len(owing) > 1 and shutter is not None:
        owing = [order for order in owing if _is_near(shutter, order)] or owing
    if len(owing) == 1:
        return owing[0]
    if owing:
        numbers = " or ".join(str(order.plan.number) for order in owing)
        return Nobodys(f"nothing tells whether it is of shot {numbers}")
    return Nobodys(f"no shot waits for another {suffix}")


def _sibling(photo: CameraFile, orders: Sequence[Order]) -> Order | None:
    """Return the order that was paid with a file of the same name and another ending: the JPEG of a RAW."""
    stem = photo.path.rpartition(".")[0]
    for order in reversed(orders[-100:]):
        if any(path.rpartition(".")[0] == stem for path in order.paid.values()):
            return order
    return None


def _is_near(shutter: ShutterTime, order: Order) -> bool:
    """Return whether a shutter opened when it was meant to: those that are seconds late are rare."""
    return abs(shutter.t_ns - order.plan.at_ns) <= shutter.bound_ns + _PUNCTUAL_NS


def _at_that_time(shutter: ShutterTime, orders: Sequence[Order]) -> list[Order]:
    """Return the orders that may have opened the shutter then."""
    early_ns, late_ns = shutter.t_ns - shutter.bound_ns, shutter.t_ns + shutter.bound_ns
    ends = [min(order.latest_ns, after.earliest_ns) for order, after in pairwise(orders)]
    ends += [orders[-1].latest_ns] if orders else []
    return [
        order for order, end_ns in zip(orders, ends, strict=True) if order.earliest_ns <= late_ns and early_ns < end_ns
    ]
