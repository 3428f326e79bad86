"""A camera body whose card and shutter a test holds in its hands, and a wire that can be cut."""

from __future__ import annotations

import select
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dpedkit.capture.simulate.exif import Dials
from dpedkit.capture.simulate.specs import camera_spec


class CopyingBody:
    """Puts a copy of each source on its card `lag_s` after a release.

    sources   suffix -> the file to copy: {"JPG": path, "CR2": path}
    announce  False: nobody is told that a photo has landed
    """

    spec = camera_spec("dslr")
    battery_percent = 73

    def __init__(self, card: Path, sources: dict[str, Path], *, lag_s: float = 0.01, announce: bool = True) -> None:
        self.card = card
        self.offset_ns = 0
        self.released_ns: list[int] = []
        self._sources = sources
        self._lag_s = lag_s
        self._announce = announce
        self._subscribers: list[Callable[[Path], None]] = []
        self._folder = card / "DCIM" / "100CANON"
        self._folder.mkdir(parents=True)

    def now_ns(self) -> int:
        return time.time_ns() + self.offset_ns

    def release(self) -> None:
        self.released_ns.append(time.time_ns())
        threading.Timer(self._lag_s, self._land, args=(len(self.released_ns),)).start()

    def subscribe(self, callback: Callable[[Path], None]) -> None:
        self._subscribers.append(callback)

    def set_dials(self, dials: Dials) -> None:
        self.dials = dials

    def photo(self, number: int, suffix: str = "JPG") -> Path:
        return self._folder / f"IMG_{number:04d}.{suffix}"

    def _land(self, number: int) -> None:
        for suffix, source in self._sources.items():
            photo = self.photo(number, suffix)
            hidden = photo.with_name(f".{photo.name}")
            shutil.copyfile(source, hidden)
            hidden.replace(photo)
            for callback in self._subscribers if self._announce else ():
                callback(photo)


class Wire:
    """Forwards connections to a port of this machine until told to fail.

    fail_after  bytes that still come through from the camera; then the wire is cut, or (`silent`) goes dead
    """

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.fail_after: int | None = None
        self.silent = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to_port))
                threading.Thread(target=self._forward, args=(near, far), daemon=True).start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is far and self.fail_after is not None:
                        data, self.fail_after = data[: self.fail_after], self.fail_after - len(data)
                    (far if source is near else near).sendall(data)
                    if self.fail_after is not None and self.fail_after <= 0:
                        self.fail_after = 0
                        while self.silent and near.recv(1 << 16):
                            pass
                        return
