"""Run with VCAMERADIR set: our driver on libgphoto2's own virtual camera. Prints what it saw as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from gphoto2_driving import await_photos, pull

from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera, detect
from dpedkit.capture.drivers.gphoto2_calls import free_bytes
from dpedkit.errors import CameraError, CameraNotFound


def main() -> None:
    seen = detect()
    camera = Gphoto2Camera("virtual", seen[0].address)
    camera.open()
    camera.prepare()
    before = camera.list_photos()
    known = {old.path for old in before}
    started_ns = time.time_ns()
    release = camera.fire(started_ns + 50_000_000)
    (photo,) = await_photos(camera, 1, known)
    pull(camera, photo, Path(sys.argv[1]))
    camera.delete(photo)
    after = camera.list_photos()
    info = camera.info()
    told = camera._connected.get_storageinfo()  # the reference for our own call of it
    errors = []
    for address, kind in (("usb:4711", CameraNotFound), ("ptpip:127.0.0.1:1", CameraError)):
        try:
            Gphoto2Camera("other", address).open()
        except kind as error:
            errors.append(error.cause)
    print(
        json.dumps(
            {
                "seen": [[one.model, one.address] for one in seen],
                "before": sorted(old.name for old in before),
                "after": sorted(left.name for left in after),
                "late_ns": release.earliest_ns - started_ns - 50_000_000,
                "took_ns": release.latest_ns - release.earliest_ns,
                "size_bytes": photo.size_bytes,
                "model": info.model,
                "free": [info.free_bytes, free_bytes(camera._connected), told[0].freekbytes * 1024],
                "errors": errors,
            }
        )
    )
    camera.close()


if __name__ == "__main__":
    main()
