from __future__ import annotations

import hashlib
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpedkit.capture.rig import Rig, load_rig
from dpedkit.capture.session import Session, probe
from dpedkit.capture.shot import StoredPhoto
from dpedkit.capture.worker import Worker
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, PullFailed, StorageError

NAMES = ("dslr", "sony", "htc")


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another package with a camera driver, installed; yields the folder of its cameras' cards."""
    site = tmp_path / "site"
    record = site / "scripted_camera-1.0.dist-info"
    record.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("scripted_camera.py"), site)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: scripted-camera\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[dpedkit.cameras]\nscripted = scripted_camera:ScriptedCamera\n")
    monkeypatch.syspath_prepend(site)
    cards = tmp_path / "cards"
    for name in NAMES:
        (cards / name).mkdir(parents=True)
        (cards / name / "0000.JPG").write_bytes(b"an old holiday photo")
    return cards


def rig_of(cards: Path, faults: dict[str, str] | None = None, lags: dict[str, float] | None = None) -> Rig:
    text = 'name = "test"\n'
    for name in NAMES:
        text += f'[[device]]\nname = "{name}"\nrole = "{"dslr" if name == "dslr" else "phone"}"\ndriver = "scripted"\n'
        text += f'address = "card:{cards / name}"\nfiles = ["jpg", "dng"]\nlag_ms = {(lags or {}).get(name, 0)}\n'
        text += f'settings.fault = "{(faults or {}).get(name, "")}"\n'
    path = cards / "rig.toml"
    path.write_text(text)
    return load_rig(path)


def session_of(rig: Rig, folder: Path) -> Session:
    addresses = {device.name: device.address for device in rig.devices}
    return Session(rig, addresses, folder / "photos", "monday", folder / "keys")


def log(cards: Path, name: str) -> list[str]:
    return (cards / f"{name}.log").read_text().split("\n")[:-1]


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "photos" / "monday").iterdir())


