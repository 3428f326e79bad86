"""USB's obstacles in a made-up sysfs, process list and device tree, and on real processes and a real adb server."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dpedkit.capture.usb import Machine, UsbDevice, find_obstacles, processes, usb_devices
from dpedkit.stages.usb import usb_findings

UID = os.getuid()
CANON = ("06", "01", "01")
MTP_AND_ADB = (("06", "01", "01"), ("ff", "42", "01"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Made:
    """A machine of files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/bus/usb/devices").mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            unused: int = free.getsockname()[1]
        self.machine = Machine(root / "sys", root / "dev", root / "proc", UID, self.may_open, unused)

    def may_open(self, node: Path) -> bool:
        """Tests may run as root, who may everything."""
        return bool(node.stat().st_mode & stat.S_IROTH)

    def plug(self, port: str, *interfaces: tuple[str, ...], number: int, mode: int = 0o666, **words: str) -> Path:
        folder = self.root / "sys/bus/usb/devices"
        for word, text in {"busnum": "1", "devnum": str(number), **words}.items():
            write(folder / port / word, f"{text}\n")
        for index, kind in enumerate(interfaces):
            for word, text in zip(("Class", "SubClass", "Protocol"), kind, strict=True):
                write(folder / f"{port}:1.{index}" / f"bInterface{word}", f"{text}\n")
        node = self.root / f"dev/bus/usb/001/{number:03d}"
        write(node, "")
        node.chmod(mode)
        return node

    def run(self, pid: int, *command: str) -> None:
        write(self.root / f"proc/{pid}/cmdline", "\0".join(command) + "\0")

    def obstacles(self) -> dict[str, bool]:
        return {one.found: one.is_grave for one in find_obstacles(self.machine, usb_devices(self.machine))}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_cameras_and_phones_are_told_from_other_devices(made: Made) -> None:
    made.plug("1-1", CANON, number=7, manufacturer="Canon Inc.", product="EOS 70D", serial="0123")
    made.plug("1-2.4", *MTP_AND_ADB, number=12, manufacturer="Sony", product="C6603", serial="CB5A")
    made.plug("1-3", ("08", "06", "50"), number=3, product="a stick")
    made.plug("1-5", ("06", "01", "01"), number=99)
    found = usb_devices(made.machine)
    dev = made.root / "dev/bus/usb/001"
    assert found == [
        UsbDevice("camera", "Canon Inc. EOS 70D", "0123", dev / "007"),
        UsbDevice("phone", "Sony C6603", "CB5A", dev / "012"),
        UsbDevice("camera", "1-5", "", dev / "099"),
    ]
    assert made.obstacles() == {}


def test_a_machine_without_usb_has_nothing(tmp_path: Path) -> None:
    machine = Made(tmp_path).machine
    assert usb_devices(machine) == []
    assert find_obstacles(machine, []) == []


def test_gvfs_is_in_the_way_of_a_camera_and_would_be(made: Made) -> None:
    made.run(41, "/usr/libexec/gvfs-gphoto2-volume-monitor")
    made.run(42, "/usr/libexec/gvfs-udisks2-volume-monitor")
    made.run(43, "vim", "gvfs-gphoto2-volume-monitor.c")
    found = "gvfs-gphoto2-volume-monitor takes hold of them"
    assert made.obstacles() == {found: False}
    made.plug("1-1", CANON, number=7)
    assert made.obstacles() == {found: True}
    (obstacle,) = find_obstacles(made.machine, usb_devices(made.machine))
    assert obstacle.remedy.startswith("dpedkit doctor --fix, or: systemctl --user stop")
    (foreign,) = find_obstacles(replace(made.machine, uid=UID + 1), [])
    assert foreign.fix is None
    assert "--fix" not in foreign.remedy


def test_macos_takes_cameras_too(made: Made) -> None:
    made.run(41, "/usr/libexec/ptpcamerad")
    (obstacle,) = find_obstacles(made.machine, [])
    assert obstacle.remedy.startswith("killall ptpcamerad")
    assert obstacle.fix is None


@pytest.mark.parametrize(
    ("interface", "package", "rule"),
    [(CANON, "libgphoto2-6", "*:060101:*"), (MTP_AND_ADB[1], "android-sdk-platform-tools-common", "*:ff4201:*")],
)
def test_a_device_node_without_rights_names_the_udev_rule(
    made: Made, interface: tuple[str, ...], package: str, rule: str
) -> None:
    node = made.plug("1-1", interface, number=7, mode=0o660, product="70D")
    (obstacle,) = find_obstacles(made.machine, usb_devices(made.machine))
    assert (obstacle.topic, obstacle.found, obstacle.is_grave) == ("70D", f"this user may not open {node}", True)
    assert package in obstacle.remedy
    assert rule in obstacle.remedy
    assert obstacle.fix is None
    node.chmod(0o666)
    assert made.obstacles() == {}


def test_the_processes_of_this_machine_are_read() -> None:
    if sys.platform == "linux":
        mine = {process.pid: process for process in processes(Path("/proc"))}[os.getpid()]
        assert mine.name.startswith("python")
        assert mine.uid == UID


def test_the_monitor_is_stopped(made: Made, tmp_path: Path) -> None:
    program = tmp_path / "gvfs-gphoto2-volume-monitor"
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    running = subprocess.Popen([program, "600"])
    reaper = threading.Thread(target=running.wait)
    reaper.start()
    made.run(running.pid, str(program), "600")
    (obstacle,) = find_obstacles(made.machine, [])
    assert obstacle.fix is not None
    assert f"(process {running.pid})" in obstacle.fix()
    reaper.join(timeout=10)
    assert running.returncode == -15


@pytest.fixture
def adb_server() -> Iterator[tuple[int, Callable[[str], bytes]]]:
    """Debian's adb server on a port of its own."""
    program = shutil.which("adb")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the adb client is missing, and in CI nothing may be skipped: apt install adb")
        pytest.skip("the adb client is not installed: apt install adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    environment = {**os.environ, "ANDROID_ADB_SERVER_PORT": str(port), "ADB_MDNS": "0"}

    def adb(word: str) -> bytes:
        done = subprocess.run([program, word], env=environment, capture_output=True, timeout=60, check=False)
        return done.stdout + done.stderr

    assert b"daemon started" in adb("start-server")
    yield port, adb
    adb("kill-server")


def test_doctor_finds_a_real_adb_server_and_stops_it_when_asked(
    made: Made, adb_server: tuple[int, Callable[[str], bytes]]
) -> None:
    port, adb = adb_server
    machine = replace(made.machine, adb_port=port)
    (obstacle,) = find_obstacles(machine, [])
    assert not obstacle.is_grave
    made.plug("1-2", MTP_AND_ADB[1], number=4, product="C6603")
    found = f"an adb server (port {port}) holds every phone on USB"
    there, held = usb_findings(machine, None, fix=False)
    assert (there.topic, there.found) == ("USB", "C6603")
    assert (held.level, held.found, held.remedy[:19]) == ("problem", found, "dpedkit doctor --fi")
    _, fixed, *rest = usb_findings(machine, None, fix=True)
    assert (fixed.topic, fixed.level) == ("fixed", "ok")
    assert "stopped the adb server" in fixed.found
    assert found not in [finding.found for finding in rest]
    assert b"daemon started" in adb("devices")  # by this very call: there was none


def test_another_program_on_the_port_is_no_adb_server(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]

        def answer() -> None:
            connection, _ = other.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        machine = replace(made.machine, adb_port=port)
        assert find_obstacles(machine, []) == []
        thread.join()
