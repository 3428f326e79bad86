from __future__ import annotations

import hashlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base
from scripted_site import install_scripted_camera

from dpedkit.capture.events import DeviceNews, Event, Failed, Fired, Planned, Settled, Stored, Stray
from dpedkit.capture.inspection import probe
from dpedkit.capture.rig import Rig, load_rig
from dpedkit.capture.session import Session
from dpedkit.capture.shot import ShotRequest, ShotResult, StoredPhoto
from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout, PullFailed, StorageError

NAMES = ("dslr", "sony", "htc")
TraceFunction = Callable[[FrameType, str, Any], Any]


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another package with a camera driver, installed; yields the folder of its cameras' cards."""
    install_scripted_camera(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    cards = tmp_path / "cards"
    for name in NAMES:
        (cards / name).mkdir(parents=True)
        (cards / name / "0000.JPG").write_bytes(b"an old holiday photo")
    return cards


def rig_of(
    cards: Path,
    faults: dict[str, str] | None = None,
    lags: dict[str, float] | None = None,
    *,
    at: int = 0,
    timeout_s: float = 2,
) -> Rig:
    text = 'name = "test"\n'
    for name in NAMES:
        text += f'[[device]]\nname = "{name}"\nrole = "{"dslr" if name == "dslr" else "phone"}"\ndriver = "scripted"\n'
        text += f'address = "card:{cards / name}"\nfiles = ["jpg", "dng"]\nlag_ms = {(lags or {}).get(name, 0)}\n'
        text += f'timeout_s = {timeout_s}\nsettings.fault = "{(faults or {}).get(name, "")}"\nsettings.at = {at}\n'
    path = cards / "rig.toml"
    path.write_text(text)
    return load_rig(path)


class Heard(list[Event]):
    """Everything a session told."""

    @property
    def photos(self) -> list[StoredPhoto]:
        return [event.photo for event in self if isinstance(event, Stored)]

    @property
    def results(self) -> list[ShotResult]:
        return [event.result for event in self if isinstance(event, Settled)]


def shots(count: int) -> Iterator[ShotRequest]:
    return iter([ShotRequest(number) for number in range(1, count + 1)])


def session_of(rig: Rig, folder: Path) -> Session:
    addresses = {device.name: device.address for device in rig.devices}
    return Session(rig, addresses, folder / "photos", "monday", folder / "keys")


def log(cards: Path, name: str) -> list[str]:
    return (cards / f"{name}.log").read_text().split("\n")[:-1]


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "photos" / "monday").iterdir())


