"""Android phones, over ADB: any camera app that saves to DCIM, fired by what the phone's own shell offers."""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dpedkit.capture.camera import CameraFile, CameraInfo, ClockOffset, Release
from dpedkit.capture.drivers import adb_pull
from dpedkit.capture.drivers.adb_clock import PhoneClocks, choose_clocks
from dpedkit.capture.drivers.adb_connect import connect_phone, explained
from dpedkit.capture.drivers.adb_fire import bound_release, fire_script, parse_report
from dpedkit.capture.drivers.adb_photos import DCIM, PhotoFinder, ends_whole, list_photos
from dpedkit.capture.drivers.adb_prepare import diagnose_phone, prepare_phone, read_info
from dpedkit.capture.drivers.adb_prober import Prober
from dpedkit.capture.drivers.adb_streams import Stream
from dpedkit.capture.drivers.adb_sync import SyncClient
from dpedkit.capture.drivers.adb_transport import QuickAdbDevice
from dpedkit.capture.drivers.adb_trigger import parse_trigger
from dpedkit.capture.trace import Trace
from dpedkit.errors import CameraError

_LOOK_AGAIN_S = 0.06
_SCRIPT_LEAD_S = 2.0


class AdbCamera:
    """A phone; fulfils dpedkit.capture.camera.Camera.

    A connection that breaks is closed, and made anew by the next call.

    name       of the device in its rig
    address    "tcp:HOST:PORT" or "usb:SERIAL"
    settings   "camera_app" (PACKAGE/ACTIVITY to have in front; by default the phone's own choice), and Android settings
               to apply and verify, such as {"system.screen_brightness": 40}
    keys       folder of this computer's adb key, made where it is missing; the stock adb client's is ~/.android
    trigger    how the shutter is released; see `parse_trigger`
    timeout_s  for each answer of the phone
    trace      records what is said
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
        trace: Trace | None = None,
        host_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._address = address
        self._keys = keys
        self._trigger = parse_trigger(trigger)
        self._settings = dict(settings)
        self._timeout_s = timeout_s
        self._trace = trace
        self._host_ns = host_ns
        self._device: QuickAdbDevice | None = None
        self._sync: SyncClient | None = None
        self._prober = Prober(self._open_stream, self.shell)
        self._finder = PhotoFinder(functools.partial(ends_whole, self.shell))
        self._clocks: PhoneClocks | None = None

    def open(self) -> None:
        """Connect.

        Raises:
            CameraNotFound, CameraTimeout, CameraError: see `connect_phone`.
        """
        self.close()
        self._device = connect_phone(self.name, self._address, self._keys, self._timeout_s, self._trace)
        if self._trace is not None:
            serials = self.shell("getprop ro.serialno; getprop ro.boot.serialno").split()
            self._trace.reveal(self.name, [self._address.partition("usb:")[2], *serials])
        self._sync = SyncClient(self._device.open_stream)
        self._finder = PhotoFinder(functools.partial(ends_whole, self.shell))

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

        What the phone has no tool for is left as it is, unless the rig file asks for it.

        Raises:
            CameraError: it is locked by a PIN, or refuses a setting, the camera app or the trigger.
        """
        prepare_phone(self.name, self.shell, self._settings, self._trigger.node)

    def diagnose(self) -> str:
        """Return why a release may have made no photo, as the phone is now; empty where nothing is wrong with it."""
        return diagnose_phone(self.shell, self._settings)

    def keep_awake(self) -> None:
        """Ask for something small: the connection is used, and a phone that has gone is noticed.

        Its screen stays on by `prepare`, as long as it is charged.
        """
        with self._talking("keeping awake"):
            self._files().stat(DCIM)

    def clock_offset(self) -> ClockOffset:
        """Compare clocks; takes 12 round trips at first, later 4, and a good second where it only knows seconds.

        Raises:
            CameraError: the phone's clock cannot be read.
        """
        clocks = self._phone_clocks()
        with self._talking("comparing clocks"):
            clocks.compare(self._prober.asking, self._host_ns)
        return clocks.wall_at(self._host_ns())

    def list_photos(self) -> frozenset[CameraFile]:
        """List the photos in every folder of DCIM, but for hidden ones (thumbnails, the bin, files being written)."""
        with self._talking("listing its photos"):
            return frozenset(list_photos(self._files()))

    def new_photos(self, known: Collection[str]) -> list[CameraFile]:
        """Return the whole photos that are not in `known`; looks a second time after 60 ms where there is none."""
        with self._talking("looking for new photos"):
            if whole := self._finder.new(self._files(), known):
                return whole
            time.sleep(_LOOK_AGAIN_S)
            return self._finder.new(self._files(), known)

    def fire(self, at_ns: int) -> Release:
        """Run the trigger at `at_ns`; the phone waits by its own clock, so the network's delay does not matter.

        Raises:
            CameraError: the trigger failed, with its own words.
        """
        clocks = self._phone_clocks()
        if not clocks.compared:
            self.clock_offset()
        if clocks.timer is None:
            return self._fire_by_host(at_ns)
        self._sleep_until(at_ns - round(_SCRIPT_LEAD_S * 1e9))
        return self._fire_by_phone(clocks, at_ns)

    def pull(self, photo: CameraFile, into: Path) -> Iterator[int]:
        """Copy a photo's bytes into the file `into`; yield after each piece how many have come.

        Its size is verified, and its checksum where the phone has sha256sum or md5sum. A pull that is left early
        leaves the connection as it was.

        Raises:
            PullFailed: the transfer broke off or the bytes are not what the phone announced; `into` is removed.
        """
        if self._device is None:
            self.open()
        assert self._device is not None
        mine = self._device  # a connection that is made anew meanwhile carries none of this
        talking = functools.partial(self._talking, device=mine)
        yield from adb_pull.pull(talking, mine.open_stream, photo, into, self._timeout_s)

    def delete(self, photo: CameraFile) -> None:
        """Remove a photo from the phone.

        Raises:
            CameraError: it no longer has the size that was announced, or is still there afterwards.
        """
        with self._talking("looking at a photo"):
            entry = self._files().stat(photo.path)
        if not entry.is_file or entry.size_bytes != photo.size_bytes:
            found = f"{entry.size_bytes} bytes" if entry.mode else "nothing"
            raise CameraError(f"{self.name}: {photo.path} should have {photo.size_bytes} bytes, found {found}")
        said = self.shell(f"rm {shlex.quote(photo.path)}")
        with self._talking("looking at a photo"):
            if self._files().stat(photo.path).mode:
                raise CameraError(f"{self.name}: {photo.path} cannot be removed: {said.strip() or 'no message'}")

    def shell(self, command: str, timeout_s: float | None = None) -> str:
        """Run a command on the phone and return what it prints."""
        limit_s = timeout_s or self._timeout_s
        with self._talking(f"running `{command.strip().splitlines()[0]}`"):
            printed = self._open_stream(f"shell:{command}").read_all(limit_s)
        # phones before Android 7 answer as a terminal does
        return printed.decode(errors="surrogateescape").replace("\r\n", "\n")

    @contextmanager
    def _talking(self, doing: str, device: QuickAdbDevice | None = None) -> Iterator[None]:
        """Make the connection anew where it is closed; close it where a talk ends early: it is out of step.

        device  the connection that is meant; None: whichever there is
        """
        if device is None:
            if self._device is None:
                self.open()
            assert self._device is not None
            device = self._device
        try:
            with explained(self.name, self._address, doing):
                yield
        except BaseException:
            device.close()
            if self._device is device:
                self._device = None
            raise

    def _open_stream(self, service: str) -> Stream:
        assert self._device is not None  # within _talking
        return self._device.open_stream(service)

    def _files(self) -> SyncClient:
        assert self._sync is not None  # within _talking
        return self._sync

    def _phone_clocks(self) -> PhoneClocks:
        if self._clocks is None:
            self._clocks = choose_clocks(self.shell)
        return self._clocks

    def _fire_by_phone(self, clocks: PhoneClocks, at_ns: int) -> Release:
        assert clocks.timer is not None
        offset = clocks.timer_at(at_ns)
        sent_ns = self._host_ns()
        target_ns = max(at_ns, sent_ns) + offset.offset_ns
        wait_s = max(0, at_ns - sent_ns) / 1e9
        script = fire_script(clocks.timer, target_ns, self._trigger.command, self._trigger.setup)
        printed = self.shell(script, wait_s + self._timeout_s)
        received_ns = self._host_ns()
        report = parse_report(clocks.timer, printed)
        if report is None:
            raise CameraError(f"{self.name}: its shell did not run the trigger's script: {printed.strip()!r}")
        self._check(report.status, report.said)
        release = bound_release(report, offset, sent_ns, received_ns)
        if release is None:  # its clock was set since we compared
            clocks.forget()
            return Release(sent_ns, received_ns)
        return release

    def _fire_by_host(self, at_ns: int) -> Release:
        """Fire a phone whose clock is too coarse to wait by; the network's delay goes into the bounds."""
        self._sleep_until(at_ns)
        sent_ns = self._host_ns()
        printed = self.shell(f'{self._trigger.setup}\n{self._trigger.command}\necho "status $?"')
        received_ns = self._host_ns()
        said, _, status = printed.strip().rpartition("status ")
        self._check(status, " ".join(said.split()))
        return Release(sent_ns, received_ns)

    def _check(self, status: str, said: str) -> None:
        if complaint := self._trigger.complaint(status, said):
            raise CameraError(
                f"{self.name}: `{self._trigger.command}` {complaint}", "choose another trigger in the rig file"
            )

    def _sleep_until(self, host_ns: int) -> None:
        time.sleep(max(0, host_ns - self._host_ns()) / 1e9)
