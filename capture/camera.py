"""What every camera can do, whatever wire it hangs on.

A driver is one file in capture/drivers/ (or another package's entry point in the group "dpedkit.cameras") with a
class that fulfils `Camera`. A session calls each camera from one thread of its own: a driver need not be thread-safe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera says of itself.

    battery_percent, free_bytes and temperature_c are None where the device does not tell.

    warnings  what the driver could not see to itself, one line each: "autopoweroff cannot be set: do it in its menu"
    """

    make: str
    model: str
    serial: str
    firmware: str = ""
    battery_percent: int | None = None
    free_bytes: int | None = None
    temperature_c: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class CameraFile:
    """One photo on a device.

    path        as the device names it, e.g. "/store_00020001/DCIM/100CANON/IMG_0001.JPG"
    size_bytes  as the device reports it
    written_s   when it was written, s since the epoch by the device's clock; None where the device does not tell
    """

    path: str
    size_bytes: int
    written_s: int | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far a device's clock is ahead of the host's, at one moment and near it.

    offset_ns    device time minus host time, ns
    bound_ns     worst-case error of offset_ns, ns
    at_ns        the moment, host wall clock, ns
    drift        how fast the offset grows: 20e-6 means 20 us a second
    drift_bound  worst-case error of drift
    """

    offset_ns: int
    bound_ns: int
    at_ns: int
    drift: float = 0.0
    drift_bound: float = 0.0

    def at(self, host_ns: int) -> ClockOffset:
        """Return the offset at another moment; its bound grows with the distance."""
        away_ns = host_ns - self.at_ns
        offset_ns = self.offset_ns + round(away_ns * self.drift)
        bound_ns = self.bound_ns + round(abs(away_ns) * self.drift_bound)
        return replace(self, offset_ns=offset_ns, bound_ns=bound_ns, at_ns=host_ns)


@dataclass(frozen=True, slots=True)
class Release:
    """When the release command was given.

    earliest_ns, latest_ns  host wall clock, ns: the command took effect between these two
    """

    earliest_ns: int
    latest_ns: int


class Camera(Protocol):
    """One device of a rig. Every call has a timeout of its own and raises only CameraError and its children.

    A device that failed is closed and opened again by its session; whatever a driver knows then may be out of date.
    """

    name: str

    def open(self) -> None:
        """Connect. Raises CameraNotFound (naming the device and its address) or CameraError."""
        ...

    def close(self) -> None:
        """Disconnect; safe to call twice and after an error."""
        ...

    def info(self) -> CameraInfo:
        """Ask the device who it is and how it feels."""
        ...

    def prepare(self) -> None:
        """Apply and verify the settings a session needs (capture target, screen on, camera app in front)."""
        ...

    def keep_awake(self) -> None:
        """Say something small, so that the device does not fall asleep; called every few seconds while it idles."""
        ...

    def clock_offset(self) -> ClockOffset | None:
        """Compare clocks anew; None where the device has no clock that can be read."""
        ...

    def list_photos(self) -> frozenset[CameraFile]:
        """List the photos on the device now, whole or not."""
        ...

    def fire(self, at_ns: int) -> Release:
        """Give the release command so that it takes effect at `at_ns` (host wall clock, ns; now if past)."""
        ...

    def new_photos(self, known: Collection[str]) -> list[CameraFile]:
        """Return the whole photos whose paths are not in `known`; waits up to 0.1 s for one.

        A file that still grows is left out until it has its final size. It is asked over and over; right after
        `open` it finds also what came while nobody asked.
        """
        ...

    def pull(self, photo: CameraFile, into: Path) -> Iterator[int]:
        """Copy a photo's bytes into the file `into`; yield after each piece how many have come.

        Other calls may be made between two pieces: a shot does not wait for a pull. When it has run out, the size
        is verified, and the checksum where the device can tell one.

        Raises:
            PullFailed: the transfer broke off or the bytes are not what the device announced.
        """
        ...

    def delete(self, photo: CameraFile) -> None:
        """Remove a photo from the device; one that no longer has the announced size is left alone, with CameraError."""
        ...

    def diagnose(self) -> str:
        """Say what may have kept a photo from coming ("its screen is locked"); "" where nothing seems wrong."""
        ...
