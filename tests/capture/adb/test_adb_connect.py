"""Keys, and what keeps a phone from letting us in: each with its way out."""

from __future__ import annotations

import logging
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpedkit.capture.drivers.adb import AdbCamera
from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.drivers.adb_prepare import diagnose_phone
from dpedkit.capture.simulate.adb_daemon import AdbDaemon
from dpedkit.capture.simulate.faults import Script, ScriptedFault
from dpedkit.errors import CameraError, CameraNotFound, SettingsError

MAKE_KEY = """
import sys
from pathlib import Path
from dpedkit.capture.drivers.adb_keys import load_signer
from dpedkit.capture.drivers.adb_prepare import diagnose_phone
print(load_signer(Path(sys.argv[1])).GetPublicKey())
"""


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    words = [sys.executable, "-c", MAKE_KEY, str(tmp_path / "new")]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(3)]
    keys = {process.communicate()[0] for process in processes}
    assert len(keys) == 1
    assert keys.pop()
    assert stat.S_IMODE((tmp_path / "new/adbkey").stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["adbkey", "adbkey.pub"]


def test_a_key_that_others_can_read_is_closed_to_them_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_signer(tmp_path)
    assert not caplog.records
    (tmp_path / "adbkey").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        load_signer(tmp_path)
    assert "could be read by others (mode 644)" in caplog.text
    assert stat.S_IMODE((tmp_path / "adbkey").stat().st_mode) == 0o600


def test_what_is_no_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "adbkey").write_text("not a key")
    (tmp_path / "adbkey").chmod(0o600)
    with pytest.raises(CameraError, match="is not an adb key"):
        load_signer(tmp_path)


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What lets adb_shell find a phone on USB that cannot be opened, or whose serial number may not be read."""
    transport = pytest.importorskip("adb_shell.transport.usb_transport").UsbTransport

    class Plugged(transport):  # type: ignore[misc, valid-type]
        def __init__(self, serial: str, error: Exception | None, unread: Exception | None) -> None:
            self._serial, self._error, self._unread = serial, error, unread

        @property
        def serial_number(self) -> str:
            if self._unread:
                raise self._unread
            return self._serial

        def connect(self, _: float | None = None) -> None:
            raise self._error or OSError("no phone")

        def close(self) -> None:
            pass

    phones: list[Any] = []
    find = classmethod(lambda _, timeout_s: iter(phones))  # noqa: ARG005
    monkeypatch.setattr(transport, "find_all_adb_devices", find)
    return lambda serial, error=None, unread=None: phones.append(Plugged(serial, error, unread))


def test_usb_troubles_name_their_remedy(plug: Callable[..., None], keys: Path) -> None:
    usb1 = pytest.importorskip("usb1")
    plug("BUSY", error=usb1.USBErrorBusy())
    plug("SHUT", error=usb1.USBErrorAccess())
    plug("GONE", error=usb1.USBErrorNoDevice())
    for serial, cause, remedy in (
        ("BUSY", "held by another program", "adb kill-server"),
        ("SHUT", "may not be opened by this user", "udev"),
        ("GONE", "failed while connecting", "cable"),
    ):
        with pytest.raises(CameraError, match=cause) as caught:
            AdbCamera("sony", f"usb:{serial}", {}, keys=keys).open()
        assert remedy in caught.value.remedy
    with pytest.raises(CameraNotFound, match="connected: usb:BUSY, usb:SHUT, usb:GONE"):
        AdbCamera("sony", "usb:OTHER", {}, keys=keys).open()


def test_a_phone_whose_serial_may_not_be_read_does_not_hide_the_others(plug: Callable[..., None], keys: Path) -> None:
    usb1 = pytest.importorskip("usb1")
    plug("HIDDEN", unread=usb1.USBErrorAccess())
    plug("BUSY", error=usb1.USBErrorBusy())
    with pytest.raises(CameraError, match="held by another program"):
        AdbCamera("sony", "usb:BUSY", {}, keys=keys).open()
    with pytest.raises(CameraError, match="may not be opened by this user"):
        AdbCamera("sony", "usb:HIDDEN", {}, keys=keys).open()


def test_a_phone_locked_by_a_pin_is_said_by_prepare_and_after_a_shot(
    make_camera: Callable[..., AdbCamera], body: Any, keys: Path
) -> None:
    script = Script([ScriptedFault("screen_locked", (2,))])
    daemon = AdbDaemon(body, authorised_keys=[keys / "adbkey.pub"], faults=script)
    daemon.start()
    camera = make_camera(daemon)
    camera.prepare()
    assert camera.diagnose() == ""
    assert camera.info().warnings == ()
    script.release()  # the next would be the second
    with pytest.raises(CameraError, match="it is locked"):
        camera.prepare()
    assert camera.diagnose() == "it is locked"
    camera.shell("input keyevent SLEEP")
    assert camera.diagnose() == "its screen is off"
    assert camera.info().warnings == ("its screen is off",)
    camera.close()
    daemon.close()


def test_another_app_in_front_is_named(make_camera: Callable[..., AdbCamera], daemon: AdbDaemon) -> None:
    camera = make_camera(daemon, settings={"camera_app": "net.sourceforge.opencamera/.MainActivity"})
    camera.prepare()
    assert "net.sourceforge.opencamera" in camera.shell("dumpsys window")
    assert camera.diagnose() == ""
    camera.shell("input keyevent HOME")
    assert camera.diagnose().endswith("is in front, not its camera app net.sourceforge.opencamera")


def test_a_camera_app_that_is_none_is_refused(make_camera: Callable[..., AdbCamera], daemon: AdbDaemon) -> None:
    with pytest.raises(SettingsError, match="is no activity"):
        make_camera(daemon, settings={"camera_app": "opencamera; reboot"}).prepare()


@pytest.mark.parametrize(
    ("window", "locked"),
    [
        ("    mShowingLockscreen=true mShowingDream=false mDreamingLockscreen=true", True),
        ("    mShowingLockscreen=false mShowingDream=false mDreamingLockscreen=false", False),
        ("  isStatusBarKeyguard=true", True),
        ("  KeyguardServiceDelegate\n    showing=true\n    inputRestricted=true", True),
        ("  KeyguardServiceDelegate\n    showing=false\n    inputRestricted=false", False),
        ("/system/bin/sh: dumpsys: not found", False),
    ],
)
def test_the_lock_is_seen_as_each_android_says_it(window: str, locked: bool) -> None:
    def shell(command: str) -> str:
        marks = command.split("echo '")
        mark = marks[1].partition("'")[0]
        return f"  mWakefulness=Awake\n{mark}\n{window}\n{mark}\n\n{mark}\n"

    assert diagnose_phone(shell, {}) == ("it is locked" if locked else "")
