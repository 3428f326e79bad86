"""The simulated phone against adb_shell as it is shipped, and against those who mean it no good."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from adb_shell.adb_device import AdbDeviceTcp
from adb_shell.exceptions import AdbCommandFailureException, PushFailedError, TcpTimeoutException

from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.simulate.adb_daemon import AdbDaemon


@pytest.fixture
def client(daemon: AdbDaemon, keys: Path) -> Iterator[Any]:
    client = AdbDeviceTcp("127.0.0.1", daemon.port, default_transport_timeout_s=10)
    client.connect(rsa_keys=[load_signer(keys)])
    yield client
    client.close()


def test_what_is_pushed_is_listed_and_pulled_byte_for_byte(client: Any, body: Any) -> None:
    data = os.urandom(300_001)
    client.push(BytesIO(data), "/sdcard/DCIM/new folder/a b.jpg", mtime=1_700_000_000)
    assert (body.card / "DCIM/new folder/a b.jpg").read_bytes() == data
    (entry,) = client.list("/storage/emulated/0/DCIM/new folder")
    assert (entry.filename, entry.size, entry.mtime) == (b"a b.jpg", len(data), 1_700_000_000)
    copy = BytesIO()
    client.pull("/sdcard/DCIM/new folder/a b.jpg", copy)
    assert copy.getvalue() == data
    raw = client.exec_out("cat '/sdcard/DCIM/new folder/a b.jpg'", decode=False)
    assert raw == data


@pytest.mark.parametrize(
    "path",
    ["{outside}", "/sdcard/../secret", "/sdcard/link/secret", "/sdcard/DCIM/../../secret", "/sdcardsecret", "secret"],
)
def test_nothing_outside_the_card_is_seen_read_or_written(client: Any, body: Any, path: str) -> None:
    secret = body.card.parent / "secret"
    secret.write_text("mine")
    (body.card / "link").symlink_to(body.card.parent)
    path = path.format(outside=secret)
    assert client.stat(path) == (0, 0, 0)
    assert not client.list(os.path.dirname(path) or "/")  # noqa: PTH120 a phone's path
    with pytest.raises(AdbCommandFailureException):
        client.pull(path, BytesIO())
    with pytest.raises((PushFailedError, AdbCommandFailureException)):
        client.push(BytesIO(b"theirs"), path)
    assert secret.read_text() == "mine"


def test_a_link_to_elsewhere_is_not_listed_with_its_size(client: Any, body: Any) -> None:
    (body.card / "passwd").symlink_to("/etc/passwd")
    sizes = {bytes(entry.filename): entry.size for entry in client.list("/sdcard")}
    assert sizes[b"passwd"] == 0


def test_an_unknown_key_waits_for_a_tap_that_never_comes(daemon: AdbDaemon, tmp_path: Path) -> None:
    stranger = AdbDeviceTcp("127.0.0.1", daemon.port, default_transport_timeout_s=10)
    asked: list[object] = []
    with pytest.raises(TcpTimeoutException):
        stranger.connect(rsa_keys=[load_signer(tmp_path)], auth_timeout_s=0.2, auth_callback=asked.append)
    assert asked
    stranger.close()


def test_a_signature_of_another_token_is_refused(daemon: AdbDaemon, keys: Path) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as sock:
        sock.sendall(message(b"CNXN", 0x01000000, 4096, b"host::\0"))
        assert receive(sock)[0] == b"AUTH"
        sock.sendall(message(b"AUTH", 2, 0, load_signer(keys).Sign(b"x" * 20)))
        assert receive(sock)[0] == b"AUTH"


@pytest.mark.parametrize("first", ["message", "garbage"])
def test_who_has_not_been_let_in_is_cut_off_and_others_are_served(daemon: AdbDaemon, client: Any, first: str) -> None:
    opening = (
        message(b"OPEN", 1, 0, b"shell:echo in\0") if first == "message" else b"GET / HTTP/1.1\r\nHost: phone\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as sock:
        sock.sendall(opening)
        with suppress(ConnectionResetError):
            assert sock.recv(24) == b""
    assert client.shell("echo served") == "served\n"


def test_the_cards_place_reads_sdcard_even_where_the_output_was_cut(client: Any) -> None:
    command = (
        'cd /sdcard/DCIM; p=$PWD; printf %s "${p%rd/DCIM}"; sleep 0.1; printf "rd/DCIM\\n"; ls /storage/emulated/0'
    )
    assert client.shell(command) == "/sdcard/DCIM\nDCIM\n"


def test_a_command_ends_with_its_client(daemon: AdbDaemon, client: Any, body: Any) -> None:
    stream = client.streaming_shell("echo $$; sleep 1000")
    pid = int(next(stream))
    stream.close()
    client.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the shell outlived its client"
        time.sleep(0.01)


def test_the_shutter_needs_an_awake_phone_with_its_camera_app_in_front(client: Any, body: Any) -> None:
    client.shell("input keyevent 27")
    assert len(body.released_ns) == 1
    client.shell("input keyevent HOME; input keyevent 27; input tap 540 1700")
    assert len(body.released_ns) == 1
    client.shell("am start -a android.media.action.STILL_IMAGE_CAMERA; input tap 540 1700")
    assert len(body.released_ns) == 2
    client.shell("input keyevent KEYCODE_SLEEP; input keyevent KEYCODE_CAMERA")
    assert len(body.released_ns) == 2
    client.shell("input keyevent WAKEUP; input keyevent MENU; input keyevent KEYCODE_VOLUME_UP")
    assert len(body.released_ns) == 3


def test_input_returns_when_the_button_has_been_pressed(
    client: Any, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    press = body.release

    def press_slowly() -> None:
        time.sleep(0.2)
        press()

    monkeypatch.setattr(body, "release", press_slowly)
    client.shell("input keyevent 27")
    assert len(body.released_ns) == 1


def test_tools_tell_what_the_phone_is(client: Any, body: Any) -> None:
    body.offset_ns = -3_600_000_000_000
    assert client.shell("getprop ro.product.model").strip() == body.spec.model
    assert "  level: 81\n" in client.shell("dumpsys battery")
    assert "  temperature: 315\n" in client.shell("dumpsys battery")
    before_s = body.now_ns() // 10**9
    said = [int(client.shell(command)) for command in ("date +%s", "date -u +%s")]
    assert all(before_s <= seconds <= body.now_ns() // 10**9 for seconds in said)
    assert client.shell("settings put system x 'a b'; settings get system x; settings get system y") == "a b\nnull\n"


def message(command: bytes, arg0: int, arg1: int, data: bytes) -> bytes:
    inverted = bytes(byte ^ 0xFF for byte in command)
    return struct.pack("<4sIIII4s", command, arg0, arg1, len(data), sum(data), inverted) + data


def receive(sock: socket.socket) -> tuple[bytes, bytes]:
    with sock.makefile("rb") as stream:
        command, _, _, length, _, _ = struct.unpack("<4sIIII4s", stream.read(24))
        return command, stream.read(length)
