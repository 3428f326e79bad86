"""Our driver on an EOS that shares no line with our simulated one and tells as little as it may."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gphoto2_driving import await_photos, opened, pull
from minimal_eos import MinimalEos

from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera
from dpedkit.errors import CameraError, CameraNotFound

JPEG = b"\xff\xd8 a photo " + bytes(range(256)) * 3000 + b"\xff\xd9"
RAW = b"II*\0 a raw photo " + bytes(range(256)) * 5000
FROZEN_S = 25
"""More than libgphoto2 waits for several answers that do not come, 2.5 s each."""


@pytest.fixture
def eos() -> Iterator[MinimalEos]:
    camera = MinimalEos({"JPG": JPEG})
    yield camera
    camera.freeze = False
    camera.close()


def test_a_photo_is_fired_found_pulled_and_deleted(eos: MinimalEos, tmp_path: Path) -> None:
    with opened(eos.port) as camera:
        assert camera.list_photos() == frozenset()
        release = camera.fire(time.time_ns() + 200_000_000)
        (photo,) = await_photos(camera, 1)
        assert release.earliest_ns <= eos.released_ns[0] <= release.latest_ns
        assert pull(camera, photo, tmp_path / "pulled.jpg") == JPEG
        camera.delete(photo)
        assert camera.list_photos() == frozenset()
        assert eos.objects == {}
        assert camera.diagnose() == ""


LOOK = """
import sys
from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera

camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{sys.argv[1]}")
camera.open()
camera.info()
camera.close()
"""


def test_looking_at_a_camera_leaves_its_photos_on_its_card(eos: MinimalEos, tmp_path: Path) -> None:
    """libgphoto2 remembers what was chosen last, in the process and in HOME: both are new here."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOOK, str(eos.port)], env=environment, check=True, timeout=60)
    host_has_room = 0x911A
    assert 0x9114 in eos.asked
    assert host_has_room not in eos.asked


def test_what_it_does_not_tell_is_none(eos: MinimalEos) -> None:
    with opened(eos.port) as camera:
        info = camera.info()
        assert (info.make, info.model, info.serial) == ("Canon Inc.", "Canon EOS 70D", "")
        assert info.battery_percent is None
        assert info.warnings == ()
        assert camera.clock_offset() is None


@pytest.mark.parametrize("lag_s", [0.0, 0.3])
def test_eight_shots_in_a_row_lose_and_repeat_none(eos: MinimalEos, tmp_path: Path, lag_s: float) -> None:
    eos.photo, eos.lag_s = {"CR2": RAW, "JPG": JPEG}, lag_s
    with opened(eos.port) as camera:
        for _ in range(8):
            camera.fire(time.time_ns() + 50_000_000)
        photos = await_photos(camera, 16)
        names = [photo.name for photo in photos]
        assert sorted(names) == [f"IMG_{n:04d}.{suffix}" for n in range(1, 9) for suffix in ("CR2", "JPG")]
        assert camera.new_photos({photo.path for photo in photos}) == []
        for photo in photos[-2:]:
            assert pull(camera, photo, tmp_path / photo.name) == eos.photo[photo.name[-3:]]


def test_a_photo_that_is_not_taken_is_offered_again(eos: MinimalEos) -> None:
    with opened(eos.port) as camera:
        camera.fire(0)
        (photo,) = await_photos(camera, 1)
        assert camera.new_photos(()) == [photo]
        assert camera.new_photos({photo.path}) == []


def test_a_new_conversation_finds_what_came_meanwhile(eos: MinimalEos) -> None:
    with opened(eos.port) as camera:
        camera.fire(0)
    with opened(eos.port) as camera:
        assert [photo.name for photo in await_photos(camera, 1)] == ["IMG_0001.JPG"]


@pytest.mark.slow
def test_a_photo_nobody_was_told_of_is_found_all_the_same(eos: MinimalEos) -> None:
    eos.tell = False
    with opened(eos.port) as camera:
        camera.fire(0)
        assert [photo.name for photo in await_photos(camera, 1)] == ["IMG_0001.JPG"]


def test_a_photo_is_left_out_until_it_is_whole(eos: MinimalEos) -> None:
    eos.photo = {"JPG": JPEG[:300_000]}
    with opened(eos.port) as camera:
        camera.fire(0)
        assert await_photos(camera, 1, timeout_s=1) == []
        (handle,) = eos.objects
        eos.objects[handle] = ("IMG_0001.JPG", JPEG)
        (photo,) = await_photos(camera, 1)
        assert photo.size_bytes == len(JPEG)


def test_a_photo_whose_end_is_damaged_still_comes(eos: MinimalEos) -> None:
    eos.photo = {"JPG": JPEG[:-2] + b"\0\0"}
    with opened(eos.port) as camera:
        camera.fire(0)
        assert len(await_photos(camera, 1)) == 1


def test_a_busy_camera_is_pressed_again_and_the_press_that_worked_is_told(eos: MinimalEos) -> None:
    with opened(eos.port) as camera:
        eos.busy = 3
        at_ns = time.time_ns() + 150_000_000
        release = camera.fire(at_ns)
    assert at_ns < release.earliest_ns <= eos.released_ns[0] <= release.latest_ns
    assert len(eos.released_ns) == 1


def test_a_camera_that_stays_busy_is_an_error_that_says_so(eos: MinimalEos) -> None:
    with opened(eos.port) as camera:
        eos.busy = 1 << 30
        with pytest.raises(CameraError, match=r"canon.*busy"):
            camera.fire(0)
        eos.busy = 0
        camera.fire(0)
    assert len(eos.released_ns) == 1


ACTIONS: dict[str, Callable[[Gphoto2Camera], object]] = {
    "fire": lambda camera: camera.fire(0),
    "new_photos": lambda camera: camera.new_photos(()),
}


@pytest.mark.slow
@pytest.mark.parametrize("action", ACTIONS)
def test_a_camera_that_freezes_is_an_error_in_time_and_can_be_opened_again(eos: MinimalEos, action: str) -> None:
    with opened(eos.port) as camera:
        eos.freeze = True
        started_s = time.monotonic()
        with pytest.raises(CameraError, match="canon"):
            ACTIONS[action](camera)
        assert time.monotonic() - started_s < FROZEN_S
        with pytest.raises(CameraNotFound):
            camera.open()
        eos.freeze = False
        camera.open()
        assert camera.info().model == "Canon EOS 70D"
