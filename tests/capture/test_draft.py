"""A drafted rig file is a rig, says what was found, and comments what it leaves as it is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dpedkit.capture.camera import CameraFile, CameraInfo
from dpedkit.capture.draft import Found, draft_rig
from dpedkit.capture.drivers import DRIVERS
from dpedkit.capture.inspection import newest_endings
from dpedkit.capture.rig import Rig, Thresholds, load_rig
from dpedkit.errors import SettingsError

CANON = Found("gphoto2", "usb:12", CameraInfo("Canon Inc.", "Canon EOS 70D", "12"), frozenset({"jpg", "cr2"}))
NIKON = Found("gphoto2", "ptpip:10.0.0.7", CameraInfo("Nikon Corporation", "D750", "3"))
SONY = Found("adb", "tcp:10.0.0.2:5555", CameraInfo("Sony", "C6603", "A"), frozenset({"heic", "png"}))
TWIN = Found("adb", "usb:B", CameraInfo("Sony", "C6603", "B"))


def drafted(tmp_path: Path, *found: Found) -> tuple[Rig, str]:
    text = draft_rig("studio", found)
    path = tmp_path / "studio.toml"
    path.write_text(text)
    return load_rig(path), text


def test_a_draft_holds_what_was_found(tmp_path: Path) -> None:
    rig, text = drafted(tmp_path, SONY, CANON, TWIN)
    assert rig.name == "studio"
    assert [(device.name, device.role, device.driver, device.address) for device in rig.devices] == [
        ("canon-eos-70d", "dslr", "gphoto2", "usb:12"),
        ("c6603", "phone", "adb", "tcp:10.0.0.2:5555"),
        ("c6603-2", "phone", "adb", "usb:B"),
    ]
    assert [device.files for device in rig.devices] == [("jpg", "cr2"), ("heic",), ("jpg",)]
    assert [device.trigger for device in rig.devices] == ["eos", "keyevent", "keyevent"]
    assert "# Canon Inc. Canon EOS 70D, serial number 12\n" in text
    for device in rig.devices:
        least, most = DRIVERS[device.driver].triggers[device.trigger]
        assert least <= device.lag_ms <= most
        assert f"takes {least}-{most} ms" in text


def test_only_a_canon_has_canons_trigger(tmp_path: Path) -> None:
    rig, _ = drafted(tmp_path, NIKON, SONY)
    assert rig.devices[0].trigger == "ptp"


def test_what_is_commented_out_are_the_defaults_and_may_be_switched_on(tmp_path: Path) -> None:
    rig, text = drafted(tmp_path, CANON, SONY)
    assert rig.thresholds == Thresholds()
    switched_on = tomllib.loads(re.sub(r"^# (?=[\w\"]+ = )", "", text, flags=re.MULTILINE))
    assert Thresholds.model_validate(switched_on["thresholds"]) == Thresholds()
    assert set(switched_on["device"][0]["settings"]) >= {"capturetarget", "imageformat", "iso", "aperture"}
    Rig.model_validate(switched_on)


def test_odd_words_of_a_camera_do_no_harm(tmp_path: Path) -> None:
    odd = Found("adb", "usb:x", CameraInfo('My "own"\\', "☎\n", "\x00"))
    rig, _ = drafted(tmp_path, CANON, odd)
    assert rig.devices[1].name == "phone"


def test_a_name_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"rig '\.\./x': name: "):
        draft_rig("../x", [CANON])


def test_the_files_of_a_release_are_those_of_the_newest_photo() -> None:
    card = [
        CameraFile("/a/IMG_0001.JPG", 1, written_s=100),
        CameraFile("/a/IMG_0001.CR2", 1, written_s=101),
        CameraFile("/a/IMG_0002.JPEG", 1, written_s=200),
    ]
    assert newest_endings(card) == {"jpg"}
    assert newest_endings(card[:2]) == {"jpg", "cr2"}
    assert newest_endings([]) == set()
