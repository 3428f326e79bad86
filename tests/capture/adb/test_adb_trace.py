"""A conversation with a phone: recorded without its secrets, and played again with the phone gone."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dpedkit.capture.camera import CameraFile, CameraInfo
from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.replay import read_trace
from dpedkit.capture.replay_adb import AdbReplay
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.capture.trace import Trace

Make = Callable[..., AdbCamera]


class Body(Protocol):
    card: Path


JPEG = b"\xff\xd8" + bytes(range(256)) * 50 + b"\xff\xd9"


def session(camera: AdbCamera) -> tuple[CameraInfo, frozenset[CameraFile], list[CameraFile]]:
    camera.open()
    camera.prepare()
    info, there = camera.info(), camera.list_photos()
    deadline_s = time.monotonic() + 20
    while not (photos := camera.new_photos(())) and time.monotonic() < deadline_s:
        pass
    release = camera.fire(0)
    assert release.earliest_ns <= release.latest_ns
    camera.close()
    return info, there, photos


def record(
    make_camera: Make, daemon: AdbDaemon, card: Path, path: Path
) -> tuple[CameraInfo, frozenset[CameraFile], list[CameraFile]]:
    (card / "DCIM" / "Camera" / "IMG_1.jpg").write_bytes(JPEG)
    trace = Trace(path)
    seen = session(make_camera(daemon, trace=trace))
    trace.close()
    return seen


def test_a_recorded_session_plays_again_without_the_phone(
    make_camera: Make, daemon: AdbDaemon, body: Body, keys: Path, tmp_path: Path
) -> None:
    info, there, photos = record(make_camera, daemon, body.card, tmp_path / "trace")
    daemon.close()
    with AdbReplay(read_trace(tmp_path / "trace", "sony")) as peer:
        camera = AdbCamera("sony", f"tcp:127.0.0.1:{peer.port}", {}, keys=keys)
        info_again, there_again, photos_again = session(camera)
    assert there_again == there
    assert photos_again == photos
    assert [photo.name for photo in photos] == ["IMG_1.jpg"]
    assert (info_again.model, info_again.battery_percent) == (info.model, info.battery_percent)
    assert info_again.serial == "X" * len(info.serial)


def test_no_line_tells_the_serial_number_or_whose_computer_this_is(
    make_camera: Make, daemon: AdbDaemon, body: Body, tmp_path: Path
) -> None:
    info, _, _ = record(make_camera, daemon, body.card, tmp_path / "trace")
    lines = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    assert {(line["device"], line["wire"]) for line in lines} == {("sony", "adb")}
    assert {"CNXN", "OPEN", "WRTE", "OKAY", "CLSE"} <= {line["command"] for line in lines}
    said = b"".join(bytes.fromhex(line.get("data", "")) for line in lines)
    assert info.serial.encode() not in said
    assert ("X" * len(info.serial)).encode() in said
    assert socket.gethostname().encode() not in said
    assert all("size_bytes" in line for line in lines if line["command"] == "AUTH")
