"""Our driver against the simulated phone."""

from __future__ import annotations

import dataclasses
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.drivers.adb_photos import ends_whole
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, PullFailed, SettingsError


def copy(camera: AdbCamera, photo: CameraFile, into: Path) -> None:
    for _ in camera.pull(photo, into):
        pass


def wait_for_photos(camera: AdbCamera, known: Collection[str] = (), count: int = 1) -> list[CameraFile]:
    deadline_s = time.monotonic() + 30
    while len(photos := camera.new_photos(known)) < count:
        assert time.monotonic() < deadline_s
    return photos


JPEG = b"\xff\xd8" + bytes(range(256)) * 500 + b"\xff\xd9"


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with ThreadPoolExecutor(4) as pool:
        signers = list(pool.map(lambda _: load_signer(folder), range(4)))
    assert len({signer.Sign(b"t" * 20) for signer in signers}) == 1
    assert len({signer.GetPublicKey() for signer in signers}) == 1
    assert stat.S_IMODE((folder / "adbkey").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["adbkey", "adbkey.pub"]


def test_an_unauthorised_computer_is_told_what_to_tap(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, tmp_path: Path
) -> None:
    camera = make_camera(daemon, keys=tmp_path, timeout_s=0.3)
    with pytest.raises(CameraError, match=r"unauthorized.*adbkey\.pub") as caught:
        camera.open()
    assert "tap" in caught.value.remedy


def test_a_closed_port_is_a_phone_not_found(keys: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(CameraNotFound, match=rf"'left' at tcp:127\.0\.0\.1:{port}"):
        AdbCamera("left", f"tcp:127.0.0.1:{port}", {}, keys=keys).open()


def test_a_phone_that_wants_tls_names_the_way_out(keys: Path) -> None:
    def want_tls(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(b"STLS" + bytes([0, 0, 0, 1]) + bytes(12) + bytes(byte ^ 0xFF for byte in b"STLS"))
        sock.recv(4096)

    with server(want_tls) as port, pytest.raises(CameraError, match="encrypted") as caught:
        AdbCamera("sony", f"tcp:127.0.0.1:{port}", {}, keys=keys, timeout_s=5).open()
    assert "adb tcpip 5555" in caught.value.remedy


def test_a_silent_phone_is_a_timeout(keys: Path) -> None:
    done = threading.Event()
    with server(lambda _: (done.wait(10), None)[1]) as port:
        with pytest.raises(CameraTimeout, match="did not answer in time"):
            AdbCamera("sony", f"tcp:127.0.0.1:{port}", {}, keys=keys, timeout_s=0.2).open()
        done.set()


@pytest.mark.parametrize("address", ["tcp:host", "tcp:host:port", "bus:1", "usb:", "sony"])
def test_an_address_that_is_none_is_refused(keys: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="no phone's address"):
        AdbCamera("sony", address, {}, keys=keys).open()


def test_info_says_who_it_is_and_how_it_feels(camera: AdbCamera, body: Any) -> None:
    info = camera.info()
    assert (info.make, info.model, info.serial) == (body.spec.make, body.spec.model, body.spec.serial)
    assert (info.battery_percent, info.temperature_c) == (81, 31.5)
    status = os.statvfs(body.card)
    assert info.free_bytes == pytest.approx(status.f_bavail * status.f_frsize, rel=0.05)


def test_prepare_wakes_a_sleeping_phone_so_that_it_fires(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, body: Any
) -> None:
    camera = make_camera(daemon, settings={"system.screen_brightness": 40})
    camera.shell("input keyevent HOME; input keyevent SLEEP")
    camera.fire(0)
    assert not body.released_ns
    camera.prepare()
    camera.fire(0)
    assert len(body.released_ns) == 1
    assert camera.shell("settings get system screen_brightness").strip() == "40"
    assert "mStayOn=true" in camera.shell("dumpsys power")


@pytest.mark.parametrize("offset_ns", [0, -412_000_000, 27_400_000_000, 86_400_000_000_000])
def test_the_clock_offset_is_recovered_within_its_bound(camera: AdbCamera, body: Any, offset_ns: int) -> None:
    body.offset_ns = offset_ns
    offset = camera.clock_offset()
    assert offset is not None
    assert abs(offset.offset_ns - offset_ns) <= offset.bound_ns
    assert offset.bound_ns < 1_000_000_000


def test_the_phone_fires_by_its_own_clock_and_the_bounds_hold(
    make_camera: Callable[..., AdbCamera], body: Any, keys: Path, sh: str
) -> None:
    body.offset_ns = -27_400_123_456
    daemon = AdbDaemon(body, authorised_keys=[keys / "adbkey.pub"], sh=sh)
    daemon.start()
    camera = make_camera(daemon)
    offset = camera.clock_offset()
    assert offset is not None
    for wait_ns in (700_000_000, 350_000_000, 40_000_000):
        at_ns = time.time_ns() + wait_ns
        release = camera.fire(at_ns)
        released_ns = body.released_ns[-1]
        assert release.earliest_ns <= released_ns <= release.latest_ns
        # It may go half a reading of its clock early; how late depends on how busy this machine is.
        assert released_ns > at_ns - offset.bound_ns - 30_000_000
    assert len(body.released_ns) == 3
    camera.close()
    daemon.close()


@pytest.mark.parametrize("ago_s", [1, 3000, 10**7])  # 3,000 s in us, in 32 bits, lie far in the future
def test_a_moment_long_past_fires_now_and_once(
    make_camera: Callable[..., AdbCamera], body: Any, keys: Path, sh: str, ago_s: int
) -> None:
    daemon = AdbDaemon(body, authorised_keys=[keys / "adbkey.pub"], sh=sh)
    daemon.start()
    camera = make_camera(daemon, timeout_s=5)
    before_ns = time.time_ns()
    release = camera.fire(before_ns - ago_s * 10**9)
    assert len(body.released_ns) == 1
    assert before_ns <= release.earliest_ns <= body.released_ns[0] <= release.latest_ns <= time.time_ns()
    camera.close()
    daemon.close()


def test_a_trigger_that_fails_is_an_error_with_its_words(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon
) -> None:
    camera = make_camera(daemon, trigger="shell:echo no such button; false")
    with pytest.raises(CameraError, match="status 1: no such button"):
        camera.fire(0)


@pytest.mark.parametrize("trigger", ["", "keyevent", "keyevent:24", "tap:540,1700", "shell:input keyevent 27",
                                     "intent:net.sourceforge.opencamera/.TakePhoto"])  # fmt: skip
def test_every_trigger_releases_the_shutter(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, body: Any, trigger: str
) -> None:
    make_camera(daemon, trigger=trigger).fire(0)
    assert len(body.released_ns) == 1


def test_photos_are_listed_from_all_folders_of_dcim(camera: AdbCamera, body: Any) -> None:
    for path in ("DCIM/a.jpg", "DCIM/Camera/it's b.JPG", "DCIM/100/x.dng"):
        (body.card / path).parent.mkdir(exist_ok=True)
        (body.card / path).write_bytes(JPEG)
    for path in ("DCIM/.thumbnails/a.jpg", "DCIM/Camera/.pending-1-b.jpg", "DCIM/Camera/v.mp4", "Download/c.jpg"):
        (body.card / path).parent.mkdir(exist_ok=True)
        (body.card / path).write_bytes(JPEG)
    assert {photo.path: photo.size_bytes for photo in camera.list_photos()} == {
        "/sdcard/DCIM/a.jpg": len(JPEG),
        "/sdcard/DCIM/Camera/it's b.JPG": len(JPEG),
        "/sdcard/DCIM/100/x.dng": len(JPEG),
    }


def test_a_new_photo_is_returned_when_it_has_stopped_growing(camera: AdbCamera, body: Any) -> None:
    folder = body.card / "DCIM/Camera"
    (folder / "old.jpg").write_bytes(JPEG)
    before = camera.list_photos()
    (folder / "old.jpg").write_bytes(JPEG * 2)  # an edit of an old photo is no new one
    new = folder / "it's new.jpg"

    def grow() -> None:
        with new.open("wb", buffering=0) as file:
            for start in range(0, len(JPEG), 50_000):
                file.write(JPEG[start : start + 50_000])
                time.sleep(0.5)  # longer than between two listings: a size that rests is not enough

    writer = threading.Thread(target=grow)
    writer.start()
    photos = wait_for_photos(camera, {photo.path for photo in before})
    writer.join()
    assert photos == [CameraFile("/sdcard/DCIM/Camera/it's new.jpg", len(JPEG))]


def test_a_file_name_is_no_command(camera: AdbCamera, body: Any, tmp_path: Path) -> None:
    (body.card / "DCIM/Camera/$(touch pwned);touch pwned;.jpg").write_bytes(JPEG)
    (photo,) = wait_for_photos(camera)
    copy(camera, photo, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == JPEG
    assert not list(body.card.rglob("pwned"))


def test_a_link_to_a_folder_above_is_not_followed_for_ever(camera: AdbCamera, body: Any) -> None:
    (body.card / "DCIM/a.jpg").write_bytes(JPEG)
    (body.card / "DCIM/loop").symlink_to(body.card / "DCIM")
    assert CameraFile("/sdcard/DCIM/a.jpg", len(JPEG)) in camera.list_photos()


def test_a_raw_and_a_jpeg_with_notes_behind_it_are_whole_when_they_rest(camera: AdbCamera, body: Any) -> None:
    (body.card / "DCIM/Camera/new.dng").write_bytes(b"raw")
    (body.card / "DCIM/Camera/empty.jpg").write_bytes(b"")
    assert camera.new_photos(()) == []
    (body.card / "DCIM/Camera/new.jpg").write_bytes(JPEG + b"maker's notes")
    photos = wait_for_photos(camera, count=2)
    assert [photo.name for photo in photos] == ["new.dng", "new.jpg"]


def test_a_heic_is_whole_with_its_last_box(camera: AdbCamera, body: Any) -> None:
    def box(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(data), name) + data

    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 5000) + bytes(5000)
    whole = box(b"ftyp", b"heic") + box(b"meta", bytes(300)) + large
    path = body.card / "DCIM/Camera/it's new.heic"
    photo = CameraFile("/sdcard/DCIM/Camera/it's new.heic", len(whole))
    for data, is_whole in (
        (whole, True),
        (whole[:-1], False),
        (whole + b"x", False),
        (whole[:40], False),
        (b"", False),
    ):
        path.write_bytes(data)
        assert ends_whole(camera.shell, dataclasses.replace(photo, size_bytes=len(data))) == is_whole
    path.write_bytes(whole)
    assert wait_for_photos(camera) == [photo]


def test_a_pull_is_byte_exact(camera: AdbCamera, body: Any, tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (body.card / "DCIM/Camera/it's b.jpg").write_bytes(data)
    (photo,) = camera.list_photos()
    copy(camera, photo, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


def test_a_pull_of_other_bytes_than_announced_fails_and_leaves_nothing(
    camera: AdbCamera, body: Any, tmp_path: Path
) -> None:
    (body.card / "DCIM/a.jpg").write_bytes(JPEG)
    with pytest.raises(PullFailed, match="arrived"):
        copy(camera, CameraFile("/sdcard/DCIM/a.jpg", 7), tmp_path / "copy")
    with pytest.raises(PullFailed, match="No such file"):
        copy(camera, CameraFile("/sdcard/DCIM/gone.jpg", 7), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert len(camera.list_photos()) == 1  # it has recovered


@pytest.mark.parametrize(("tool", "digits"), [("sha256sum", 64), ("md5sum", 32)])
def test_damaged_bytes_are_noticed(camera: AdbCamera, body: Any, tmp_path: Path, tool: str, digits: int) -> None:
    (body.card / "DCIM/a.jpg").write_bytes(JPEG)
    tools = Path(camera.shell('echo "$PHONE/bin"').strip())

    def replace(name: str, script: str) -> None:
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)

    (photo,) = camera.list_photos()
    if tool == "md5sum":  # an old phone has no other
        replace("sha256sum", "exit 127")
        copy(camera, photo, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == JPEG
    replace(tool, f"echo {'0' * digits}  $1")
    with pytest.raises(PullFailed, match=f"damaged: its {tool.removesuffix('sum')}"):
        copy(camera, photo, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_phone_lost_in_the_middle_of_a_pull_is_an_error_in_time(
    camera: AdbCamera, daemon: AdbDaemon, body: Any, tmp_path: Path
) -> None:
    with (body.card / "DCIM/huge.jpg").open("wb") as file:
        file.truncate(4 << 30)
    photo = CameraFile("/sdcard/DCIM/huge.jpg", 4 << 30)
    into = tmp_path / "copy"

    def unplug() -> None:
        while not into.exists() or into.stat().st_size < 1 << 20:
            time.sleep(0.001)
        daemon.close()

    hand = threading.Thread(target=unplug)
    hand.start()
    with pytest.raises(PullFailed, match=r"closed the connection|reset|Broken pipe") as caught:
        copy(camera, photo, into)
    hand.join()
    assert "still on the phone" in caught.value.remedy
    assert not into.exists()
    with pytest.raises(CameraNotFound):
        camera.list_photos()


def test_a_broken_connection_is_made_anew(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, body: Any, keys: Path
) -> None:
    camera = make_camera(daemon)
    assert camera.info().model == body.spec.model
    daemon.close()
    with pytest.raises(CameraError):
        camera.info()
    again = AdbDaemon(body, port=daemon.port, authorised_keys=[keys / "adbkey.pub"])
    again.start()
    assert camera.info().model == body.spec.model
    camera.close()
    again.close()


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something on a port that is no phone, for one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            sock, _ = listener.accept()
            with sock:
                serve(sock)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()
