"""A driver of another package: a camera that does what its rig file's settings say, to the letter.

Its card is a folder (its address); firing it puts one file per suffix onto the card, a real JPEG with the time of the
release in its EXIF for each .jpg. `fault` names what goes wrong, at the releases in `at` (counted from 1; 0: always).
"""

from __future__ import annotations

import errno
import io
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD, Base

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, PullFailed

_PIECE_BYTES = 64


class ScriptedCamera:
    def __init__(self, name: str, address: str, settings: dict[str, Any], **_: object) -> None:
        self.name = name
        self._card = Path(address.removeprefix("card:"))
        self._fault = settings.get("fault", "")
        self._at = settings.get("at", 0)
        self._endings = str(settings.get("endings", ".jpg .dng")).split()
        self._log = self._card.parent / f"{name}.log"
        self._fired = self._tries = 0
        self._late: list[Path] = []

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

    def keep_awake(self) -> None:
        self._note("awake")

    def diagnose(self) -> str:
        return "its battery door is open" if self._does("timeout") else ""

    def clock_offset(self) -> ClockOffset | None:
        return None if self._fault == "no clock" else ClockOffset(0, 0, time.time_ns())

    def list_photos(self) -> frozenset[CameraFile]:
        return frozenset(
            CameraFile(path.name, path.stat().st_size) for path in self._card.iterdir() if path.suffix != ".hidden"
        )

    def fire(self, at_ns: int) -> Release:
        self._fired += 1
        if self._does("bug"):
            raise KeyError("battery")
        if self._does("fire fails"):
            raise CameraError(f"{self.name} is busy")
        while time.time_ns() < at_ns:
            time.sleep(0.001)
        self._note(f"fire {at_ns}")
        if self._does("unplugged") or self._does("lost in fire"):
            self._expose(at_ns)
            raise CameraTimeout(f"{self.name} is gone")
        if not (self._does("timeout") or self._does("old photo")):
            self._expose(at_ns)
        return Release(at_ns, at_ns)

    def new_photos(self, known: Collection[str]) -> list[CameraFile]:
        if not self._card.is_dir():
            raise CameraTimeout(f"{self.name} is gone")
        if self._does("old photo"):
            return sorted(self.list_photos())[:1] if self._fired else []
        found = [photo for photo in self.list_photos() if photo.path not in known]
        if not found:
            time.sleep(0.01)
        return sorted(found)

    def pull(self, photo: CameraFile, into: Path) -> Iterator[int]:
        self._note(f"pull {photo.path}")
        data = (self._card / photo.path).read_bytes()
        if self._fault == "full disk":
            into.write_bytes(data[:3])
            raise OSError(errno.ENOSPC, "No space left on device", str(into))
        if self._fault in ("pull", f"pull {photo.path}") or (self._does("pull once") and not self._noted("half")):
            into.write_bytes(data[:3])
            self._note("half")
            raise PullFailed(f"{self.name} went away")
        if self._does("damaged once") and not self._noted("half"):
            self._note("half")
            data = data[:100] + bytes(len(data) - 100)
        if self._does("damaged anew") and photo.path.endswith(".JPG"):
            self._tries += 1
            data = data[: 100 + self._tries] + bytes(len(data) - 100 - self._tries)
        if self._fault == "short":
            data = data[:3]
        with into.open("wb") as stream:
            for begin in range(0, len(data), _PIECE_BYTES):
                stream.write(data[begin : begin + _PIECE_BYTES])
                stream.flush()
                yield begin
                if self._does("slow pull"):
                    self._note("pulling")
                    while not (self._card.parent / "go on").exists() and self._fired < 2:
                        time.sleep(0.01)
                        yield begin

    def delete(self, photo: CameraFile) -> None:
        (self._card / photo.path).unlink()

    def _expose(self, at_ns: int) -> None:
        number = len({path.name[:4] for path in self._card.iterdir()})
        for ending in self._endings:
            path = self._card / f"{number:04d}{ending.upper()}"
            data = _jpeg(at_ns) if ending == ".jpg" else f"{self.name} {path.name} {at_ns}".encode()
            if self._does("damaged") and ending == ".jpg":
                data = data[:100] + bytes(len(data) - 100)
            if self._does("late"):
                path = path.with_suffix(f"{path.suffix}.hidden")  # a test makes it appear
            unfinished = self._card.parent / f"{self.name}.unfinished"
            unfinished.write_bytes(data)
            unfinished.rename(path)  # a real camera does not die with the program that fires it

    def _does(self, fault: str) -> bool:
        return bool(self._fault == fault and self._at in (0, self._fired))

    def _noted(self, line: str) -> bool:
        return line in self._log.read_text().splitlines()

    def _note(self, line: str) -> None:
        with self._log.open("a") as log:
            log.write(line + "\n")


def _jpeg(taken_ns: int) -> bytes:
    exif = Image.Exif()
    second, rest_ns = divmod(taken_ns, 10**9)
    exif.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: datetime.fromtimestamp(second, UTC).strftime("%Y:%m:%d %H:%M:%S"),
            Base.SubsecTimeOriginal: f"{rest_ns // 1_000_000:03d}",
        }
    )
    stream = io.BytesIO()
    Image.effect_noise((32, 24), 60).convert("RGB").save(stream, "JPEG", exif=exif)
    return stream.getvalue()