def test_every_new_photo_is_stored_as_it_is_and_no_old_one(scripted: Path, tmp_path: Path) -> None:
    seen: list[StoredPhoto] = []
    with session_of(rig_of(scripted), tmp_path) as session:
        first = session.shoot(1, "street", on_photo=seen.append)
        second = session.shoot(2, "street")
    assert (first.status, first.plan.number, first.plan.scene, first.plan.session) == (
        "complete",
        1,
        "street",
        "monday",
    )
    assert [(photo.device, photo.device_path) for photo in first.photos] == [
        (name, path) for name in NAMES for path in ("0001.JPG", "0002.DNG")
    ]
    assert sorted(seen, key=lambda photo: photo.path) == sorted(first.photos, key=lambda photo: photo.path)
    for photo in (*first.photos, *second.photos):
        data = photo.path.read_bytes()
        assert data == (scripted / photo.device / photo.device_path).read_bytes()
        assert (photo.size_bytes, photo.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert files_of(tmp_path) == sorted(
        f"{number:04d}_{name}{suffix}" for number in (1, 2) for name in NAMES for suffix in (".jpg", ".dng")
    )


def test_each_device_is_fired_earlier_by_its_lag(scripted: Path, tmp_path: Path) -> None:
    rig = rig_of(scripted, lags={"sony": 250.5, "htc": 60})
    with session_of(rig, tmp_path) as session:
        at_ns = session.shoot(1).plan.at_ns
    fired_ns = {name: int(log(scripted, name)[-2].split()[1]) for name in NAMES}
    assert {name: at_ns - ns for name, ns in fired_ns.items()} == {"dslr": 0, "sony": 250_500_000, "htc": 60_000_000}


@pytest.mark.parametrize(
    ("fault", "error", "kept"),
    [
        ("timeout", CameraTimeout, 0),
        ("pull", PullFailed, 0),
        ("pull 0002.DNG", PullFailed, 1),
        ("short", PullFailed, 0),
        ("old photo", CameraError, 0),
        ("bug", CameraError, 0),
    ],
)
def test_a_device_that_fails_costs_only_its_own_photos(
    scripted: Path, tmp_path: Path, fault: str, error: type[CameraError], kept: int
) -> None:
    with session_of(rig_of(scripted, {"sony": fault}), tmp_path) as session:
        result = session.shoot(1)
    assert result.status == "incomplete"
    assert {name: type(failure) for name, failure in result.failures.items()} == {"sony": error}
    assert "sony" in result.failures["sony"].cause
    assert [photo.device for photo in result.photos] == ["dslr"] * 2 + ["sony"] * kept + ["htc"] * 2
    assert len(list((tmp_path / "photos" / "monday").iterdir())) == 4 + kept, "a half photo was left"
    assert [log(scripted, name)[-1] for name in NAMES] == ["close"] * 3


def test_a_device_that_failed_is_opened_anew_for_the_next_shot(scripted: Path, tmp_path: Path) -> None:
    rig = rig_of(scripted)
    with session_of(rig, tmp_path) as session:
        (scripted / "sony").rename(scripted / "lost")
        lost = session.shoot(1)
        still_lost = session.shoot(2)
        (scripted / "lost").rename(scripted / "sony")
        found = session.shoot(3)
    assert [set(result.failures) for result in (lost, still_lost, found)] == [{"sony"}, {"sony"}, set()]
    assert isinstance(still_lost.failures["sony"], CameraNotFound)
    assert len(lost.photos) == len(still_lost.photos) == 4


def test_a_missing_device_is_named_before_anything_is_fired(scripted: Path, tmp_path: Path) -> None:
    shutil.rmtree(scripted / "htc")
    with pytest.raises(CameraNotFound, match="'htc'") as caught, session_of(rig_of(scripted), tmp_path):
        pytest.fail("the session opened without it")
    assert caught.value.exit_code == 4
    assert [log(scripted, name) for name in ("dslr", "sony")] == [["open", "prepare", "close"]] * 2


def test_several_missing_devices_are_all_named(scripted: Path, tmp_path: Path) -> None:
    shutil.rmtree(scripted / "htc")
    rig = rig_of(scripted, {"sony": "prepare"})
    with pytest.raises(CameraError, match=r"2 devices .* sony: sony refuses iso = 12; htc: no device 'htc'"):
        session_of(rig, tmp_path).__enter__()


def test_no_photo_is_overwritten(scripted: Path, tmp_path: Path) -> None:
    with session_of(rig_of(scripted), tmp_path) as session:
        session.shoot(7)
        before = {path: path.read_bytes() for path in (tmp_path / "photos" / "monday").iterdir()}
        with pytest.raises(StorageError, match=r"0007_dslr\.dng is there already"):
            session.shoot(7)
    assert {path: path.read_bytes() for path in (tmp_path / "photos" / "monday").iterdir()} == before
    assert len(list((scripted / "dslr").iterdir())) == 3, "fired for nothing"


def test_a_full_disk_ends_the_session_and_keeps_what_was_stored(scripted: Path, tmp_path: Path) -> None:
    seen: list[StoredPhoto] = []
    with (
        pytest.raises(StorageError, match="no space left"),
        session_of(rig_of(scripted, {"sony": "full disk"}), tmp_path) as session,
    ):
        session.shoot(1, on_photo=seen.append)
    assert {photo.device for photo in seen} == {"dslr", "htc"}
    assert files_of(tmp_path) == ["0001_dslr.dng", "0001_dslr.jpg", "0001_htc.dng", "0001_htc.jpg"]


def test_ctrl_c_leaves_whole_photos_only_and_closes_the_cameras(
    scripted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[StoredPhoto] = []

    def press_ctrl_c(photo: StoredPhoto) -> None:
        seen.append(photo)
        if len(seen) == 4:  # sony and htc are done, dslr is in its first pull
            signal.raise_signal(signal.SIGINT)

    def interrupt_then_let_the_pull_end(worker: Worker) -> None:
        interrupt(worker)
        (scripted / "go on").touch()

    interrupt = Worker.interrupt
    monkeypatch.setattr(Worker, "interrupt", interrupt_then_let_the_pull_end)
    rig = rig_of(scripted, {"dslr": "slow pull"})  # interrupted first
    with pytest.raises(KeyboardInterrupt), session_of(rig, tmp_path) as session:
        session.shoot(1, on_photo=press_ctrl_c)
    assert {photo.device for photo in seen} == {"sony", "htc"}
    assert files_of(tmp_path) == ["0001_htc.dng", "0001_htc.jpg", "0001_sony.dng", "0001_sony.jpg"]
    assert [log(scripted, name)[-1] for name in NAMES] == ["close"] * 3


def test_ctrl_c_forgets_no_photo_that_was_stored_before_it(scripted: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def wait_for_the_others_then_press_ctrl_c(photo: StoredPhoto) -> None:
        if not seen:
            while sum(path.suffix != ".part" for path in photo.path.parent.iterdir()) < 6:
                time.sleep(0.01)
        seen.append(photo.path.name)
        if len(seen) == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), session_of(rig_of(scripted), tmp_path) as session:
        session.shoot(1, on_photo=wait_for_the_others_then_press_ctrl_c)
    assert sorted(set(seen)) == files_of(tmp_path)
    assert len(set(seen)) == 6


def test_probe_tells_who_is_there_and_who_is_not(scripted: Path, tmp_path: Path) -> None:
    shutil.rmtree(scripted / "htc")
    rig = rig_of(scripted)
    reports = probe(rig, {device.name: device.address for device in rig.devices}, tmp_path / "keys")
    assert [(report.name, report.role) for report in reports] == [("dslr", "dslr"), ("sony", "phone"), ("htc", "phone")]
    assert [report.info.serial if report.info else None for report in reports] == ["dslr", "sony", None]
    assert isinstance(reports[2].error, CameraNotFound)
    assert log(scripted, "dslr") == ["open", "close"], "asking must change no settings"
