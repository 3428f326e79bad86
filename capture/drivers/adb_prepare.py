"""What a phone says of itself, and how it is made ready for a session."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from dpedkit.capture.camera import CameraInfo
from dpedkit.errors import CameraError, SettingsError

Shell = Callable[[str], str]

_LEAST_BATTERY_PERCENT = 10
_LEAST_FREE_BYTES = 100_000_000
_CAMERA = "android.media.action.STILL_IMAGE_CAMERA"


def read_info(shell: Shell) -> CameraInfo:
    """Ask a phone who it is and how it feels."""
    keys = ("ro.product.manufacturer", "ro.product.model", "ro.serialno", "ro.build.version.release")
    make, model, serial, release = [*shell("; ".join(f"getprop {key}" for key in keys)).split("\n"), *[""] * 4][:4]
    battery = shell("dumpsys battery")
    percent = _number(r"^\s*level: (\d+)", battery)
    tenths_c = _number(r"^\s*temperature: (-?\d+)", battery)
    return CameraInfo(
        make=make,
        model=model,
        serial=serial,
        firmware=f"Android {release}" if release else "",
        battery_percent=percent,
        free_bytes=_free_bytes(shell("df -k /sdcard/")),
        temperature_c=None if tenths_c is None else tenths_c / 10,
    )


def prepare_phone(name: str, shell: Shell, settings: Mapping[str, str | int | float | bool]) -> None:
    """Keep a phone awake, unlocked, in one orientation and in its camera app; apply and verify `settings`.

    settings  "NAMESPACE.KEY", the namespace system, secure or global

    Raises:
        CameraError: it stays locked or asleep, refuses a setting or the camera app, or battery or space run out.
        SettingsError: a setting's name is none.
    """
    _check_supplies(name, read_info(shell))
    shell("svc power stayon true; input keyevent KEYCODE_WAKEUP; wm dismiss-keyguard")
    _unlock(name, shell)
    # The camera looks the same way up in every shot, whatever the tilt sensor says.
    for key, value in {"system.accelerometer_rotation": 0, **settings}.items():
        _apply_setting(name, shell, key, value)
    started = shell(f"am start -W -a {_CAMERA}")
    app = re.search(r"^Activity: ([\w.]+)/", started, re.MULTILINE)
    if "Error" in started:
        raise CameraError(
            f"{name}: its camera app does not start: {' '.join(started.split())}", "start it by hand once"
        )
    focus = re.search(r"mCurrentFocus=.*", shell("dumpsys window"))
    if app and focus and app[1] not in focus[0]:
        raise CameraError(
            f"{name}: {app[1]} is not in front; found {focus[0]}", "answer the question on the phone's screen, if any"
        )


def _check_supplies(name: str, info: CameraInfo) -> None:
    if info.battery_percent is not None and info.battery_percent < _LEAST_BATTERY_PERCENT:
        raise CameraError(f"{name}: its battery is at {info.battery_percent}%", "charge it")
    if info.free_bytes is not None and info.free_bytes < _LEAST_FREE_BYTES:
        raise CameraError(f"{name}: {info.free_bytes // 10**6} MB free on the phone", "make room for photos")


def _unlock(name: str, shell: Shell) -> None:
    if re.search(r"mWakefulness=(?!Awake)", shell("dumpsys power")):
        raise CameraError(f"{name}: its screen stays off", "switch it on by hand")
    if _is_locked(shell):
        shell("input keyevent KEYCODE_MENU")  # for phones whose wm cannot dismiss the keyguard
    if _is_locked(shell):
        raise CameraError(f"{name}: it is locked", "unlock it by hand and set its screen lock to None")


def _is_locked(shell: Shell) -> bool:
    shown = re.search(r"(?:mShowingLockscreen|mDreamingLockscreen|isKeyguardShowing)=true", shell("dumpsys window"))
    return shown is not None


def _apply_setting(name: str, shell: Shell, key: str, value: str | float) -> None:
    namespace, _, word = key.partition(".")
    if namespace not in {"system", "secure", "global"} or not word:
        raise SettingsError(f"{name}: no Android setting {key!r}", 'write "system.KEY", "secure.KEY" or "global.KEY"')
    wanted = str(int(value)) if isinstance(value, bool) else str(value)
    place = f"{namespace} {shlex.quote(word)}"
    said = shell(f"settings put {place} {shlex.quote(wanted)}; settings get {place}").strip()
    if said != wanted:
        raise CameraError(f"{name}: setting {key} is {said!r} instead of {wanted!r}", "set it on the phone by hand")


def _number(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text, re.MULTILINE)
    return int(match[1]) if match else None


def _free_bytes(df: str) -> int | None:
    """Return the "Available" column of `df -k`; None where an old phone's df prints another table."""
    heading, *rows = df.strip().split("\n")
    if "1K-blocks" not in heading or not rows:
        return None
    match = re.search(r"(\d+)\s+\d+%\s+\S+$", rows[-1].strip())
    return int(match[1]) * 1024 if match else None
