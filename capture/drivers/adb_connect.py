"""Finding a phone at its address and being let in, with a remedy for each way in which that fails."""

from __future__ import annotations

import importlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adb_shell import constants, exceptions
from adb_shell.transport.base_transport import BaseTransport

from dpedkit.capture.drivers import Seen
from dpedkit.capture.drivers.adb_keys import KEY_NAME, load_signer
from dpedkit.capture.drivers.adb_streams import Packet, ServiceRefused, StreamEnded
from dpedkit.capture.drivers.adb_sync import SyncRefused
from dpedkit.capture.drivers.adb_transport import Hear, QuickAdbDevice, QuickTcpTransport
from dpedkit.capture.trace import Trace, Way
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, MissingExtra, SettingsError

_TIMEOUTS = (TimeoutError, exceptions.AdbTimeoutError, exceptions.TcpTimeoutException)
_FAILURES = (
    OSError,
    ValueError,
    struct.error,
    ServiceRefused,
    StreamEnded,
    SyncRefused,
    exceptions.AdbCommandFailureException,
    exceptions.AdbConnectionError,
    exceptions.DeviceAuthError,
    exceptions.InvalidChecksumError,
    exceptions.InvalidCommandError,
    exceptions.InvalidResponseError,
    exceptions.UsbReadFailedError,
    exceptions.UsbWriteFailedError,
)


@contextmanager
def explained(name: str, address: str, doing: str) -> Iterator[None]:
    """Turn whatever adb_shell and libusb raise into an error that names the phone and what was being done.

    Raises:
        CameraTimeout: the phone did not answer in time.
        CameraError: the connection broke, or the phone refused.
    """
    remedy = "check its cable or network, wake it, and run the same command again"
    try:
        yield
    except Exception as error:
        on_usb = getattr(error, "usb_error", None)  # of adb_shell's UsbReadFailedError and UsbWriteFailedError
        if isinstance(error, _TIMEOUTS) or type(on_usb).__name__ == "USBErrorTimeout":
            raise CameraTimeout(f"{name} ({address}) did not answer in time while {doing}", remedy) from error
        if not isinstance(error, _FAILURES) and type(error).__module__ != "usb1":  # optional, so not imported here
            raise
        raise CameraError(f"{name} ({address}) failed while {doing}: {error}", remedy) from error


def connect_phone(name: str, address: str, keys: Path, timeout_s: float, trace: Trace | None = None) -> QuickAdbDevice:
    """Connect to the phone at "tcp:HOST:PORT" or "usb:SERIAL" and prove who we are.

    keys       folder of this computer's adb key; made where it is missing
    timeout_s  for the connection and each answer
    trace      records what is said, but for what tells who this computer is

    Raises:
        CameraNotFound: nothing answers there.
        CameraTimeout: something is there but silent.
        CameraError: the phone does not let us in, or another program holds it.
        SettingsError: the address is none.
    """
    signer = load_signer(keys)
    questions: list[object] = []
    phone = None
    hear = _recorder(trace, name) if trace is not None else None
    try:
        with explained(name, address, "connecting"):
            phone = QuickAdbDevice(_find(name, address, timeout_s), timeout_s, hear)
            phone.connect(
                rsa_keys=[signer],
                auth_timeout_s=timeout_s,
                read_timeout_s=timeout_s,
                auth_callback=questions.append,  # called when the phone asks its owner on the screen
            )
    except CameraError as error:
        if phone:
            phone.close()
        if questions:
            raise CameraError(
                f"{name} ({address}) is unauthorized: it does not know this computer's key {keys / KEY_NAME}.pub",
                'unlock the phone, tap "Always allow" on its question about USB debugging, run the same command again',
            ) from error
        raise _diagnose(name, address, error) from error
    return phone


def _recorder(trace: Trace, name: str) -> Hear:
    def hear(way: Way, packet: Packet) -> None:
        command, arg0, arg1, data = packet
        message: dict[str, str | int] = {"command": command.decode(), "arg0": arg0, "arg1": arg1}
        if command == constants.AUTH or (command == constants.CNXN and way == "sent"):  # our key, our computer's name
            message["size_bytes"] = len(data)
            data = b""
        trace.add(name, "adb", way, data, message)

    return hear


def _diagnose(name: str, address: str, error: CameraError) -> CameraError:
    """Return an error with the remedy for what kept us from connecting; `error` itself where we know no better."""
    cause = error.__cause__
    if isinstance(cause, ConnectionRefusedError | socket.gaierror):
        remedy = "switch on USB debugging, run `adb tcpip 5555` over USB once, check host and port"
        return CameraNotFound(name, address, remedy=remedy)
    if isinstance(cause, exceptions.InvalidCommandError) and "STLS" in str(cause):
        return CameraError(
            f"{name} ({address}) wants an encrypted wireless connection, which dpedkit does not speak",
            "connect it by USB once, run `adb tcpip 5555`, and use tcp:HOST:5555",
        )
    if type(cause).__name__ == "USBErrorBusy":
        return CameraError(
            f"{name} ({address}) is held by another program",
            "an adb server, most likely: run `adb kill-server`, then the same command again",
        )
    if type(cause).__name__ == "USBErrorAccess":
        return CameraError(
            f"{name} ({address}) may not be opened by this user",
            "install the udev rules for Android (Debian: android-sdk-platform-tools-common) and plug it in again",
        )
    return error


def _find(name: str, address: str, timeout_s: float) -> BaseTransport:
    """Return the way to the phone, not yet opened."""
    scheme, _, place = address.partition(":")
    host, _, port = place.rpartition(":")
    if scheme == "tcp" and host and port.isdecimal():
        return QuickTcpTransport(host, int(port))
    if scheme == "usb" and place:
        return _find_usb(name, address, timeout_s)
    raise SettingsError(f"{name}: {address!r} is no phone's address", 'write "tcp:HOST:PORT" or "usb:SERIAL"')


def detect() -> list[Seen]:
    """Return each phone on USB with debugging switched on; the address lacks the serial where we may not ask for it.

    Raises:
        MissingExtra, CameraError: what it takes to look at USB is not installed.
    """
    found = []
    for transport in _usb_phones(timeout_s=1.0):
        try:
            with explained("a phone", "USB", "connecting"):
                found.append(Seen("Android phone", f"usb:{transport.serial_number}"))
        except CameraError as error:
            known = _diagnose("a phone", "USB", error)
            found.append(Seen("Android phone", "usb:", f"{known.cause}; {known.remedy}"))
    return found


def _usb_phones(timeout_s: float) -> Iterator[Any]:
    """Yield adb_shell's transport for each phone on USB, not yet opened."""
    try:
        usb = importlib.import_module("adb_shell.transport.usb_transport").UsbTransport
    except ImportError as error:
        raise MissingExtra("libusb1", "capture") from error
    except OSError as error:
        raise CameraError("phones on USB need the library libusb-1.0", "Debian: apt install libusb-1.0-0") from error
    with explained("USB", "all ports", "looking for phones"):
        yield from usb.find_all_adb_devices(timeout_s)


def _find_usb(name: str, address: str, timeout_s: float) -> BaseTransport:
    seen = []
    unread: CameraError | None = None
    for transport in _usb_phones(timeout_s):
        try:
            with explained(name, address, "connecting"):
                serial = transport.serial_number
        except CameraError as error:  # another phone's, maybe
            unread = error
            continue
        if address == f"usb:{serial}":
            found: BaseTransport = transport
            return found
        seen.append(f"usb:{serial}")
    if unread:
        raise unread  # more likely ours than none
    raise CameraNotFound(name, address, seen, "plug it in, unlock it and switch on USB debugging")
