"""A conversation with a DSLR: recorded without its secrets, and played again with the camera gone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eos_body import CopyingBody
from gphoto2_driving import await_photos, opened, pull

from dpedkit.capture.camera import CameraFile, CameraInfo
from dpedkit.capture.drivers.gphoto2 import Gphoto2Camera
from dpedkit.capture.replay import read_trace
from dpedkit.capture.replay_ptp import PtpReplay
from dpedkit.capture.simulate.eos import EosServer
from dpedkit.capture.trace import Trace


def session(
    camera: Gphoto2Camera, into: Path, looks: int = 0
) -> tuple[frozenset[CameraFile], CameraInfo, list[CameraFile], bytes]:
    """Take a photo and pull it; `looks`: how often to look for one before."""
    camera.open()
    camera.prepare()
    before, info = camera.list_photos(), camera.info()
    assert not any(camera.new_photos(()) for _ in range(looks))
    camera.fire(0)
    photos = await_photos(camera, 1)
    pulled = pull(camera, photos[0], into)
    camera.close()
    return before, info, photos, pulled


def recorded(server: EosServer, path: Path, into: Path) -> tuple[list[CameraFile], CameraInfo]:
    trace = Trace(path)
    camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{server.port}", trace=trace)
    _, info, photos, _ = session(camera, into)
    trace.close()
    return photos, info


@pytest.mark.parametrize("looks", [0, 20])
def test_a_recorded_session_plays_again_without_the_camera(server: EosServer, tmp_path: Path, looks: int) -> None:
    """However much time the second one takes."""
    photos, info = recorded(server, tmp_path / "trace", tmp_path / "pulled.jpg")
    server.close()
    with PtpReplay(read_trace(tmp_path / "trace", "canon")) as peer:
        camera = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{peer.port}")
        before, info_again, photos_again, pulled = session(camera, tmp_path / "again.jpg", looks)
    assert before == frozenset()
    assert photos_again == photos
    assert (info_again.model, info_again.free_bytes) == (info.model, info.free_bytes)
    assert info_again.serial == "X" * len(info.serial)
    assert len(pulled) == photos[0].size_bytes


def test_no_line_tells_a_serial_number_or_holds_a_photo(body: CopyingBody, server: EosServer, tmp_path: Path) -> None:
    photos, _ = recorded(server, tmp_path / "trace", tmp_path / "pulled.jpg")
    lines = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    assert {line["way"] for line in lines} == {"sent", "received"}
    assert {(line["device"], line["wire"]) for line in lines} == {("canon", "ptp")}
    said = b"".join(bytes.fromhex(line.get("data", "")) for line in lines)
    for coding in ("ascii", "utf-16-le"):
        assert body.spec.serial.encode(coding) not in said
        assert ("X" * len(body.spec.serial)).encode(coding) in said
    assert sum(line.get("size_bytes", 0) for line in lines) > 0.99 * photos[0].size_bytes  # the last bytes are few
    assert max(len(line.get("data", "")) for line in lines) <= 2 * 4096


def test_two_cameras_keep_their_lines_apart(server: EosServer, tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace")
    traced = Gphoto2Camera("canon", f"ptpip:127.0.0.1:{server.port}", trace=trace)
    traced.open()
    traced.close()
    count = len((tmp_path / "trace").read_text().splitlines())
    with opened(server.port) as silent:
        silent.info()
    trace.close()
    assert len((tmp_path / "trace").read_text().splitlines()) == count
