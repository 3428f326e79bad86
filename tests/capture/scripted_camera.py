"""A driver of another package: a camera that does what its rig file's settings say, to the letter.

Its card is a folder (its address); firing it writes one file per suffix onto the card.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import Any

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, PullFailed


class ScriptedCamera:
    def __init__(self, name: str, address: str, settings: dict[str, Any], **_: object) -> None:
        self.name = name
        self._card = Path(address.removeprefix("card:"))
        self._fault = settings.get("fault", "")
        self._log = self._card.parent / f"{name}.log"

    def open(self) -> None:
        self._note("open")
        if not self._card.is_dir():
            raise CameraNotFound(self.name, str(self._card))

    def close(self) -> None:
        self._note("close")

    def info(self) -> CameraInfo:
        return CameraInfo("Make", "Model", self.name)

    def prepare(self) -> None:
        self._note("prepare")
        if self._fault == "prepare":
            raise CameraError(f"{self.name} refuses iso = 12")

    def clock_offset(self) -> ClockOffset | None:
        return None

    def list_photos(self) -> frozenset[CameraFile]:
        return frozenset(CameraFile(path.name, path.stat().st_size) for path in self._card.iterdir())

    def fire(self, at_ns: int) -> Release:
        if self._fault == "bug":
            raise KeyError("battery")
        self._note(f"fire {at_ns}")
        return Release(at_ns, at_ns)

    def wait_for_photos(
        self, before: frozenset[CameraFile], suffixes: tuple[str, ...], timeout_s: float
    ) -> list[CameraFile]:
        if self._fault == "timeout":
            raise CameraTimeout(f"{self.name} gave no photo within {timeout_s} s")
        if self._fault == "old photo":
            return sorted(before)
        new = []
        for suffix in suffixes:
            path = self._card / f"{len(list(self._card.iterdir())):04d}{suffix.upper()}"
            path.write_bytes(f"{self.name} {path.name}".encode())
            new.append(CameraFile(path.name, path.stat().st_size))
        return new

    def pull(self, photo: CameraFile, into: Path) -> None:
        data = (self._card / photo.path).read_bytes()
        if self._fault == "full disk":
            into.write_bytes(data[:3])
            raise OSError(errno.ENOSPC, "No space left on device", str(into))
        if self._fault in ("pull", f"pull {photo.path}"):
            into.write_bytes(data[:3])
            raise PullFailed(f"{self.name} went away")
        into.write_bytes(data[:3] if self._fault == "short" else data)
        if self._fault == "slow pull":
            self._note("pulling")
            while not (self._card.parent / "go on").exists():
                time.sleep(0.01)

    def _note(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(line + "\n")
