"""Our driver in a test's hands."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera

Settings = dict[str, str | int | float | bool]


@contextmanager
def opened(port: int, settings: Settings | None = None, trigger: str = "") -> Iterator[Gphoto2Camera]:
    camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{port}", settings, trigger=trigger)
    camera.open()
    try:
        camera.prepare()
        yield camera
    finally:
        camera.close()


def await_photos(
    camera: Gphoto2Camera, count: int, known: Collection[str] = (), timeout_s: float = 20
) -> list[CameraFile]:
    """Ask as a session does until there are `count` new photos, or the time is over; return them as they came."""
    found: list[CameraFile] = []
    deadline_s = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < deadline_s:
        found += camera.new_photos({*known, *(photo.path for photo in found)})
    return found


def pull(camera: Gphoto2Camera, photo: CameraFile, into: Path) -> bytes:
    """Return the bytes of a photo."""
    for _ in camera.pull(photo, into):
        pass
    return into.read_bytes()
