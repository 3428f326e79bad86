"""Sessions with the simulated rig: libgphoto2 and adb_shell against programs that speak the cameras' protocols."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpedkit.capture.connect import Connection, connect
from dpedkit.capture.inspection import probe
from dpedkit.capture.rig import Rig, load_rig, rig_template
from dpedkit.capture.session import Session
from dpedkit.capture.shot import StoredPhoto
from dpedkit.errors import CameraError, CameraNotFound, UsageError
from dpedkit.images import read_rgb

NAMES = ("dslr", "sony", "blackberry", "iphone")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Connection, Path]]:
    """A running simulated rig, its addresses, and the folder that everything lives in."""
    folder = tmp_path_factory.mktemp("rehearsal")
    rig = small_rig(folder)
    with connect(rig, folder / "state", folder / "keys") as connection:
        yield rig, connection, folder


def small_rig(folder: Path) -> Rig:
    path = folder / "tripod.toml"
    path.write_text(rig_template("simulated").replace("scale = 0.25", "scale = 0.1"))
    return load_rig(path)


def truth_of(photo: StoredPhoto, folder: Path) -> dict[str, int]:
    facts: dict[str, int] = json.loads((folder / "state" / "truth" / f"{photo.sha256}.json").read_text())
    return facts


def test_three_scenes_are_photographed_by_all_four(rehearsal: tuple[Rig, Connection, Path]) -> None:
    rig, connection, folder = rehearsal
    results = []
    with Session(rig, connection.addresses, folder / "photos", "first", folder / "keys") as session:
        for number in (1, 2, 3):
            scene = connection.next_scene()
            results.append(session.shoot(number, str(scene)))
    assert [dict(result.failures) for result in results] == [{}] * 3
    stored = [photo for result in results for photo in result.photos]
    assert [photo.device for photo in stored] == [*NAMES] * 3
    assert len({photo.sha256 for photo in stored}) == 12
    for photo in stored:
        card = folder / "state" / photo.device / "card"
        on_card = card / photo.on_device.path[photo.on_device.path.index("DCIM") :]
        assert photo.path.read_bytes() == on_card.read_bytes()
        assert hashlib.sha256(photo.path.read_bytes()).hexdigest() == photo.sha256
        assert photo.meta is not None
        assert read_rgb(photo.path).shape == (photo.meta.height, photo.meta.width, 3)
    for result in results:
        assert {str(truth_of(photo, folder)["scene"]) for photo in result.photos} == {result.plan.scene}
    names = sorted(path.name for path in (folder / "photos" / "first").iterdir())
    assert names == sorted(f"{number:04d}_{name}.jpg" for number in (1, 2, 3) for name in NAMES)


def test_shutter_times_and_releases_agree_with_the_truth(rehearsal: tuple[Rig, Connection, Path]) -> None:
    rig, connection, folder = rehearsal
    with Session(rig, connection.addresses, folder / "photos", "timed", folder / "keys") as session:
        result = session.shoot(1)
    assert result.skew is not None
    assert set(result.skew.devices) == set(NAMES)
    for photo in result.photos:
        truth = truth_of(photo, folder)
        assert photo.release is not None
        assert photo.release.earliest_ns <= truth["released_ns"] <= photo.release.latest_ns
        assert photo.shutter is not None
        assert abs(photo.shutter.t_ns - truth["shutter_ns"]) <= photo.shutter.bound_ns


def test_probe_shows_the_four(rehearsal: tuple[Rig, Connection, Path]) -> None:
    rig, connection, folder = rehearsal
    reports = probe(rig, connection.addresses, folder / "keys")
    assert [report.error for report in reports] == [None] * 4
    assert [(report.name, report.info.model if report.info else "") for report in reports][:2] == [
        ("dslr", "Canon EOS 70D"),
        ("sony", "C6603"),
    ]
    assert all(report.clock for report in reports)


@pytest.mark.parametrize("name", ["dslr", "iphone"])
def test_a_device_that_is_not_there_is_named(rehearsal: tuple[Rig, Connection, Path], name: str) -> None:
    rig, connection, folder = rehearsal
    nowhere = {name: "ptpip:127.0.0.1:9" if name == "dslr" else "tcp:127.0.0.1:9"}
    with (
        pytest.raises(CameraNotFound, match=name) as caught,
        Session(rig, {**connection.addresses, **nowhere}, folder / "photos", "lost", folder / "keys"),
    ):
        pytest.fail("the session opened without it")
    assert caught.value.exit_code == 4
    reports = probe(rig, {**connection.addresses, **nowhere}, folder / "keys")
    assert {report.name for report in reports if report.error} == {name}


@pytest.mark.parametrize("name", ["dslr", "sony"])
def test_a_device_that_dies_between_shots_leaves_the_others_photos(tmp_path: Path, name: str) -> None:
    rig = small_rig(tmp_path)
    with (
        connect(rig, tmp_path / "state", tmp_path / "keys") as connection,
        Session(rig, connection.addresses, tmp_path / "photos", "s", tmp_path / "keys") as session,
    ):
        assert session.shoot(1).status == "complete"
        port = json.loads((tmp_path / "state" / name / "port.json").read_text())
        os.kill(port["pid"], signal.SIGKILL)
        results = [session.shoot(2), session.shoot(3)]
    others = [other for other in NAMES if other != name]
    for result in results:
        assert result.status == "incomplete"
        assert set(result.failures) == {name}
        assert isinstance(result.failures[name], CameraError)
        assert name in result.failures[name].cause
        assert [photo.device for photo in result.photos] == others
    assert len(list((tmp_path / "photos" / "s").iterdir())) == 4 + 3 + 3


def test_a_simulated_device_of_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tripod.toml"
    path.write_text(rig_template("simulated").replace('name = "iphone"', 'name = "htc"'))
    with pytest.raises(UsageError, match="htc"), connect(load_rig(path), tmp_path / "state", tmp_path / "keys"):
        pytest.fail("it started")
