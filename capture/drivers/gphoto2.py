"""DSLRs through libgphoto2: over USB or PTP/IP, Canon EOS and whatever else can be fired over PTP."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gphoto2 as gp

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.capture.drivers.gphoto2_calls import delete_file, free_bytes
from dpedkit.capture.drivers.gphoto2_clock import SecondsClock
from dpedkit.capture.drivers.gphoto2_connect import SERIALS, detect, hang_up, open_ptpip, open_usb
from dpedkit.capture.drivers.gphoto2_errors import LOST, explain
from dpedkit.capture.drivers.gphoto2_photos import Arrivals, describe, read_end, read_pieces, walk_photos
from dpedkit.capture.drivers.gphoto2_release import EOS_RELEASE, ShutterButton, eos_button, press_at, ptp_button
from dpedkit.capture.drivers.gphoto2_settings import Value, apply_setting, read_setting, setting_names
from dpedkit.capture.drivers.gphoto2_trace import traced
from dpedkit.capture.trace import Trace
from dpedkit.errors import CameraError, PullFailed

__all__ = ["Gphoto2Camera", "detect"]

_IDENTITY = {"manufacturer", "cameramodel", "deviceversion", "batterylevel", *SERIALS}
_ON_THE_CARD: Mapping[str, Value] = {"capturetarget": "Memory card"}
_NOT_KEPT = ("Internal RAM", "sdram")  # libgphoto2 takes such a photo off the camera, and it is lost with this process
_STAY_ON = "autopoweroff"
_PRIVATE = {"ownername", "artist", "copyright", *SERIALS}
_CLOCKS = ("datetimeutc", "datetime")
_WAIT_MS = 100
_QUIET_MS = 80  # before a release the wire is left alone


class Gphoto2Camera:
    """One DSLR; fulfils dpedkit.capture.camera.Camera. To be used from one thread.

    After an error that broke the conversation it is closed; `open` begins anew.

    name      of the device in its rig
    address   "usb:SERIAL", "usb:" (the only one) or "ptpip:HOST[:PORT]"
    settings  libgphoto2's config names -> the name of the choice, or a number
    trigger   "eos" (Canon's remote release), "ptp" (plain capture); "": the better one the camera has
    trace     records what is said
    clock_ns  the host's wall clock
    """

    def __init__(
        self,
        name: str,
        address: str,
        settings: Mapping[str, Value] | None = None,
        *,
        trigger: str = "",
        trace: Trace | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._address = address
        self._called = f"{name} ({address})"
        self._settings = {**_ON_THE_CARD, **(settings or {})}
        self._trigger = trigger
        self._trace = trace
        self._clock_ns = clock_ns
        self._connected: Any = None
        self._config_names: frozenset[str] = frozenset()
        self._arrivals = Arrivals()
        self._clock = SecondsClock(self._read_clock, clock_ns)
        self._warnings: tuple[str, ...] = ()

    def open(self) -> None:
        """Connect.

        Raises:
            CameraNotFound: nothing of that address or serial number answers.
            CameraError: another program holds it.
        """
        self.close()
        connect = open_ptpip if self._address.startswith("ptpip:") else open_usb
        with traced(self._trace, self.name):
            self._connected = connect(self.name, self._address)
        self._arrivals.begin()
        with self._explained("reading its settings") as camera:
            self._config_names = setting_names(camera)
            self._arrivals.take_news(camera)  # a camera that fell silent meanwhile only seems to have fewer settings
            if self._trace is not None:
                self._trace.reveal(
                    self.name, [self._address.partition("usb:")[2], *_secrets(camera, self._config_names)]
                )

    def close(self) -> None:
        """Disconnect; safe to call twice and after an error."""
        camera, self._connected = self._connected, None
        if camera is not None:
            with traced(self._trace, self.name):
                hang_up(camera)

    def info(self) -> CameraInfo:
        """Ask the camera who it is and how it feels."""
        with self._explained("reading its state") as camera:
            shown = {}
            for name in self._config_names & _IDENTITY:
                with _lost_only():
                    shown[name] = str(read_setting(camera, name))
            room_bytes = free_bytes(camera)
        battery = shown.get("batterylevel", "").rstrip("%")
        return CameraInfo(
            make=shown.get("manufacturer", ""),
            model=shown.get("cameramodel", ""),
            serial=next((shown[name] for name in SERIALS if shown.get(name)), ""),
            firmware=shown.get("deviceversion", ""),
            battery_percent=int(battery) if battery.isdecimal() else None,
            free_bytes=room_bytes,
            warnings=self._warnings,
        )

    def prepare(self) -> None:
        """Send photos to the memory card and apply the settings; each is read back.

        Raises:
            CameraError: a setting or a choice the camera does not have; it names those there are. Or one with which
                photos would be lost.
        """
        if (target := self._settings["capturetarget"]) in _NOT_KEPT:
            remedy = 'set capturetarget = "Memory card" in the rig file'
            raise CameraError(f"{self._called}: photos are not safe with capturetarget = {target!r}", remedy)
        for name, wanted in self._settings.items():
            if name != _STAY_ON and (name in self._config_names or name not in _ON_THE_CARD):  # not every camera has it
                with self._explained(f"setting {name}") as camera:
                    apply_setting(camera, self._called, self._config_names, name, wanted)
        self._stay_on()
        self.keep_awake()

    def keep_awake(self) -> None:
        """Ask the camera for its news."""
        with self._explained("reading its events") as camera:
            self._arrivals.take_news(camera)

    def clock_offset(self) -> ClockOffset | None:
        """Compare clocks; the first time it waits for two ticks. None where no clock is seen ticking."""
        return self._clock.compare() if self._config_names.intersection(_CLOCKS) else None

    def list_photos(self) -> frozenset[CameraFile]:
        """List the photos on the camera now."""
        with self._explained("listing its photos") as camera:
            self._arrivals.take_news(camera)
            return frozenset(walk_photos(camera))

    def fire(self, at_ns: int) -> Release:
        """Release the shutter at `at_ns` (host wall clock, ns; now if past).

        A camera that is busy is asked again for up to a second.
        """
        with self._explained("releasing the shutter") as camera:
            button = self._button(camera)
            while (spare_ms := (at_ns - self._clock_ns()) // 1_000_000 - _QUIET_MS) > 0:
                self._arrivals.take_news(camera, min(_WAIT_MS, spare_ms))  # keeps it awake, and its memory of news free
            release, place = press_at(button, at_ns, self._clock_ns)
        self._arrivals.expect()
        with suppress(CameraError), self._explained("letting the shutter button go") as camera:  # the photo is taken
            button.let_go()
            if place is not None:
                self._arrivals.announce(camera, f"{place.folder.rstrip('/')}/{place.name}")
        return release

    def new_photos(self, known: Collection[str]) -> list[CameraFile]:
        """Return the whole photos whose paths are not in `known`; waits up to 0.1 s for one.

        A camera tells of each photo once. Where one was released and none is told of, or one does not become whole,
        a new conversation lists what is there: after 8 s, then after twice as long, and again.
        """
        if self._arrivals.doubt():
            self.open()
            self.prepare()
        with self._explained("looking for its photos") as camera:
            self._arrivals.take_news(camera)
            if not self._arrivals.look(camera, known) and self._arrivals.take_news(camera, _WAIT_MS):
                self._arrivals.look(camera, known)
        return self._arrivals.photos(known)

    def pull(self, photo: CameraFile, into: Path) -> Iterator[int]:
        """Copy a photo's bytes into the file `into`; yield after each piece how many have come; verify its size.

        Raises:
            PullFailed: the transfer broke off or the bytes are not what the camera announced.
            OSError: `into` cannot be written.
        """
        if shutil.disk_usage(into.parent).free < photo.size_bytes:  # libgphoto2 takes this for a broken wire
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(into))
        pieces = read_pieces(self._camera, photo)
        size_bytes = 0
        with into.open("wb") as stream:
            while piece := self._next_piece(pieces, photo):
                size_bytes += stream.write(piece)
                yield size_bytes
        if size_bytes != photo.size_bytes:
            raise PullFailed(
                f"{self._called} announced {photo.size_bytes} bytes for {photo.path}, {size_bytes} came",
                "the photo is still on the camera: run the command again, or copy it by hand",
            )

    def delete(self, photo: CameraFile) -> None:
        """Remove a photo from the camera; one that no longer has the announced size is left alone, with CameraError."""
        with self._explained(f"deleting {photo.path}") as camera:
            self._arrivals.take_news(camera)
            found_bytes = describe(camera, photo.path).size_bytes
            if found_bytes == photo.size_bytes and read_end(camera, photo, 1) == b"":
                found_bytes = 0  # it has shrunk since libgphoto2 asked
            if found_bytes != photo.size_bytes:
                raise CameraError(
                    f"{self._called}: {photo.path} had {photo.size_bytes} bytes and now has others; not deleted",
                    "look at it in the camera",
                )
            folder, _, name = photo.path.rpartition("/")
            delete_file(camera, folder, name)

    def diagnose(self) -> str:
        """Say what may have kept a photo from coming; "" where nothing seems wrong."""
        with self._explained("reading its state") as camera:
            if free_bytes(camera) == 0:
                return "its memory card is full"
            if "focusmode" in self._config_names and (focus := str(read_setting(camera, "focusmode"))) != "Manual":
                return f"its lens is on {focus}, not on MF: it may have found nothing to focus on"
        return ""

    def _stay_on(self) -> None:
        """Switch the camera's sleep off as far as it lets us: some are "busy" for ever (libgphoto2's issue 242)."""
        self._warnings = ()
        if _STAY_ON in self._config_names:
            with self._explained(f"setting {_STAY_ON}") as camera:
                wanted = self._settings.get(_STAY_ON, 0)
                self._warnings = (f"{_STAY_ON} cannot be set to {wanted}: do it in the camera's menu",)
                with suppress(CameraError), _lost_only():
                    apply_setting(camera, self._called, self._config_names, _STAY_ON, wanted, patience_s=0)
                    self._warnings = ()

    def _camera(self) -> Any:
        """Return the open camera."""
        if self._connected is None:
            raise CameraError(f"{self._called} is not connected", "open it again")
        return self._connected

    def _next_piece(self, pieces: Iterator[memoryview], photo: CameraFile) -> memoryview | None:
        try:
            with self._explained(f"pulling {photo.path}"):
                return next(pieces, None)
        except CameraError as error:
            raise PullFailed(error.cause, f"the photo is still on the camera; {error.remedy}") from error

    def _read_clock(self) -> int:
        """Read the camera's clock, s since the epoch."""
        setting = next(name for name in _CLOCKS if name in self._config_names)
        with self._explained("reading its clock") as camera:
            shown_s = int(read_setting(camera, setting))
            self._arrivals.take_news(camera)
        return shown_s

    def _button(self, camera: Any) -> ShutterButton:
        """Return the shutter button the rig file asks for."""
        if self._trigger != "ptp" and EOS_RELEASE in self._config_names and (button := eos_button(camera)):
            return button
        if self._trigger == "eos":
            raise CameraError(f"{self._called} has no remote release", 'set trigger = "ptp" in the rig file')
        return ptp_button(camera)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[Any]:
        """Yield the open camera; turn libgphoto2's errors into ours, and hang up where the conversation broke."""
        try:
            with traced(self._trace, self.name):
                yield self._camera()
        except gp.GPhoto2Error as error:
            if error.code in LOST:
                self.close()
            raise explain(error.code, error.string, self.name, self._address, doing) from error


def _secrets(camera: Any, names: frozenset[str]) -> list[str]:
    """Return what a trace is not to tell."""
    secrets = []
    for name in names & _PRIVATE:
        with _lost_only():
            secrets.append(str(read_setting(camera, name)))
    return secrets


@contextmanager
def _lost_only() -> Iterator[None]:
    """Pass over what a camera refuses, not over a broken conversation."""
    try:
        yield
    except gp.GPhoto2Error as error:
        if error.code in LOST:
            raise
