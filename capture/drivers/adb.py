"""Android phones, over ADB: any camera app that saves to DCIM, fired by what the phone's own shell offers."""

from __future__ import annotations

import hashlib
import re
import shlex
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.capture.drivers.adb_clock import (
    MOST_DRIFT,
    DeviceClock,
    bound_release,
    choose_clock,
    fire_script,
    measure_offset,
    parse_report,
)
from dpedkit.capture.drivers.adb_connect import connect_phone, explained
from dpedkit.capture.drivers.adb_prepare import prepare_phone, read_info
from dpedkit.capture.drivers.adb_transport import QuickAdbDevice
from dpedkit.capture.drivers.adb_trigger import trigger_command
from dpedkit.errors import CameraError, CameraTimeout, PullFailed
from dpedkit.files import storage_error

_DCIM = "/sdcard/DCIM"
_PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".heic", ".heif", ".dng"})
_MOST_FOLDERS = 4  # below each other; a link to a folder above would have no end
_JPEG_END = "ffd9"
_POLL_S = 0.1
_SETTLED_S = 1.5
_SCRIPT_LEAD_S = 2.0


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A clock offset and when, on the host's clock, it was measured."""

    offset: ClockOffset
    at_ns: int

    def bound_ns(self, now_ns: int) -> int:
        """How far the offset may be off by now, for the phone's clock drifts."""
        return self.offset.bound_ns + round(abs(now_ns - self.at_ns) * MOST_DRIFT)


