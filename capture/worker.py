"""One camera and the one thread that talks to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TypeVar

from dpedkit.capture.camera import Camera, CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.capture.rig import Device
from dpedkit.capture.shot import ShotPlan, ShutterTime, StoredPhoto, shutter_time
from dpedkit.errors import CameraError, DpedError, ImageError, MissingExtra, PullFailed
from dpedkit.files import atomic_file, sha256_file
from dpedkit.images import PhotoMeta, read_meta

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Armed:
    """A device that is ready to be fired.

    before  the photos on it, none of which belongs to the shot to come
    clock   its clock against the host's; None where it cannot be read
    """

    before: frozenset[CameraFile]
    clock: ClockOffset | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What one device gave in one shot: its photos, and why there are not more of them."""

    photos: tuple[StoredPhoto, ...]
    failure: DpedError | None = None


class Worker:
    """A camera of a rig. Its methods block and are meant for `call`, which runs them one after another."""

    def __init__(self, device: Device, camera: Camera) -> None:
        self.device = device
        self._camera = camera
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"camera-{device.name}")
        self._interrupted = Event()
        self._needs_opening = True

    def call(self, job: Callable[[], T]) -> Future[T]:
        """Run `job` on the camera's thread, after those that wait there already."""
        return self._thread.submit(job)

    def interrupt(self) -> None:
        """Let the photo that is being pulled be the last, and do not store it."""
        self._interrupted.set()

    def close(self) -> Future[None]:
        """Disconnect after the running job and take no more; the result is there when that is done."""
        closing = self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=False)
        return closing

    def open(self) -> None:
        """Connect and prepare the camera.

        Raises:
            CameraNotFound: it does not answer.
            CameraError: it does not take a setting.
        """
        with _explained(self.device.name):
            self._camera.open()
            self._camera.prepare()
        self._needs_opening = False

    def ask(self) -> tuple[CameraInfo, ClockOffset | None]:
        """Connect and ask the camera who it is, changing nothing."""
        with _explained(self.device.name):
            self._camera.open()
            return self._camera.info(), self._camera.clock_offset()

    def arm(self) -> Armed:
        """List what is on the device and compare clocks; a device that failed in its last shot is opened anew."""
        if self._needs_opening:
            self._disconnect()
            self.open()
        self._needs_opening = True
        with _explained(self.device.name):
            armed = Armed(self._camera.list_photos(), self._camera.clock_offset())
        self._needs_opening = False
        return armed

    def take(self, plan: ShotPlan, armed: Armed, folder: Path) -> Taken:
        """Fire, wait for the photos and store each of them; what goes wrong is part of the answer."""
        photos: list[StoredPhoto] = []
        try:
            with _explained(self.device.name):
                release = self._camera.fire(plan.at_ns - self.device.lag_ns)
                for found in self._camera.wait_for_photos(armed.before, self.device.suffixes, self.device.timeout_s):
                    photos.append(self._store(plan, armed, found, release, folder))
        except DpedError as failure:
            self._needs_opening = True
            return Taken(tuple(photos), failure)
        return Taken(tuple(photos))

    def _store(self, plan: ShotPlan, armed: Armed, found: CameraFile, release: Release, folder: Path) -> StoredPhoto:
        """Bring one photo over: it is stored whole or not at all."""
        name = self.device.name
        if found.path in {old.path for old in armed.before}:
            raise CameraError(f"{name} offers {found.path} for this shot, which was there before it", "fire it again")
        path = folder / f"{plan.number:04d}_{name}{Path(found.name).suffix.lower()}"
        with atomic_file(path) as temporary:
            self._camera.pull(found, temporary)
            size_bytes = temporary.stat().st_size
            if size_bytes != found.size_bytes:
                raise PullFailed(
                    f"{name} announced {found.size_bytes} bytes for {found.path}, {size_bytes} came",
                    "the photo is still on the device: run the command again, or copy it by hand",
                )
            sha256 = sha256_file(temporary)
            if self._interrupted.is_set():
                raise CameraError(f"interrupted before {found.path} of {name} was stored", "it is still on the device")
        meta = _meta(path)
        return StoredPhoto(
            device=name,
            role=self.device.role,
            path=path,
            device_path=found.path,
            sha256=sha256,
            size_bytes=size_bytes,
            release=release,
            meta=meta,
            shutter=_shutter(meta, armed.clock, plan.at_ns),
        )

    def _disconnect(self) -> None:
        try:
            self._camera.close()
        except CameraError:
            _log.debug("%s: closing failed", self.device.name, exc_info=True)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what no driver should raise into an error of that device, so that the other devices go on."""
    try:
        yield
    except DpedError:
        raise
    except OSError as error:
        raise CameraError(f"{name}: {error}", "check its cable and run `dpedkit devices`") from error
    except Exception as error:
        raise CameraError(
            f"{name}: its driver failed with {type(error).__name__}: {error}",
            "this is a fault of the driver: please report it with the output of the same command and -vv",
        ) from error


def _meta(path: Path) -> PhotoMeta | None:
    try:
        return read_meta(path)
    except (ImageError, MissingExtra):
        return None


def _shutter(meta: PhotoMeta | None, clock: ClockOffset | None, near_ns: int) -> ShutterTime | None:
    if meta is None or meta.taken_at is None or clock is None:
        return None
    return shutter_time(meta.taken_at, meta.taken_step, clock, near_ns)
