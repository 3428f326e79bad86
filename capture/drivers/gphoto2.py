"""DSLRs through libgphoto2: over USB or PTP/IP, Canon EOS and whatever else can be fired over PTP."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gphoto2 as gp

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.capture.drivers.gphoto2_calls import free_bytes
from dpedkit.capture.drivers.gphoto2_clock import SecondsClock
from dpedkit.capture.drivers.gphoto2_connect import SERIALS, detect, hang_up, open_ptpip, open_usb
from dpedkit.capture.drivers.gphoto2_errors import LOST, explain
from dpedkit.capture.drivers.gphoto2_photos import one_shot, read_photo, walk_photos
from dpedkit.capture.drivers.gphoto2_settings import Value, apply_setting, read_setting, setting_names
from dpedkit.errors import CameraError, CameraTimeout, PullFailed

__all__ = ["Gphoto2Camera", "detect"]

_IDENTITY = {"manufacturer", "cameramodel", "deviceversion", "batterylevel", *SERIALS}
_ON_THE_CARD: Mapping[str, Value] = {"capturetarget": "Memory card"}
_RELEASE = "eosremoterelease"
_PRESS = ("Press Full MF", "Immediate", "Press Full")  # the first is of libgphoto2 2.5.34, the others are older
_LET_GO = ("Release", "Release Full")
_CLOCKS = ("datetimeutc", "datetime")
_FILE_NEWS = (gp.GP_EVENT_FILE_ADDED, gp.GP_EVENT_FOLDER_ADDED, gp.GP_EVENT_FILE_CHANGED)
_POLL_MS = 30
_SPIN_NS = 2_000_000
_QUIET_NS = 80_000_000  # before a release the wire is left alone
_TICK_PATIENCE_NS = 1_300_000_000
_TICK_POLL_S = 0.005
_CLOCK_BOUND_NS = 25_000_000


class Gphoto2Camera:
    """One DSLR; fulfils dpedkit.capture.camera.Camera. To be used from one thread.

    After an error that broke the conversation it is closed; `open` begins anew.

    name      of the device in its rig
    address   "usb:SERIAL", "usb:" (the only one) or "ptpip:HOST[:PORT]"
    settings  libgphoto2's config names -> the name of the choice, or a number
    trigger   "eos" (Canon's remote release), "ptp" (plain capture); "": the better one the camera has
    clock_ns  the host's wall clock
    """

    def __init__(
        self,
        name: str,
        address: str,
        settings: Mapping[str, Value] | None = None,
        *,
        trigger: str = "",
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._address = address
        self._called = f"{name} ({address})"
        self._settings = {**_ON_THE_CARD, **(settings or {})}
        self._trigger = trigger
        self._clock_ns = clock_ns
        self._connected: Any = None
        self._config_names: frozenset[str] = frozenset()
        self._clock = SecondsClock()
        self._clock_ticks = True

    def open(self) -> None:
        """Connect.

        Raises:
            CameraNotFound: nothing of that address or serial number answers.
            CameraError: another program holds it.
        """
        self.close()
        connect = open_ptpip if self._address.startswith("ptpip:") else open_usb
        self._connected = connect(self.name, self._address)
        with self._explained("reading its settings") as camera:
            self._config_names = setting_names(camera)

    def close(self) -> None:
        """Disconnect; safe to call twice and after an error."""
        camera, self._connected = self._connected, None
        if camera is not None:
            hang_up(camera)

    def info(self) -> CameraInfo:
        """Ask the camera who it is and how it feels."""
        with self._explained("reading its state") as camera:
            shown = {name: str(read_setting(camera, name)) for name in self._config_names & _IDENTITY}
            room_bytes = free_bytes(camera)
        battery = shown.get("batterylevel", "").rstrip("%")
        return CameraInfo(
            make=shown.get("manufacturer", ""),
            model=shown.get("cameramodel", ""),
            serial=next((shown[name] for name in SERIALS if shown.get(name)), ""),
            firmware=shown.get("deviceversion", ""),
            battery_percent=int(battery) if battery.isdecimal() else None,
            free_bytes=room_bytes,
        )

    def prepare(self) -> None:
        """Send photos to the memory card and apply the settings; each is read back.

        Raises:
            CameraError: a setting or a choice the camera does not have; it names those there are.
        """
        for name, wanted in self._settings.items():
            if name in self._config_names or name not in _ON_THE_CARD:  # not every camera lets one choose
                with self._explained(f"setting {name}") as camera:
                    apply_setting(camera, self._called, self._config_names, name, wanted)
        with self._explained("reading its events") as camera:
            _drain(camera)

    def clock_offset(self) -> ClockOffset | None:
        """Compare clocks; the first time it waits up to 1.3 s for a tick. None where no clock is seen ticking."""
        setting = next((name for name in _CLOCKS if name in self._config_names), None)
        if setting is None or not self._clock_ticks:
            return None
        first = self._read_clock(setting)
        if self._clock.offset().bound_ns > _CLOCK_BOUND_NS:
            given_up_ns = self._clock_ns() + _TICK_PATIENCE_NS
            while self._read_clock(setting) == first:
                if self._clock_ns() > given_up_ns:
                    self._clock_ticks = False  # libgphoto2 shows what the camera told at the beginning
                    return None
                time.sleep(_TICK_POLL_S)
        return self._clock.offset()

    def list_photos(self) -> frozenset[CameraFile]:
        """List the photos on the camera now."""
        with self._explained("listing its photos") as camera:
            _drain(camera)
            return frozenset(walk_photos(camera))

    def fire(self, at_ns: int) -> Release:
        """Release the shutter at `at_ns` (host wall clock, ns; now if past)."""
        with self._explained("releasing the shutter") as camera:
            press, let_go = self._shutter_button(camera)
            while at_ns - self._clock_ns() > _QUIET_NS:
                _drain(camera, _POLL_MS)  # keeps the camera awake and its buffer of events empty
            while (left_ns := at_ns - self._clock_ns()) > 0:
                if left_ns > _SPIN_NS:
                    time.sleep((left_ns - _SPIN_NS) / 1e9)
            earliest_ns = self._clock_ns()
            press()
            latest_ns = self._clock_ns()
            let_go()
        return Release(earliest_ns, latest_ns)

    def wait_for_photos(
        self, before: frozenset[CameraFile], suffixes: tuple[str, ...], timeout_s: float
    ) -> list[CameraFile]:
        """Return the photos that are not in `before`: one of each suffix, all of one name.

        A camera tells of each photo once. Should that be lost, a new connection half-way through lists them anew.

        Raises:
            CameraTimeout: not all of them came in time.
        """
        known = {photo.path for photo in before}
        deadline_s = time.monotonic() + timeout_s
        doubt_s = deadline_s - timeout_s / 2
        while not (found := one_shot(fresh := self._photos_beside(known), suffixes)):
            if time.monotonic() > deadline_s:
                came = ", ".join(sorted(photo.name for photo in fresh)) or "nothing"
                raise CameraTimeout(
                    f"{self._called} made no {' and '.join(suffixes)} within {timeout_s:g} s; came: {came}",
                    "set its lens to MF, its image format to the files its rig expects, and check its memory card",
                )
            if time.monotonic() > doubt_s:
                doubt_s = deadline_s
                self.open()
                self.prepare()
            else:
                self._await_news(doubt_s)
        return found

    def pull(self, photo: CameraFile, into: Path) -> None:
        """Copy a photo's bytes into the file `into`, piece by piece, and verify its size.

        Raises:
            PullFailed: the transfer broke off or the bytes are not what the camera announced.
            OSError: `into` cannot be written.
        """
        if shutil.disk_usage(into.parent).free < photo.size_bytes:  # libgphoto2 takes this for a broken wire
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(into))
        try:
            with self._explained(f"pulling {photo.path}") as camera, into.open("wb") as stream:
                size_bytes = sum(stream.write(piece) for piece in read_photo(camera, photo))
        except CameraError as error:
            raise PullFailed(error.cause, f"the photo is still on the camera; {error.remedy}") from error
        if size_bytes != photo.size_bytes:
            raise PullFailed(
                f"{self._called} announced {photo.size_bytes} bytes for {photo.path}, {size_bytes} came",
                "the photo is still on the camera: run the command again, or copy it by hand",
            )

    def _photos_beside(self, known: set[str]) -> list[CameraFile]:
        return [photo for photo in self.list_photos() if photo.path not in known]

    def _await_news(self, until_s: float) -> None:
        """Wait for an event about a file, at most until that moment of the monotonic clock."""
        with self._explained("waiting for its photo") as camera:
            while not _drain(camera, _POLL_MS) and time.monotonic() <= until_s:
                pass

    def _read_clock(self, setting: str) -> int:
        """Read the camera's clock, s since the epoch."""
        with self._explained("reading its clock") as camera:
            before_ns = self._clock_ns()
            shown_s = int(read_setting(camera, setting))
            self._clock.add(shown_s, before_ns, self._clock_ns())
            _drain(camera)
        return shown_s

    def _shutter_button(self, camera: Any) -> tuple[Callable[[], object], Callable[[], object]]:
        """Return what presses the shutter button and what lets it go."""
        if self._trigger != "ptp" and _RELEASE in self._config_names:
            widget = camera.get_single_config(_RELEASE)
            choices = list(widget.get_choices())
            press, let_go = (next((name for name in names if name in choices), "") for names in (_PRESS, _LET_GO))
            if press and let_go:
                return _chooser(camera, widget, press), _chooser(camera, widget, let_go)
        if self._trigger == "eos":
            raise CameraError(f"{self._called} has no remote release", 'set trigger = "ptp" in the rig file')
        if camera.get_abilities().operations & gp.GP_OPERATION_TRIGGER_CAPTURE:
            return camera.trigger_capture, lambda: None
        return lambda: camera.capture(gp.GP_CAPTURE_IMAGE), lambda: None

    @contextmanager
    def _explained(self, doing: str) -> Iterator[Any]:
        """Yield the open camera; turn libgphoto2's errors into ours, and hang up where the conversation broke."""
        if self._connected is None:
            raise CameraError(f"{self._called} is not connected: {doing}", "open it again")
        try:
            yield self._connected
        except gp.GPhoto2Error as error:
            if error.code in LOST:
                self.close()
            raise explain(error.code, error.string, self.name, self._address, doing) from error


def _chooser(camera: Any, widget: Any, choice: str) -> Callable[[], None]:
    def choose() -> None:
        widget.set_value(choice)
        camera.set_single_config(_RELEASE, widget)

    return choose


def _drain(camera: Any, wait_ms: int = 0) -> bool:
    """Take in what the camera has to tell, waiting at most `wait_ms` for it; return whether it is about files."""
    news = False
    event, _ = camera.wait_for_event(wait_ms)
    while event != gp.GP_EVENT_TIMEOUT:
        news |= event in _FILE_NEWS
        event, _ = camera.wait_for_event(0)
    return news