class AdbCamera:
    """A phone; fulfils dpedkit.capture.camera.Camera.

    A connection that breaks is closed, and made anew by the next call.

    name       of the device in its rig
    address    "tcp:HOST:PORT" or "usb:SERIAL"
    settings   Android settings to apply and verify, such as {"system.screen_brightness": 40}
    keys       folder of this computer's adb key, made where it is missing; the stock adb client's is ~/.android
    trigger    how the shutter is released; see `trigger_command`
    timeout_s  for each answer of the phone
    host_ns    the host's wall clock
    """

    def __init__(
        self,
        name: str,
        address: str,
        settings: Mapping[str, str | int | float | bool],
        *,
        keys: Path,
        trigger: str = "",
        timeout_s: float = 10.0,
        host_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._address = address
        self._keys = keys
        self._command = trigger_command(trigger)
        self._settings = dict(settings)
        self._timeout_s = timeout_s
        self._host_ns = host_ns
        self._device: QuickAdbDevice | None = None
        self._clock: DeviceClock | None = None
        self._comparison: _Comparison | None = None

    def open(self) -> None:
        """Connect.

        Raises:
            CameraNotFound, CameraTimeout, CameraError: see `connect_phone`.
        """
        self.close()
        self._device = connect_phone(self.name, self._address, self._keys, self._timeout_s)

    def close(self) -> None:
        """Disconnect; safe to call twice and after an error."""
        if self._device:
            self._device.close()
            self._device = None

    def info(self) -> CameraInfo:
        """Ask the phone who it is and how it feels."""
        return read_info(self.shell)

    def prepare(self) -> None:
        """Keep the phone awake, unlocked and in its camera app, with the rig's settings applied.

        Raises:
            CameraError: it is locked by a PIN, or refuses a setting or the camera app; or battery or space run out.
        """
        prepare_phone(self.name, self.shell, self._settings)

    def clock_offset(self) -> ClockOffset:
        """Compare clocks; takes 12 round trips, or a good second where the phone only knows whole seconds."""
        offset = measure_offset(self.shell, self._device_clock(), self._host_ns)
        self._comparison = _Comparison(offset, self._host_ns())
        return offset

    def list_photos(self) -> frozenset[CameraFile]:
        """List the photos in every folder of DCIM, but for hidden ones (thumbnails, the bin, files being written)."""
        with self._talking("listing its photos") as device:
            return frozenset(_list_photos(device, _DCIM))

    def fire(self, at_ns: int) -> Release:
        """Run the trigger at `at_ns`; the phone waits by its own clock, so the network's delay does not matter."""
        clock = self._device_clock()
        if not clock.read:
            return self._fire_by_host(at_ns)
        if self._comparison is None:
            self.clock_offset()
        self._sleep_until(at_ns - round(_SCRIPT_LEAD_S * 1e9))
        return self._fire_by_phone(clock, at_ns)

    def wait_for_photos(
        self, before: frozenset[CameraFile], suffixes: tuple[str, ...], timeout_s: float
    ) -> list[CameraFile]:
        """Return the photos that were not in `before`, once one whole file of each suffix is there.

        A file is whole when its size is the same in two listings and it ends as a JPEG does; one that ends otherwise
        (another format, or a maker's notes after the picture) when it has not grown for 1.5 s.

        Raises:
            CameraTimeout: not all of them came in time.
        """
        known = {photo.path for photo in before}
        deadline_s = time.monotonic() + timeout_s
        grown_s: dict[CameraFile, float] = {}
        while True:
            now_s = time.monotonic()
            new = sorted(photo for photo in self.list_photos() if photo.path not in known)
            whole = [photo for photo in new if photo in grown_s and self._is_whole(photo, now_s - grown_s[photo])]
            if {_suffix(photo.path) for photo in whole} >= set(suffixes):
                return [photo for photo in whole if _suffix(photo.path) in suffixes]
            grown_s = {photo: grown_s.get(photo, now_s) for photo in new}
            if now_s > deadline_s:
                found = ", ".join(photo.name for photo in new) or "none"
                raise CameraTimeout(
                    f"{self.name}: no whole new {' and '.join(suffixes)} photo in {timeout_s:g} s; new files: {found}",
                    "check that the camera app is in front, saves to the phone's own memory; try its trigger works",
                )
            time.sleep(_POLL_S)

    def pull(self, photo: CameraFile, into: Path) -> None:
        """Copy a photo's bytes into the file `into`; verify its size, and its checksum where the phone can tell it.

        Raises:
            PullFailed: the transfer broke off or the bytes are not what the phone announced; `into` is removed.
        """
        try:
            said = self._copy(photo, into)
            self._verify(photo, into, said)
        except CameraError as error:
            into.unlink(missing_ok=True)
            raise PullFailed(error.cause, "it is still on the phone: run the same command again") from error
        except OSError as error:
            into.unlink(missing_ok=True)
            raise storage_error(error, into) from error

    def shell(self, command: str, timeout_s: float | None = None) -> str:
        """Run a command on the phone and return what it prints."""
        limit_s = timeout_s or self._timeout_s
        with self._talking(f"running `{command.strip().splitlines()[0]}`") as device:
            printed = device.start_shell(command, limit_s)()
        return printed.replace("\r\n", "\n")  # phones before Android 7 answer as a terminal does

    @contextmanager
    def _talking(self, doing: str) -> Iterator[QuickAdbDevice]:
        """Yield the connection, made anew where it is closed; close it where a talk ends early: it is out of step."""
        if self._device is None:
            self.open()
        assert self._device is not None
        try:
            with explained(self.name, self._address, doing):
                yield self._device
        except BaseException:
            self.close()
            raise

    def _device_clock(self) -> DeviceClock:
        if self._clock is None:
            self._clock = choose_clock(self.shell)
        return self._clock

    def _fire_by_phone(self, clock: DeviceClock, at_ns: int) -> Release:
        comparison = self._comparison
        assert comparison is not None
        offset_ns = comparison.offset.offset_ns
        sent_ns = self._host_ns()
        target_ns = max(at_ns, sent_ns) + offset_ns
        wait_s = max(0, at_ns - sent_ns) / 1e9
        printed = self.shell(fire_script(clock, target_ns, self._command), wait_s + self._timeout_s)
        received_ns = self._host_ns()
        report = parse_report(clock, printed)
        if report is None:
            raise CameraError(f"{self.name}: its shell did not run the trigger's script: {printed.strip()!r}")
        self._check_status(report.status, report.said)
        offset = ClockOffset(comparison.offset.offset_ns, comparison.bound_ns(received_ns))
        release = bound_release(report, offset, sent_ns, received_ns)
        if release is None:  # its clock was set since we compared
            self._comparison = None
            return Release(sent_ns, received_ns)
        return release

    def _fire_by_host(self, at_ns: int) -> Release:
        """Fire a phone whose clock is too coarse to wait by; the network's delay goes into the bounds."""
        self._sleep_until(at_ns)
        sent_ns = self._host_ns()
        *said, status = self.shell(f"{self._command}\necho $?").strip().split("\n")
        received_ns = self._host_ns()
        self._check_status(status, " ".join(said))
        return Release(sent_ns, received_ns)

    def _check_status(self, status: str, said: str) -> None:
        if status != "0":
            raise CameraError(
                f"{self.name}: `{self._command}` ended with status {status}: {said or 'no message'}",
                "choose another trigger in the rig file",
            )

    def _sleep_until(self, host_ns: int) -> None:
        time.sleep(max(0, host_ns - self._host_ns()) / 1e9)

    def _is_whole(self, photo: CameraFile, same_size_s: float) -> bool:
        if same_size_s >= _SETTLED_S:
            return photo.size_bytes > 0
        if photo.size_bytes == 0 or _suffix(photo.path) not in {".jpg", ".jpeg"}:
            return False
        end = self.shell(f"tail -c 2 {shlex.quote(photo.path)} | od -An -tx1")
        return re.sub(r"\s", "", end) == _JPEG_END

    def _copy(self, photo: CameraFile, into: Path) -> str:
        """Copy a photo; return what the phone printed when it was asked for the checksum."""
        said = ""

        def chunks() -> Iterator[bytes]:
            nonlocal said
            with self._talking(f"sending {photo.path}") as device:
                quoted = shlex.quote(photo.path)
                checksum = device.start_shell(f"sha256sum {quoted} 2>/dev/null || md5sum {quoted}", self._timeout_s)
                yield from device.receive(photo.path)  # the phone sums while it sends
                said = checksum()

        with into.open("wb") as copy:  # a full disk is no failure of the phone, so this stands outside of _talking
            copy.writelines(chunks())
        return said

    def _verify(self, photo: CameraFile, copy: Path, said: str) -> None:
        """Compare a copy with what the phone said: its size, and its checksum where the phone has a tool for that."""
        size_bytes = copy.stat().st_size
        if size_bytes != photo.size_bytes:
            raise CameraError(f"{self.name}: {photo.path} has {photo.size_bytes} bytes, {size_bytes} arrived")
        checksum = re.match(r"\\?([0-9a-f]{64}|[0-9a-f]{32})\b", said)
        if checksum is None:
            return
        method = "sha256" if len(checksum[1]) == 64 else "md5"
        with copy.open("rb") as stream:
            if hashlib.file_digest(stream, method).hexdigest() != checksum[1]:
                raise CameraError(f"{self.name}: {photo.path} arrived damaged: its {method} is not what the phone says")


def _list_photos(device: QuickAdbDevice, folder: str, depth: int = 0) -> Iterator[CameraFile]:
    for entry in device.list(folder):
        name = entry.filename.decode(errors="surrogateescape")
        path = f"{folder}/{name}"
        if name.startswith("."):
            continue
        if stat.S_ISDIR(entry.mode) and depth < _MOST_FOLDERS:
            yield from _list_photos(device, path, depth + 1)
        elif stat.S_ISREG(entry.mode) and _suffix(name) in _PHOTO_SUFFIXES:
            yield CameraFile(path, entry.size)


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
