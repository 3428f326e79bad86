"""The referee: Debian's adb client against the simulated phone, with a server, a port and a home of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.simulate.adb_daemon import AdbDaemon

Adb = Callable[..., "subprocess.CompletedProcess[bytes]"]


def start_adb(home: Path) -> tuple[Adb, Callable[[], object]]:
    """Return what runs adb with keys of its own, and what stops its server."""
    command = shutil.which("adb")
    if command is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the adb client is missing, and in CI nothing may be skipped: apt install adb")
        pytest.skip("the adb client is not installed: apt install adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home.mkdir()
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("ADB", "ANDROID"))}
    environment = {**keep, "HOME": str(home), "ANDROID_ADB_SERVER_PORT": str(port), "ADB_MDNS": "0"}

    def adb(*words: object, ok: bool = True) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [command, *map(str, words)], env=environment, capture_output=True, timeout=60, check=False
        )
        assert not ok or done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    adb("start-server")
    return adb, lambda: adb("kill-server")


@pytest.fixture(scope="module")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adb]:
    adb, stop = start_adb(tmp_path_factory.mktemp("referee") / "home")
    yield adb
    stop()


@pytest.fixture
def phone(adb: Adb, body: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, AdbDaemon]]:
    key = next(tmp_path_factory.getbasetemp().glob("referee*/home/.android/adbkey.pub"))
    daemon = AdbDaemon(body, authorised_keys=[key])
    daemon.start()
    serial = f"127.0.0.1:{daemon.port}"
    assert b"connected to" in adb("connect", serial).stdout
    yield serial, daemon
    adb("disconnect", serial, ok=False)
    daemon.close()


def test_the_client_takes_it_for_a_phone(adb: Adb, phone: tuple[str, AdbDaemon], body: Any) -> None:
    serial, _ = phone
    line = next(line for line in adb("devices", "-l").stdout.decode().splitlines() if line.startswith(serial))
    assert line.split()[1:4] == ["device", "product:sony", "model:C6603"]
    body.offset_ns = 5_000_000_000
    before_ns = body.now_ns()
    said_ns = int(adb("-s", serial, "shell", "date", "+%s%N").stdout)
    assert before_ns < said_ns < body.now_ns()
    adb("-s", serial, "shell", "input", "keyevent", "27")
    assert len(body.released_ns) == 1


def test_files_go_both_ways_byte_for_byte(adb: Adb, phone: tuple[str, AdbDaemon], body: Any, tmp_path: Path) -> None:
    serial, _ = phone
    data = os.urandom(2_500_001)
    (tmp_path / "sent").write_bytes(data)
    adb("-s", serial, "push", tmp_path / "sent", "/sdcard/DCIM/Camera/a b.jpg")
    assert (body.card / "DCIM/Camera/a b.jpg").read_bytes() == data
    adb("-s", serial, "pull", "/storage/emulated/0/DCIM/Camera/a b.jpg", tmp_path / "pulled")
    assert (tmp_path / "pulled").read_bytes() == data
    assert adb("-s", serial, "exec-out", "cat '/sdcard/DCIM/Camera/a b.jpg'").stdout == data
    adb("-s", serial, "pull", "/sdcard/DCIM", tmp_path / "all")
    assert (tmp_path / "all/Camera/a b.jpg").read_bytes() == data


def test_it_cannot_leave_the_card(adb: Adb, phone: tuple[str, AdbDaemon], body: Any, tmp_path: Path) -> None:
    serial, _ = phone
    (body.card.parent / "secret").write_text("mine")
    for path in ("/sdcard/../secret", body.card.parent / "secret"):
        assert adb("-s", serial, "pull", path, tmp_path / "got", ok=False).returncode != 0
        assert adb("-s", serial, "push", __file__, path, ok=False).returncode != 0
    assert (body.card.parent / "secret").read_text() == "mine"
    assert not (tmp_path / "got").exists()


def test_an_unknown_computer_is_unauthorized(adb: Adb, body: Any, keys: Path) -> None:
    daemon = AdbDaemon(body, authorised_keys=[keys / "adbkey.pub"])
    daemon.start()
    serial = f"127.0.0.1:{daemon.port}"
    adb("connect", serial, ok=False)
    deadline = time.monotonic() + 30
    while f"{serial}\tunauthorized" not in adb("devices").stdout.decode():
        assert time.monotonic() < deadline, adb("devices").stdout
        time.sleep(0.05)
    assert adb("-s", serial, "shell", "echo in", ok=False).returncode != 0
    adb("disconnect", serial, ok=False)
    daemon.close()
