"""A photo's way onto the memory card: its files, their names, their truth, and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dpedkit.capture.simulate.exif import Shot, exif_block, with_exif
from dpedkit.capture.simulate.faults import Script, damaged
from dpedkit.capture.simulate.formats import RAW_ENDINGS, encode_dng, encode_heic
from dpedkit.capture.simulate.frame import Frame
from dpedkit.capture.simulate.specs import CameraSpec
from dpedkit.capture.simulate.state import StateFolder
from dpedkit.types import Json

_RAW_AFTER = 1.2
"""When a raw file is written: this many times as long after the shutter as the JPEG."""
_GROWS_BY = 20
"""In how many pieces a slow file is written."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The shutter opened.

    number       of the release, counted from 1 since the camera was switched on
    released_ns  when the button was pressed, host wall clock
    shutter_ns   when it opened, host wall clock
    scene        before which scene
    board        with the clock board before it
    files        what this release makes, as file endings without the dot
    shot         what the camera notes; without the exposure time of a metered shot: 0
    """

    number: int
    released_ns: int
    shutter_ns: int
    scene: int
    board: bool
    files: tuple[str, ...]
    shot: Shot


@dataclass(frozen=True, slots=True)
class _Print:
    """One file of a photo, and when it is due on the card (host ns)."""

    path: Path
    data: bytes
    due_ns: int


class Writer:
    """Writes the photos of one camera; for use by one thread.

    faults  what goes wrong
    landed  called with each photo that lies on the card whole, from whichever thread put it there
    off     set when the camera is switched off: what is not on the card then is lost
    """

    def __init__(
        self, spec: CameraSpec, state: StateFolder, faults: Script, landed: Callable[[Path], None], off: threading.Event
    ) -> None:
        self._spec, self._state, self._faults, self._landed, self._off = spec, state, faults, landed, off
        self._card = state.card(spec.name)
        (self._card / spec.photo_name).parent.mkdir(parents=True, exist_ok=True)
        state.truth.mkdir(exist_ok=True)
        self._next_number = self._highest_number() + 1
        self._last: Path | None = None
        self._stragglers: list[threading.Thread] = []

    def write(self, frame: Frame, exposure: Exposure, now_ns: Callable[[], int]) -> None:
        """Put an exposure's files on the card, each at its time; truth first: whoever sees a photo can look it up.

        now_ns  the device's clock
        """
        number = exposure.number
        if self._faults.at("no_file", number):
            return
        late = self._faults.at("late_file", number)
        prints = self._prints(frame, exposure, round(late.after_s * 1e9) if late else 0)
        for made in prints:
            self._faults.wrote(made.path, number)
            self._note_truth(made.data, frame, exposure)
        slow = self._faults.at("slow_file", number)
        if late or slow:
            straggler = threading.Thread(target=self._land, args=(prints, now_ns, slow.after_s if slow else 0.0))
            self._stragglers = [*(thread for thread in self._stragglers if thread.is_alive()), straggler]
            straggler.start()
        else:
            self._land(prints, now_ns, 0.0)

    def close(self) -> None:
        """Wait for the threads that write late files; they end when the camera is off."""
        for thread in self._stragglers:
            thread.join()

    def _prints(self, frame: Frame, exposure: Exposure, late_ns: int) -> list[_Print]:
        """Return a photo's files under their names, the JPEG first."""
        path = self._name(exposure)
        written_ns = round(self._spec.timing.write_ms * 1e6)
        capitals = path.suffix.isupper()
        prints = []
        for ending in sorted(exposure.files, key=lambda ending: ending in RAW_ENDINGS):
            data = self._encode(frame, exposure.shot, ending)
            if self._faults.at("corrupt_on_card", exposure.number):
                data = damaged(data)
            after_ns = round(written_ns * _RAW_AFTER) if ending in RAW_ENDINGS else written_ns
            suffix = f".{ending.upper() if capitals else ending}"
            prints.append(_Print(path.with_suffix(suffix), data, exposure.shutter_ns + after_ns + late_ns))
        return prints

    def _encode(self, frame: Frame, shot: Shot, ending: str) -> bytes:
        if ending in RAW_ENDINGS:
            return encode_dng(self._spec, frame.mosaic, frame.jpeg, shot)
        exif = exif_block(self._spec, shot)
        return (
            encode_heic(frame.jpeg, exif, self._spec.look.quality) if ending == "heic" else with_exif(frame.jpeg, exif)
        )

    def _name(self, exposure: Exposure) -> Path:
        """Return where the photo goes; at the fault duplicate_name as when a camera's counter starts again."""
        device_ns = exposure.shot.device_ns
        moment = datetime.fromtimestamp(device_ns // 1_000_000_000, UTC).strftime("%Y%m%d_%H%M%S")
        stamp = f"{moment}_{device_ns // 1_000_000 % 1000:03d}"
        path = self._card / self._spec.photo_name.format(number=self._next_number, time=stamp)
        if self._last is not None and self._faults.at("duplicate_name", exposure.number):
            path = _next_folder(self._last.parent) / self._last.name
            path.parent.mkdir()
        else:
            self._next_number += 1
        self._last = path
        return path

    def _note_truth(self, data: bytes, frame: Frame, exposure: Exposure) -> None:
        truth: Json = frame.truth | {
            "camera": self._spec.name,
            "release": exposure.number,
            "released_ns": exposure.released_ns,
            "shutter_ns": exposure.shutter_ns,
            "clock_offset_ns": exposure.shot.device_ns - exposure.shutter_ns,
            "clock_drift_ppm": self._spec.timing.drift_ppm,
        }
        self._place(self._state.truth / f"{hashlib.sha256(data).hexdigest()}.json", json.dumps(truth).encode())

    def _land(self, prints: Sequence[_Print], now_ns: Callable[[], int], grows_s: float) -> None:
        for made in prints:
            if self._off_before(made.due_ns):
                return
            if grows_s and not self._grow(made, grows_s):
                return
            if not grows_s:
                self._place(made.path, made.data, now_ns())
            self._landed(made.path)

    def _grow(self, made: _Print, grows_s: float) -> bool:
        """Write a file piece by piece where every listing sees it; False when the camera was switched off."""
        step = max(1, -(-len(made.data) // _GROWS_BY))
        with made.path.open("wb", buffering=0) as stream:
            for start in range(0, len(made.data), step):
                stream.write(made.data[start : start + step])
                if self._off.wait(grows_s / _GROWS_BY):
                    return False
        return True

    def _place(self, path: Path, data: bytes, mtime_ns: int | None = None) -> None:
        """Write a file so that it appears whole; it is written off the card, where no listing sees it."""
        unfinished = self._state.darkroom(self._spec.name) / f"{threading.get_native_id()}-{path.name}"
        unfinished.write_bytes(data)
        if mtime_ns is not None:
            os.utime(unfinished, ns=(mtime_ns, mtime_ns))
        unfinished.replace(path)

    def _off_before(self, host_ns: int) -> bool:
        """Wait until that moment; return True at once when the camera is switched off."""
        return self._off.wait(max(0, host_ns - time.time_ns()) / 1e9)

    def _highest_number(self) -> int:
        numbers = [re.search(r"_(\d{4})\.", path.name) for path in self._card.rglob("*.*")]
        return max((int(number[1]) for number in numbers if number), default=0)


def _next_folder(folder: Path) -> Path:
    """Return the folder that a camera opens after `folder`: 101CANON after 100CANON."""
    while folder.exists():
        number = re.match(r"\d+", folder.name)
        name = f"{int(number[0]) + 1}{folder.name[number.end() :]}" if number else f"{folder.name}2"
        folder = folder.with_name(name)
    return folder
