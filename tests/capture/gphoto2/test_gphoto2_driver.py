"""Our driver, on libgphoto2, against the simulated EOS."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from eos_body import CopyingBody, Wire
from gphoto2_driving import await_photos, opened, pull

from dpedkit.capture.camera import CameraFile, Release
from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera, detect
from dpedkit.capture.drivers.gphoto2_errors import explain
from dpedkit.capture.simulate.eos import EosServer
from dpedkit.capture.simulate.eos_properties import Properties, Property
from dpedkit.capture.simulate.ptp import PtpError, Status
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, PullFailed

Serve = Callable[[CopyingBody], EosServer]
SECOND_NS = 1_000_000_000


def test_a_photo_is_fired_found_and_pulled_byte_for_byte(
    body: CopyingBody, server: EosServer, jpeg: Path, tmp_path: Path
) -> None:
    with opened(server.port) as camera:
        for number in (1, 2):
            before = camera.list_photos()
            at_ns = time.time_ns() + 150_000_000
            release = camera.fire(at_ns)
            (photo,) = await_photos(camera, 1, {old.path for old in before})
            assert photo.name == f"IMG_{number:04d}.JPG"
            assert photo in camera.list_photos()
            assert pull(camera, photo, tmp_path / "pulled.jpg") == jpeg.read_bytes()
            assert at_ns <= release.earliest_ns <= body.released_ns[-1] <= release.latest_ns
    assert len(body.released_ns) == 2


def test_a_release_in_the_past_is_given_at_once(body: CopyingBody, server: EosServer) -> None:
    with opened(server.port) as camera:
        release = camera.fire(0)
    assert release.earliest_ns <= body.released_ns[0] <= release.latest_ns


def test_a_plain_capture_releases_once(body: CopyingBody, server: EosServer) -> None:
    with opened(server.port, trigger="ptp") as camera:
        release = camera.fire(time.time_ns())
        (photo,) = await_photos(camera, 1)
    assert photo.name == "IMG_0001.JPG"
    assert release.earliest_ns <= body.released_ns[0] <= release.latest_ns


def test_raw_and_jpeg_come_together(serve: Serve, jpeg: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(jpeg.read_bytes()[::-1])
    body = CopyingBody(tmp_path / "card", {"JPG": jpeg, "CR2": raw})
    with opened(serve(body).port) as camera:
        camera.fire(time.time_ns())
        photos = sorted(await_photos(camera, 2))
        assert [photo.name for photo in photos] == ["IMG_0001.CR2", "IMG_0001.JPG"]
        assert pull(camera, photos[0], tmp_path / "pulled.cr2") == raw.read_bytes()


def test_settings_are_applied_and_stay(server: EosServer) -> None:
    wanted = {"iso": 400, "aperture": 5.6, "shutterspeed": "1/250", "whitebalance": "Daylight", "autopoweroff": 0}
    with opened(server.port, {**wanted}):
        pass
    camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{server.port}")
    camera.open()
    shown = {name: camera._connected.get_single_config(name).get_value() for name in wanted}
    camera.close()
    assert shown == {name: str(value) for name, value in wanted.items()}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"iso": 123}, r"no iso '123'; it has: Auto, 100, 125"),
        ({"isso": 100}, r"no setting 'isso'; it has: .*iso"),
        ({"uilock": "on"}, r"a number for uilock, not 'on'"),
        ({"capturetarget": "Internal RAM"}, r"not safe with capturetarget = 'Internal RAM'"),
    ],
)
def test_a_setting_the_camera_does_not_have_is_named_with_those_it_has(
    server: EosServer, settings: dict[str, str | int | float | bool], named: str
) -> None:
    with pytest.raises(CameraError, match=f"canon.*{named}") as error, opened(server.port, settings):
        pass
    assert "rig file" in error.value.remedy


def test_the_camera_says_who_it_is(body: CopyingBody, server: EosServer) -> None:
    with opened(server.port) as camera:
        info = camera.info()
    assert (info.make, info.model, info.serial) == ("Canon Inc.", "Canon EOS 70D", body.spec.serial)
    assert info.battery_percent == 73
    assert info.free_bytes
    assert info.free_bytes > 0


def test_a_sleep_that_cannot_be_switched_off_is_a_warning_and_no_more(
    server: EosServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Properties.set

    def set_all_but_one(properties: Properties, data: bytes) -> Property:
        if int.from_bytes(data[4:8], "little") == Property.AUTO_POWER_OFF:
            raise PtpError(Status.DEVICE_BUSY)
        return change(properties, data)

    with opened(server.port) as camera:
        assert camera.info().warnings == ()
        monkeypatch.setattr(Properties, "set", set_all_but_one)
        camera.prepare()
        (warning,) = camera.info().warnings
    assert "autopoweroff" in warning


def test_a_full_card_is_told_by_a_camera_that_is_only_looked_at(
    server: EosServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=0))
    camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{server.port}")
    camera.open()
    info, reason = camera.info(), camera.diagnose()
    camera.close()
    assert info.free_bytes == 0
    assert reason == "its memory card is full"


@pytest.mark.parametrize("offset_ns", [0, 3_456_000_000, -90_061_500_000_000])
def test_the_clock_offset_is_within_its_bound(body: CopyingBody, server: EosServer, offset_ns: int) -> None:
    body.offset_ns = offset_ns
    with opened(server.port) as camera:
        for _ in range(3):
            offset = camera.clock_offset()
            assert offset is not None
            assert abs(offset.offset_ns - offset_ns) <= offset.bound_ns < SECOND_NS // 2


def test_a_clock_that_stands_still_is_none(
    body: CopyingBody, server: EosServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "now_ns", lambda: 1_700_000_000 * SECOND_NS)
    with opened(server.port) as camera:
        assert camera.clock_offset() is None


def test_nothing_at_the_address_is_not_found(server: EosServer) -> None:
    server.close()
    with pytest.raises(CameraNotFound, match=f"canon.*ptpip:127.0.0.1:{server.port}"), opened(server.port):
        pass


def test_a_camera_that_talks_to_someone_else_is_not_found_until_it_is_free(server: EosServer) -> None:
    with opened(server.port):
        with pytest.raises(CameraNotFound, match="canon") as error, opened(server.port):
            pass
        assert "other programs" in error.value.remedy
    with opened(server.port) as camera:
        assert camera.list_photos() == frozenset()


def test_a_camera_that_goes_away_is_an_error_that_names_it_and_can_be_opened_again(
    body: CopyingBody, server: EosServer, serve: Serve
) -> None:
    with opened(server.port) as camera:
        server.close()
        with pytest.raises(CameraError, match="canon"):
            camera.fire(time.time_ns())
        for action in (camera.list_photos, camera.info, camera.keep_awake, lambda: camera.new_photos(())):
            with pytest.raises(CameraError, match="canon"):
                action()
        camera._address = f"ptpip:127.0.0.1:{serve(body).port}"
        camera.open()
        assert camera.list_photos() == frozenset()


@pytest.mark.parametrize("silent", [False, True], ids=["cut", "dead"])
def test_a_wire_that_fails_in_mid_pull_is_a_failed_pull_and_no_more(
    server: EosServer, jpeg: Path, tmp_path: Path, silent: bool
) -> None:
    wire = Wire(server.port)
    with opened(wire.port) as camera:
        camera.fire(time.time_ns())
        (photo,) = await_photos(camera, 1)
        wire.silent, wire.fail_after = silent, 1_500_000
        with pytest.raises(PullFailed, match=r"canon.*IMG_0001\.JPG"):
            pull(camera, photo, tmp_path / "pulled.jpg")
        wire.fail_after = None
        camera.open()
        assert pull(camera, photo, tmp_path / "pulled.jpg") == jpeg.read_bytes()
    wire.close()


def test_a_photo_of_another_size_than_announced_is_a_failed_pull(
    body: CopyingBody, server: EosServer, tmp_path: Path
) -> None:
    with opened(server.port) as camera:
        camera.fire(time.time_ns())
        (photo,) = await_photos(camera, 1)
        body.photo(1).write_bytes(b"\xff\xd8 half a photo")
        with pytest.raises(PullFailed, match="canon"):
            pull(camera, photo, tmp_path / "pulled.jpg")


def test_a_photo_that_is_gone_is_a_failed_pull(server: EosServer, tmp_path: Path) -> None:
    missing = CameraFile("/store_00020001/DCIM/100CANON/IMG_4711.JPG", 100)
    with opened(server.port) as camera, pytest.raises(PullFailed, match=r"canon.*IMG_4711\.JPG"):
        pull(camera, missing, tmp_path / "pulled.jpg")


def test_a_full_disk_is_told_before_the_transfer(server: EosServer, tmp_path: Path) -> None:
    with opened(server.port) as camera:
        camera.fire(time.time_ns())
        (photo,) = await_photos(camera, 1)
        with pytest.raises(OSError, match="No space left"):
            pull(camera, replace(photo, size_bytes=1 << 60), tmp_path / "pulled.jpg")


def test_two_cameras_are_fired_from_two_threads(serve: Serve, jpeg: Path, tmp_path: Path) -> None:
    bodies = [CopyingBody(tmp_path / name, {"JPG": jpeg}) for name in ("left", "right")]
    ports = [serve(body).port for body in bodies]
    at_ns = time.time_ns() + 500_000_000
    opening = threading.Barrier(2)

    def shoot(port: int) -> tuple[list[Release], bytes]:
        opening.wait()
        with opened(port) as camera:
            releases = []
            for shot in range(5):
                before = camera.list_photos()
                releases.append(camera.fire(at_ns + shot * 300_000_000))
                (photo,) = await_photos(camera, 1, {old.path for old in before})
            return releases, pull(camera, photo, tmp_path / f"{port}.jpg")

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(shoot, ports))
    for body, (releases, pulled) in zip(bodies, results, strict=True):
        assert pulled == jpeg.read_bytes()
        assert len(body.released_ns) == len(releases)
        for true_ns, release in zip(body.released_ns, releases, strict=True):
            assert release.earliest_ns <= true_ns <= release.latest_ns


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (-53, CameraError, "gvfs"),
        (-105, CameraNotFound, "dpedkit devices"),
        (-110, CameraError, "card light"),
        (-10, CameraTimeout, "switch it off and on"),
        (-7, CameraError, "cable"),
        (-115, CameraError, "card"),
        (-99, CameraError, "cable"),
    ],
)
def test_every_error_of_libgphoto2_names_the_device_and_a_remedy(
    code: int, kind: type[CameraError], words: str
) -> None:
    error = explain(code, "its own words", "canon", "usb:0123", "setting iso")
    assert type(error) is kind
    assert "canon" in error.cause
    assert "usb:0123" in error.cause
    assert words in error.remedy


def test_without_a_camera_on_usb_the_only_one_is_not_found() -> None:
    if detect():
        pytest.skip("a real camera is connected")
    camera = Gphoto2Camera("canon", "usb:")
    with pytest.raises(CameraNotFound, match=r"canon.*usb:.*nothing"):
        camera.open()


HANG_UP = """
import os, sys
from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera

with open(sys.argv[2], "wb+") as database:
    os.dup2(database.fileno(), 0)  # as when standard input was closed before a file was opened
    for _ in range(2):
        camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{sys.argv[1]}")
        camera.open()
        camera.close()
        os.write(0, b"still here;")
"""


def test_hanging_up_leaves_standard_input_and_what_took_its_number_alone(server: EosServer, tmp_path: Path) -> None:
    database = tmp_path / "database"
    subprocess.run([sys.executable, "-c", HANG_UP, str(server.port), database], check=True, timeout=60)
    assert database.read_bytes() == b"still here;still here;"
