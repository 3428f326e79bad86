"""What every camera can do, whatever wire it hangs on.

A driver is one file in capture/drivers/ (or another package's entry point in the group "dpedkit.cameras") with a
class that fulfils `Camera`. A session calls each camera from one thread of its own: a driver need not be thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a camera says of itself.

    battery_percent and free_bytes are None where the device does not tell.
    """

    make: str
    model: str
    serial: str
    firmware: str = ""
    battery_percent: int | None = None
    free_bytes: int | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True, order=True)
class CameraFile:
    """One photo on a device.

    path        as the device names it, e.g. "/store_00020001/DCIM/100CANON/IMG_0001.JPG"
    size_bytes  as the device reports it
    """

    path: str
    size_bytes: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far a device's clock is ahead of the host's.

    offset_ns  device time minus host time, ns
    bound_ns   worst-case error of offset_ns, ns
    """

    offset_ns: int
    bound_ns: int


@dataclass(frozen=True, slots=True)
class Release:
    """When the release command was given.

    earliest_ns, latest_ns  host wall clock, ns: the command took effect between these two
    """

    earliest_ns: int
    latest_ns: int


class Camera(Protocol):
    """One device of a rig. Every call has a timeout of its own and raises only CameraError and its children."""

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

    def clock_offset(self) -> ClockOffset | None:
        """Compare clocks; None where the device has no clock that can be read."""
        ...

    def list_photos(self) -> frozenset[CameraFile]:
        """List the photos on the device now."""
        ...

    def fire(self, at_ns: int) -> Release:
        """Give the release command so that it takes effect at `at_ns` (host wall clock, ns; now if past)."""
        ...

    def wait_for_photos(
        self, before: frozenset[CameraFile], suffixes: tuple[str, ...], timeout_s: float
    ) -> list[CameraFile]:
        """Return the photos that were not in `before`, once one whole file (its size stable) of each suffix is there.

        suffixes  lower case with the dot, e.g. (".jpg",) or (".jpg", ".cr2"); one file expected for each

        Raises:
            CameraTimeout: not all of them came in time.
        """
        ...

    def pull(self, photo: CameraFile, into: Path) -> None:
        """Copy a photo's bytes into the file `into` and verify its size.

        Raises:
            PullFailed: the transfer broke off or the bytes are not what the device announced.
        """
        ...
