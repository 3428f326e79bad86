"""What a phone says of itself, how it is made ready for a session, and why it may have taken no photo.

A phone may lack any of these tools (dumpsys, svc, wm, settings, am): what cannot be asked is not known, and what
cannot be applied is left as it is, unless the rig file asks for it.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping

from dpedkit.capture.camera import CameraInfo
from dpedkit.errors import CameraError, SettingsError

Shell = Callable[[str], str]
Settings = Mapping[str, str | int | float | bool]

_CAMERA = "android.media.action.STILL_IMAGE_CAMERA"
_ACTIVITY = re.compile(r"[\w.]+/[\w.$]+")
_NOT_THERE = re.compile(r"not found|inaccessible|[Nn]o such file|[Uu]nknown command|Can't find service")
# As Android 4 to 14 say it: before 8, 8 and 9, since 10.
_LOCKED = re.compile(
    r"mShowingLockscreen=true|mDreamingLockscreen=true|isStatusBarKeyguard=true|isKeyguardShowing=true"
    r"|mKeyguardShowing=true|KeyguardServiceDelegate[^\n]*\n\s*showing=true"
)
_ASLEEP = re.compile(r"mWakefulness=(?!Awake)\w+|mScreenOn=false|Display Power: state=OFF")
_FRONT_S = 3.0


def read_info(shell: Shell) -> CameraInfo:
    """Ask a phone who it is and how it feels, in one round trip."""
    keys = ("ro.product.manufacturer", "ro.product.model", "ro.serialno", "ro.build.version.release")
    parts = _sections(shell, *(f"getprop {key}" for key in keys), "dumpsys battery", "df -k /sdcard/", "dumpsys power")
    make, model, serial, release = (_word(part) for part in parts[:4])
    battery, df, power = parts[4:]
    percent = _number(r"^\s*level: (\d+)", battery)
    tenths_c = _number(r"^\s*temperature: (-?\d+)", battery)
    return CameraInfo(
        make=make,
        model=model,
        serial=serial,
        firmware=f"Android {release}" if release else "",
        battery_percent=percent,
        free_bytes=_free_bytes(df),
        temperature_c=None if tenths_c is None else tenths_c / 10,
        warnings=tuple(_warnings(battery, power)),
    )


def prepare_phone(name: str, shell: Shell, settings: Settings, node: str = "") -> None:
    """Keep a phone awake, unlocked, in one orientation and in its camera app; apply and verify `settings`.

    settings  "camera_app" (PACKAGE/ACTIVITY), and "NAMESPACE.KEY", the namespace system, secure or global
    node      a device file that the trigger writes into

    Raises:
        CameraError: it stays locked or asleep, refuses a setting, the camera app or writing into `node`.
        SettingsError: a setting's name is none.
    """
    wanted = dict(settings)
    app = str(wanted.pop("camera_app", ""))
    if app and not _ACTIVITY.fullmatch(app):
        raise SettingsError(f"{name}: camera_app = {app!r} is no activity", 'write "PACKAGE/ACTIVITY"')
    shell("svc power stayon true; input keyevent KEYCODE_WAKEUP; wm dismiss-keyguard")
    _unlock(name, shell)
    # The camera looks the same way up in every shot, whatever the tilt sensor says.
    shell("settings put system accelerometer_rotation 0")
    for key, value in wanted.items():
        _apply_setting(name, shell, key, value)
    _start_camera(name, shell, app)
    if node and "writable" not in shell(f"[ -w {shlex.quote(node)} ] && echo writable"):
        raise CameraError(
            f"{name}: adb's user may not write into {node}",
            "run `adb root` where the phone allows it, or use the trigger tap:X,Y or keyevent",
        )


def diagnose_phone(shell: Shell, settings: Settings) -> str:
    """Return why a phone may have taken no photo, as it is now; empty where nothing is wrong with it."""
    power, window, activity = _sections(shell, "dumpsys power", "dumpsys window", _resolve(settings))
    if _ASLEEP.search(power):
        return "its screen is off"
    if _LOCKED.search(window):
        return "it is locked"
    package = str(settings.get("camera_app", "")) or _word(activity)
    focus = _focus(window)
    if focus and "/" in package and package.partition("/")[0] not in focus:
        return f"{focus} is in front, not its camera app {package.partition('/')[0]}"
    return ""


def _warnings(battery: str, power: str) -> Iterator[str]:
    sources = re.findall(r"^\s*\w+ powered: (\w+)", battery, re.MULTILINE)
    if sources and "true" not in sources:
        yield "it is not charged, so its screen will go off: plug it in, or set system.screen_off_timeout"
    if _ASLEEP.search(power):
        yield "its screen is off"


def _unlock(name: str, shell: Shell) -> None:
    power, window = _sections(shell, "dumpsys power", "dumpsys window")
    if _ASLEEP.search(power):
        raise CameraError(f"{name}: its screen stays off", "switch it on by hand")
    if _LOCKED.search(window):
        shell("input keyevent KEYCODE_MENU")  # for phones whose wm cannot dismiss the keyguard
        if _LOCKED.search(shell("dumpsys window")):
            raise CameraError(f"{name}: it is locked", "unlock it by hand and set its screen lock to None")


def _start_camera(name: str, shell: Shell, app: str) -> None:
    started = shell(f"am start -W {f'-n {shlex.quote(app)}' if app else f'-a {_CAMERA}'}")
    if _NOT_THERE.search(started) and "Activity" not in started and not app:
        return  # there is no am; the trigger may do without
    if re.search(r"\bError\b|Exception", started) or (app and _NOT_THERE.search(started)):
        raise CameraError(
            f"{name}: its camera app does not start: {' '.join(started.split())}",
            "correct camera_app in the rig file, or start it by hand once",
        )
    activity = re.search(r"^Activity: ([\w.]+)/", started, re.MULTILINE)
    package = app.partition("/")[0] or (activity[1] if activity else "")
    if not package:
        return
    deadline_s = time.monotonic() + _FRONT_S
    while (focus := _focus(shell("dumpsys window"))) and package not in focus:  # one app may still fade out
        if time.monotonic() > deadline_s:
            raise CameraError(
                f"{name}: {package} is not in front; found {focus}", "answer the question on the phone's screen, if any"
            )
        time.sleep(0.2)


def _apply_setting(name: str, shell: Shell, key: str, value: str | float) -> None:
    namespace, _, word = key.partition(".")
    if namespace not in {"system", "secure", "global"} or not word:
        raise SettingsError(
            f"{name}: no setting {key!r} of a phone", 'write "camera_app", "system.KEY", "secure.KEY" or "global.KEY"'
        )
    wanted = str(int(value)) if isinstance(value, bool) else str(value)
    place = f"{namespace} {shlex.quote(word)}"
    said = shell(f"settings put {place} {shlex.quote(wanted)}; settings get {place}").strip()
    if said != wanted:
        raise CameraError(f"{name}: setting {key} is {said!r} instead of {wanted!r}", "set it on the phone by hand")


def _resolve(settings: Settings) -> str:
    """Return sh that names the phone's own camera app, where the rig file names none."""
    return "true" if settings.get("camera_app") else f"cmd package resolve-activity --brief -a {_CAMERA} | tail -n 1"


def _sections(shell: Shell, *commands: str) -> list[str]:
    """Run commands in one round trip; return what each prints, empty for a tool that the phone does not have."""
    mark = "-- dpedkit --"
    parts = shell("; ".join(f"{command} 2>&1; echo; echo '{mark}'" for command in commands)).split(mark)
    found = [part.strip("\n") for part in [*parts, *[""] * len(commands)][: len(commands)]]
    return ["" if len(part) < 200 and _NOT_THERE.search(part) else part for part in found]


def _word(printed: str) -> str:
    return printed.strip().partition("\n")[0].strip()


def _focus(window: str) -> str:
    """Return the window in front, empty where the phone does not tell."""
    focus = re.search(r"mCurrentFocus=(?:Window\{)?(?!null)([^}\n]+)", window) or re.search(
        r"mFocusedApp=(?!null)(.+)", window
    )
    return focus[1].split()[-1] if focus else ""


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
