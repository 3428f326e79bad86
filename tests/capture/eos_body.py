"""A camera body for tests of the protocol: a JPEG lands on its card a moment after each release."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spec:
    model: str = "Canon EOS 70D"
    serial: str = "023021005149"


class CopyingBody:
    """Fulfils capture.simulate.eos_session.EosBody; every photo is a copy of `photo`."""

    def __init__(
        self, card: Path, photo: Path, *, lag_s: float = 0.02, offset_ns: int = 0, raw: Path | None = None
    ) -> None:
        self.spec = Spec()
        self.card = card
        self.battery_percent = 73
        self.released_ns: list[int] = []
        self._sources = {"JPG": photo} | ({"CR2": raw} if raw else {})
        self._lag_s = lag_s
        self._offset_ns = offset_ns
        self._subscribers: list[Callable[[Path], None]] = []
        self._folder = card / "DCIM" / "100CANON"
        self._folder.mkdir(parents=True, exist_ok=True)

    def now_ns(self) -> int:
        return time.time_ns() + self._offset_ns

    def release(self) -> None:
        self.released_ns.append(time.time_ns())
        threading.Timer(self._lag_s, self._land, args=(len(self.released_ns),)).start()

    def subscribe(self, callback: Callable[[Path], None]) -> None:
        self._subscribers.append(callback)

    def photo(self, number: int, suffix: str = "JPG") -> Path:
        return self._folder / f"IMG_{number:04d}.{suffix}"

    def _land(self, number: int) -> None:
        for suffix, source in self._sources.items():
            photo = self.photo(number, suffix)
            hidden = photo.with_name(f".{photo.name}")
            shutil.copyfile(source, hidden)
            hidden.replace(photo)
            for callback in self._subscribers:
                callback(photo)
