"""What stands between this computer and the devices on its USB ports, and how it is moved out of the way.

Linux tells by files: its sysfs, its process list, the device nodes. They are read below folders that are arguments.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dpedkit.errors import DpedError

_STILL_IMAGE, _ADB = ("06", "01", "01"), ("ff", "42", "01")  # USB class, subclass and protocol of an interface
_GVFS = frozenset({"gvfs-gphoto2-volume-monitor", "gvfsd-gphoto2"})
_MACOS = frozenset({"PTPCamera", "ptpcamerad"})
_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """A camera, or a phone with USB debugging switched on.

    node  the file that opens it
    """

    kind: Literal["camera", "phone"]
    name: str
    serial: str
    node: Path


@dataclass(frozen=True, slots=True)
class Process:
    """A program that is running; uid: whose it is."""

    pid: int
    name: str
    uid: int


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something in the way.

    topic     a few words
    found     what is
    remedy    what a person can do
    is_grave  whether it keeps a device that is connected from being used; else it would
    fix       moves it out of the way, and returns what it did; None: not ours to do
    """

    topic: str
    found: str
    remedy: str
    is_grave: bool
    fix: Callable[[], str] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a computer tells of itself.

    may_open  whether this user may read and write a device node
    adb_port  where an adb server listens, if there is one
    """

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    uid: int = field(default_factory=lambda: os.getuid())  # noqa: PLW0108  (not there on Windows)
    may_open: Callable[[Path], bool] = lambda node: os.access(node, os.R_OK | os.W_OK)
    adb_port: int = field(default_factory=lambda: int(os.environ.get("ANDROID_ADB_SERVER_PORT") or 5037))


def usb_devices(machine: Machine) -> list[UsbDevice]:
    """Return the cameras and phones on USB; empty where the system has no sysfs."""
    folder = machine.sys / "bus" / "usb" / "devices"
    interfaces: dict[str, set[tuple[str, ...]]] = {}
    for path in sorted(folder.glob("*:*")):  # 1-4:1.0 is an interface of the device 1-4
        kind = tuple(_read(path / f"bInterface{word}") for word in ("Class", "SubClass", "Protocol"))
        interfaces.setdefault(path.name.partition(":")[0], set()).add(kind)
    found = []
    for device, kinds in interfaces.items():
        path = folder / device
        bus, number = _read(path / "busnum"), _read(path / "devnum")
        if kinds & {_STILL_IMAGE, _ADB} and bus.isdecimal() and number.isdecimal():
            node = machine.dev / "bus" / "usb" / f"{int(bus):03d}" / f"{int(number):03d}"
            name = f"{_read(path / 'manufacturer')} {_read(path / 'product')}".strip() or device
            # a phone that also shows its photos as a camera does is a phone
            found.append(UsbDevice("phone" if _ADB in kinds else "camera", name, _read(path / "serial"), node))
    return found


def find_obstacles(machine: Machine, devices: Sequence[UsbDevice]) -> list[Obstacle]:
    """Return what keeps `devices` from being used, or would keep others."""
    return [
        *_holders(machine, any(device.kind == "camera" for device in devices)),
        *_forbidden(machine, devices),
        *_adb_server(machine, any(device.kind == "phone" for device in devices)),
    ]


def processes(proc: Path) -> list[Process]:
    """Return what is running, by its program's name."""
    if sys.platform == "darwin":
        listed = subprocess.run(["ps", "-axo", "pid=,uid=,comm="], capture_output=True, text=True, check=False).stdout
        rows = [line.split(None, 2) for line in listed.splitlines()]
        return [Process(int(row[0]), row[2].rpartition("/")[2], int(row[1])) for row in rows if len(row) == 3]
    found = []
    for path in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            program = (path / "cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
            found.append(Process(int(path.name), program.rpartition("/")[2], path.stat().st_uid))
    return sorted(found, key=lambda process: process.pid)


def _holders(machine: Machine, has_camera: bool) -> Iterator[Obstacle]:
    """Yield the programs of the desktop that open every camera they see: libgphoto2 then says -53 to everybody else."""
    running = processes(machine.proc)
    for process in running:
        if process.name in _GVFS:
            remedy = "systemctl --user stop gvfs-gphoto2-volume-monitor; gio mount -s gphoto2"
            if process.uid == machine.uid:
                remedy = f"dpedkit doctor --fix, or: {remedy}"
            fix = _Stop(process) if process.uid == machine.uid else None
            yield Obstacle("USB cameras", f"{process.name} takes hold of them", remedy, has_camera, fix)
    if macos := sorted({process.name for process in running if process.name in _MACOS}):
        found = f"{' and '.join(macos)} {'takes' if len(macos) == 1 else 'take'} hold of them"
        yield Obstacle("USB cameras", found, f"killall {' '.join(macos)}; they come back", has_camera)


def _forbidden(machine: Machine, devices: Sequence[UsbDevice]) -> Iterator[Obstacle]:
    for device in devices:
        if device.node.exists() and not machine.may_open(device.node):
            interface, package = {
                "camera": ("060101", "libgphoto2-6t64 or libgphoto2-6"),
                "phone": ("ff4201", "android-sdk-platform-tools-common"),
            }[device.kind]
            rule = f'ENV{{ID_USB_INTERFACES}}=="*:{interface}:*", MODE="0660", GROUP="plugdev", TAG+="uaccess"'
            yield Obstacle(
                device.name,
                f"this user may not open {device.node}",
                f"as root: apt install {package}, or write '{rule}' to /etc/udev/rules.d/70-dpedkit.rules and run "
                "`udevadm control --reload`; without a desktop session also join the group plugdev; plug it in again",
                True,
            )


def _adb_server(machine: Machine, has_phone: bool) -> Iterator[Obstacle]:
    """Yield the adb server, which holds every phone on USB that it sees."""
    if _ask_adb(machine.adb_port, b"000chost:version").startswith(b"OKAY"):
        found = f"an adb server (port {machine.adb_port}) holds every phone on USB"
        remedy = "dpedkit doctor --fix, or: adb kill-server"
        yield Obstacle("USB phones", found, remedy, has_phone, _KillServer(machine.adb_port))


@dataclass(frozen=True, slots=True)
class _Stop:
    """Ends a program of this user."""

    process: Process

    def __call__(self) -> str:
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)
        name = f"{self.process.name} (process {self.process.pid})"
        _wait_until(lambda: not _is_alive(self.process.pid), name)
        return f"stopped {name}; the desktop may start it again"


@dataclass(frozen=True, slots=True)
class _KillServer:
    """Does what `adb kill-server` does."""

    port: int

    def __call__(self) -> str:
        _ask_adb(self.port, b"0009host:kill")
        _wait_until(lambda: not _ask_adb(self.port, b"000chost:version"), f"the adb server (port {self.port})")
        return f"stopped the adb server (port {self.port}); adb starts it again when it is next used"


def _ask_adb(port: int, question: bytes) -> bytes:
    """Return what the adb server answers to one question; nothing where there is none."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as server:
        server.sendall(question)
        return server.recv(1024)
    return b""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until(done: Callable[[], bool], name: str) -> None:
    given_up_s = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > given_up_s:
            raise DpedError(f"{name} does not stop", "stop it by hand")
        time.sleep(0.05)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
