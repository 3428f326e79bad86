"""Shots fired, photos found and clocks compared in the middle of a pull, over the same connection."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.errors import CameraError, PullFailed

JPEG = b"\xff\xd8" + bytes(1000) + b"\xff\xd9"


@pytest.fixture
def photo(body: Any) -> CameraFile:
    (body.card / "DCIM/big.jpg").write_bytes(os.urandom(3_000_001))
    return CameraFile("/sdcard/DCIM/big.jpg", 3_000_001)


def test_everything_else_goes_on_between_any_two_pieces(
    camera: AdbCamera, body: Any, photo: CameraFile, tmp_path: Path
) -> None:
    body.offset_ns = 5_000_000_000
    known = {photo.path}
    counts = []
    for turn, count in enumerate(camera.pull(photo, tmp_path / "copy")):
        counts.append(count)
        match turn % 4:
            case 0:
                before_ns = time.time_ns()
                release = camera.fire(0)
                assert before_ns <= release.earliest_ns <= body.released_ns[-1] <= release.latest_ns
            case 1:
                offset = camera.clock_offset()
                assert abs(offset.offset_ns - body.offset_ns) <= offset.bound_ns
            case 2:
                new = body.card / f"DCIM/{turn}.jpg"
                new.write_bytes(JPEG)
                deadline_s = time.monotonic() + 30
                while not (found := camera.new_photos(known)):
                    assert time.monotonic() < deadline_s
                assert [name.name for name in found] == [new.name]
                assert list(camera.pull(found[0], tmp_path / new.name)) == [len(JPEG)]
                assert (tmp_path / new.name).read_bytes() == JPEG
                known.add(found[0].path)
            case _:
                camera.keep_awake()
                assert camera.shell("echo here").strip() == "here"
    assert len(counts) > 30
    assert len(body.released_ns) > 7
    assert (tmp_path / "copy").read_bytes() == (body.card / "DCIM/big.jpg").read_bytes()


def test_two_pulls_take_turns(camera: AdbCamera, body: Any, photo: CameraFile, tmp_path: Path) -> None:
    pulls = [camera.pull(photo, tmp_path / str(number)) for number in range(2)]
    for first, second in zip(*pulls, strict=True):
        assert first == second
    for number in range(2):
        assert (tmp_path / str(number)).read_bytes() == (body.card / "DCIM/big.jpg").read_bytes()


def test_pulls_that_are_left_early_leave_the_connection_as_it_was(
    make_camera: Callable[..., AdbCamera], daemon: AdbDaemon, photo: CameraFile, tmp_path: Path
) -> None:
    camera = make_camera(daemon, timeout_s=5)
    camera.open()
    whole = camera.pull(photo, tmp_path / "whole")
    next(whole)
    for _ in range(20):
        left = camera.pull(photo, tmp_path / "left")
        for _ in range(3):
            next(left)
        left.close()  # type: ignore[attr-defined]
        assert not (tmp_path / "left").exists()
        assert camera.shell("echo here").strip() == "here"
    camera.pull(photo, tmp_path / "never begun").close()  # type: ignore[attr-defined]
    assert list(whole)[-1] == photo.size_bytes  # on the same connection still
    assert (tmp_path / "whole").stat().st_size == photo.size_bytes


def test_a_pull_does_not_outlive_its_connection(
    camera: AdbCamera, daemon: AdbDaemon, photo: CameraFile, tmp_path: Path
) -> None:
    pull = camera.pull(photo, tmp_path / "copy")
    next(pull)
    camera.close()
    camera.open()
    with pytest.raises(PullFailed):
        list(pull)
    assert not (tmp_path / "copy").exists()
    assert camera.shell("echo here").strip() == "here"  # and the new connection lives


def test_a_photo_is_deleted_only_as_it_was_announced(camera: AdbCamera, body: Any, photo: CameraFile) -> None:
    with pytest.raises(CameraError, match="should have 7 bytes, found 3000001"):
        camera.delete(CameraFile(photo.path, 7))
    assert camera.list_photos() == {photo}
    odd = body.card / "DCIM/it's $HOME.jpg"
    odd.write_bytes(JPEG)
    camera.delete(CameraFile("/sdcard/DCIM/it's $HOME.jpg", len(JPEG)))
    assert camera.list_photos() == {photo}
    with pytest.raises(CameraError, match="found nothing"):
        camera.delete(CameraFile("/sdcard/DCIM/it's $HOME.jpg", len(JPEG)))


def test_old_photos_cost_no_questions(camera: AdbCamera, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 3,000 photos on the card, looking for a new one lists the folder once, and then asks for its date only."""
    for number in range(3000):
        (body.card / f"DCIM/Camera/{number:04d}.jpg").touch()
    known = {photo.path for photo in camera.list_photos()}
    assert len(known) == 3000
    assert camera.new_photos(known) == []
    listed: list[str] = []
    from dpedkit.capture.drivers.adb_sync import SyncClient

    list_folder = SyncClient.list_folder
    monkeypatch.setattr(
        SyncClient, "list_folder", lambda client, folder: listed.append(folder) or list_folder(client, folder)
    )
    begun_s, asked = time.monotonic(), 0
    while time.monotonic() < begun_s + 1:
        assert camera.new_photos(known) == []
        asked += 1
    assert asked > 4 * listed.count("/sdcard/DCIM/Camera")
    (body.card / "DCIM/Camera/new.jpg").write_bytes(JPEG)
    deadline_s = time.monotonic() + 30
    while not (found := camera.new_photos(known)):
        assert time.monotonic() < deadline_s
    assert [photo.name for photo in found] == ["new.jpg"]


def test_many_photos_that_nobody_asked_for_are_all_found_the_newest_first(camera: AdbCamera, body: Any) -> None:
    for number in range(40):
        path = body.card / f"DCIM/Camera/{number:04d}.jpg"
        path.write_bytes(JPEG)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    camera.new_photos(())
    deadline_s = time.monotonic() + 30
    while not (first := camera.new_photos(())):
        assert time.monotonic() < deadline_s
    assert "0039.jpg" in {photo.name for photo in first}
    while len(found := camera.new_photos(())) < 40:
        assert time.monotonic() < deadline_s
    assert {photo.written_s for photo in found} == {1_700_000_000 + number for number in range(40)}