def test_every_new_photo_is_stored_as_it_is_and_no_old_one(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()
    with session_of(rig_of(scripted), tmp_path) as session:
        first = session.shoot(1, "street", heard.append)
        second = session.shoot(2, "street")
    plan = first.plan
    assert (first.status, plan.number, plan.scene, plan.session) == ("complete", 1, "street", "monday")
    assert [(photo.device, photo.on_device.path) for photo in first.photos] == [
        (name, path) for name in NAMES for path in ("0001.DNG", "0001.JPG")
    ]
    assert sorted(heard.photos, key=lambda photo: photo.path) == sorted(first.photos, key=lambda photo: photo.path)
    for photo in (*first.photos, *second.photos):
        data = photo.path.read_bytes()
        assert data == (scripted / photo.device / photo.on_device.path).read_bytes()
        assert (photo.size_bytes, photo.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert files_of(tmp_path) == sorted(
        f"{number:04d}_{name}{suffix}" for number in (1, 2) for name in NAMES for suffix in (".jpg", ".dng")
    )


def test_a_session_tells_what_happens_in_the_order_in_which_it_happens(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()
    requests = shots(2)
    with session_of(rig_of(scripted), tmp_path) as session:
        session.run(lambda: next(requests, None), heard.append)
    for number in (1, 2):
        mine = [
            event
            for event in heard
            if (isinstance(event, Planned) and event.plan.number == number)
            or (isinstance(event, Fired) and event.number == number)
            or (isinstance(event, Stored) and event.photo.number == number)
            or (isinstance(event, Settled) and event.result.plan.number == number)
        ]
        assert isinstance(mine[0], Planned)
        assert isinstance(mine[-1], Settled)
        for name in NAMES:
            kinds = [type(e) for e in mine if getattr(e, "device", None) == name or getattr(e, "photo", None)]
            assert kinds.index(Fired) < kinds.index(Stored)
    assert [result.status for result in heard.results] == ["complete", "complete"]


def test_each_device_is_fired_earlier_by_its_lag(scripted: Path, tmp_path: Path) -> None:
    rig = rig_of(scripted, lags={"sony": 250.5, "htc": 60})
    with session_of(rig, tmp_path) as session:
        at_ns = session.shoot(1).plan.at_ns
    fired_ns = {name: int(line.split()[1]) for name in NAMES for line in log(scripted, name) if line.startswith("fire")}
    assert {name: at_ns - ns for name, ns in fired_ns.items()} == {"dslr": 0, "sony": 250_500_000, "htc": 60_000_000}


@pytest.mark.parametrize(
    ("fault", "error", "kept"),
    [
        ("timeout", CameraTimeout, 0),
        ("pull", PullFailed, 0),
        ("pull 0001.DNG", PullFailed, 1),
        ("short", PullFailed, 0),
        ("old photo", CameraTimeout, 0),
        ("bug", CameraError, 0),
        ("fire fails", CameraError, 0),
        ("damaged", CameraError, 2),
        ("damaged anew", PullFailed, 0),
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


@pytest.mark.parametrize("fault", ["pull once", "damaged once", "lost in fire"])
def test_what_goes_wrong_once_is_mended(scripted: Path, tmp_path: Path, fault: str) -> None:
    with session_of(rig_of(scripted, {"sony": fault}, at=1), tmp_path) as session:
        results = [session.shoot(1), session.shoot(2)]
    assert [result.status for result in results] == ["complete"] * 2
    assert len(files_of(tmp_path)) == 12
    for photo in (photo for result in results for photo in result.photos):
        assert photo.path.read_bytes() == (scripted / photo.device / photo.on_device.path).read_bytes()


def test_the_error_of_a_missing_photo_says_what_the_device_says(scripted: Path, tmp_path: Path) -> None:
    with session_of(rig_of(scripted, {"sony": "timeout"}, timeout_s=0.3), tmp_path) as session:
        failure = session.shoot(1).failures["sony"]
    assert failure.cause == "sony: no .jpg and .dng photo within 0.3 s: its battery door is open"


def test_the_next_shot_does_not_wait_for_a_pull(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()
    requests = shots(2)
    with session_of(rig_of(scripted, {"dslr": "slow pull"}, timeout_s=20), tmp_path) as session:
        session.run(lambda: next(requests, None), heard.append)  # its first pull ends when it has been fired twice
    assert [result.status for result in heard.results] == ["complete"] * 2
    lines = [line.split()[0] for line in log(scripted, "dslr")]
    first, second = (index for index, line in enumerate(lines) if line == "fire")
    assert "pull" in lines[first:second], "the second shot was fired before the first photo was pulled"


def test_a_photo_that_comes_late_goes_to_its_own_shot(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Planned) and event.plan.number == 2:
            for path in (scripted / "sony").glob("*.hidden"):
                path.rename(path.with_suffix(""))

    requests = shots(2)
    with session_of(rig_of(scripted, {"sony": "late"}, at=1, timeout_s=0.5), tmp_path) as session:
        session.run(lambda: next(requests, None), hear)
    assert heard.results[0].status == "incomplete"
    last = {result.plan.number: result for result in heard.results}
    assert {number: result.status for number, result in last.items()} == {1: "complete", 2: "complete"}
    for photo in heard.photos:
        taken_at = photo.meta.taken_at if photo.meta else None
        if taken_at:
            plan = next(result.plan for result in heard.results if result.plan.number == photo.number)
            assert abs(taken_at.replace(tzinfo=UTC).timestamp() - plan.at_ns / 1e9) < 0.05


def test_a_photo_of_no_shot_stays_where_it_is(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()

    def press_the_button_by_hand(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Planned):
            image = Image.new("RGB", (16, 16))
            exif = Image.Exif()
            exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2020:01:01 12:00:00"
            image.save(scripted / "sony" / "HAND.JPG", exif=exif)

    with session_of(rig_of(scripted), tmp_path) as session:
        result = session.shoot(1, tell=press_the_button_by_hand)
    assert result.status == "complete"
    assert [(event.device, event.photo.path) for event in heard if isinstance(event, Stray)] == [("sony", "HAND.JPG")]
    assert (scripted / "sony" / "HAND.JPG").exists()
    assert len(files_of(tmp_path)) == 6


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
    for name in ("dslr", "sony"):
        assert [line for line in log(scripted, name) if line != "close"] == ["open", "prepare"]
        assert log(scripted, name)[-1] == "close"


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
    heard = Heard()
    requests = shots(2)
    with (
        pytest.raises(StorageError, match="no space left"),
        session_of(rig_of(scripted, {"sony": "full disk"}), tmp_path) as session,
    ):
        session.run(lambda: next(requests, None), heard.append)
    assert {photo.device for photo in heard.photos} == {"dslr", "htc"}
    assert {failed.device for failed in heard if isinstance(failed, Failed)} == {"sony"}
    assert files_of(tmp_path) == sorted(photo.path.name for photo in heard.photos)


def test_ctrl_c_leaves_whole_photos_only_and_closes_the_cameras(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()

    def press_ctrl_c(event: Event) -> None:
        heard.append(event)
        if len(heard.photos) == 4 and not isinstance(event, DeviceNews):  # sony and htc are done, dslr is pulling
            signal.raise_signal(signal.SIGINT)

    rig = rig_of(scripted, {"dslr": "slow pull"}, timeout_s=20)
    with pytest.raises(KeyboardInterrupt), session_of(rig, tmp_path) as session:
        session.shoot(1, tell=press_ctrl_c)
    assert {photo.device for photo in heard.photos} == {"sony", "htc"}
    assert files_of(tmp_path) == ["0001_htc.dng", "0001_htc.jpg", "0001_sony.dng", "0001_sony.jpg"]
    assert [log(scripted, name)[-1] for name in NAMES] == ["close"] * 3


def test_ctrl_c_forgets_no_photo_that_was_stored_before_it(scripted: Path, tmp_path: Path) -> None:
    heard = Heard()

    def wait_for_the_others_then_press_ctrl_c(event: Event) -> None:
        if isinstance(event, Stored) and not heard.photos:
            while sum(path.suffix != ".part" for path in event.photo.path.parent.iterdir()) < 6:
                time.sleep(0.01)
            heard.append(event)
            signal.raise_signal(signal.SIGINT)
        heard.append(event)

    with pytest.raises(KeyboardInterrupt), session_of(rig_of(scripted), tmp_path) as session:
        session.shoot(1, tell=wait_for_the_others_then_press_ctrl_c)
    assert sorted({photo.path.name for photo in heard.photos}) == files_of(tmp_path)


@pytest.mark.parametrize("line", range(0, 100, 5))
def test_ctrl_c_at_any_line_forgets_no_photo(scripted: Path, tmp_path: Path, line: int) -> None:
    """SIGINT comes at the `line`-th line that the session's own code runs after its first photo is stored."""
    heard = Heard()
    left = line

    def press_ctrl_c(frame: FrameType, what: str, _argument: Any) -> TraceFunction | None:
        nonlocal left
        if Path(frame.f_code.co_filename).parent.name != "capture":
            return None
        if what == "line" and heard.photos:
            left -= 1
            if left == 0:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return press_ctrl_c

    with suppress(KeyboardInterrupt), session_of(rig_of(scripted), tmp_path) as session:
        before = sys.gettrace()
        sys.settrace(press_ctrl_c)
        try:
            session.shoot(1, tell=heard.append)
        finally:
            sys.settrace(before)
    assert sorted({photo.path.name for photo in heard.photos}) == files_of(tmp_path)


def test_probe_tells_who_is_there_and_who_is_not(scripted: Path, tmp_path: Path) -> None:
    shutil.rmtree(scripted / "htc")
    rig = rig_of(scripted)
    reports = probe(rig, {device.name: device.address for device in rig.devices}, tmp_path / "keys")
    assert [(report.name, report.role) for report in reports] == [("dslr", "dslr"), ("sony", "phone"), ("htc", "phone")]
    assert [report.info.serial if report.info else None for report in reports] == ["dslr", "sony", None]
    assert isinstance(reports[2].error, CameraNotFound)
    assert set(log(scripted, "dslr")) == {"open", "close"}, "asking must change no settings"
