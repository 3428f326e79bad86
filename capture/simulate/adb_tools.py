"""Android's command-line tools, as far as a rig needs them: small POSIX sh programs in front of the system's own.

They keep the phone's state in files: $PHONE/awake, locked, front, settings/..., props/.... The shutter they hand to
the daemon through two inherited pipes, and wait until it has been pressed, as `input` on a phone does.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

CAMERA_APP = "com.android.camera/.Camera"

_DATE = r"""
n=$(PATH=/usr/bin:/bin date +%s%N)
# the offset as it was when the command began, and how far the clock has drifted since
n=$((n + PHONE_CLOCK_OFFSET_NS + (n - PHONE_CLOCK_READ_NS) / 1000 * PHONE_CLOCK_DRIFT_PPB / 1000000))
case $* in
+%s%N) echo "$n" ;;
+%s) echo "$((n / 1000000000))" ;;
*) ns=$((n % 1000000000 + 1000000000)); PATH=/usr/bin:/bin exec date -d "@$((n / 1000000000)).${ns#1}" "$@" ;;
esac
"""

# A key or a tap goes where the phone's attention is: nowhere while it sleeps, to the shutter in the camera app.
_INPUT = r"""
shutter() {
    read -r front <"$PHONE/front"
    # at a PIN the daemon counts the attempt, and does nothing
    if ! [ -e "$PHONE/pin" ]; then
        [ -e "$PHONE/awake" ] && ! [ -e "$PHONE/locked" ] && case $front in *[Cc]amera*) ;; *) false ;; esac || return 0
    fi
    echo shutter >"/dev/fd/$PHONE_EVENTS"
    read -r _ <"/dev/fd/$PHONE_ACKS"
}
key() {
    case ${1#KEYCODE_} in
    27 | CAMERA | 24 | VOLUME_UP | 25 | VOLUME_DOWN | 66 | ENTER | 23 | DPAD_CENTER) shutter ;;
    3 | HOME) echo com.android.launcher/.Home >"$PHONE/front" ;;
    224 | WAKEUP) : >"$PHONE/awake" ;;
    223 | SLEEP) rm -f "$PHONE/awake"; : >"$PHONE/locked" ;;
    26 | POWER) if [ -e "$PHONE/awake" ]; then key 223; else key 224; fi ;;
    82 | MENU) [ ! -e "$PHONE/awake" ] || rm -f "$PHONE/locked" ;;
    esac
}
case $1 in touchscreen | keyboard) shift ;; esac
case $1 in
keyevent) shift; [ "$1" != --longpress ] || shift; for code; do key "$code"; done ;;
tap) shutter ;;
swipe) key 82 ;;
*) echo "Error: Unknown command: $1" >&2; exit 1 ;;
esac
"""

_GETPROP = r"""
if [ $# -eq 0 ]; then
    for prop in "$PHONE"/props/*; do read -r value <"$prop"; echo "[${prop##*/}]: [$value]"; done
elif [ -f "$PHONE/props/$1" ]; then
    read -r value <"$PHONE/props/$1"; echo "$value"
else
    echo "${2-}"
fi
"""

_DUMPSYS = r"""
has() { if [ -e "$PHONE/$1" ]; then echo true; else echo false; fi; }
case $1 in
battery)
    echo 'Current Battery Service state:'
    echo '  AC powered: false'
    echo '  USB powered: true'
    echo '  status: 2'
    echo '  health: 2'
    echo '  present: true'
    echo "  level: $PHONE_BATTERY_PERCENT"
    echo '  scale: 100'
    echo "  temperature: $PHONE_BATTERY_TENTHS_C"
    echo '  technology: Li-ion' ;;
power)
    echo 'POWER MANAGER (dumpsys power)'
    if [ -e "$PHONE/awake" ]; then echo '  mWakefulness=Awake'; else echo '  mWakefulness=Asleep'; fi
    echo "  mStayOn=$(has stayon)" ;;
window)
    read -r front <"$PHONE/front"
    echo 'WINDOW MANAGER POLICY STATE (dumpsys window policy)'
    locked=$(has locked)
    if [ -e "$PHONE/pin" ]; then locked=true; fi
    echo "    mShowingLockscreen=$locked mShowingDream=false mDreamingLockscreen=$locked"
    echo "  mCurrentFocus=Window{7a1c0de u0 $front}"
    echo "  mFocusedApp=AppWindowToken{5e1f token=Token{1d ActivityRecord{2b u0 $front t7}}}" ;;
*) echo "Can't find service: $1" ;;
esac
"""

_DF = r"""
for path; do case $path in -*) ;; *) break ;; esac; done
PATH=/usr/bin:/bin df -kP "${path:-$PHONE/card/}" | {
    read -r _
    read -r _ total used free share _
    if [ "$PHONE_CARD_FULL" = True ]; then used=$total free=0 share=100%; fi
    echo 'Filesystem     1K-blocks      Used Available Use% Mounted on'
    echo "/dev/fuse      $total $used $free $share /storage/emulated"
}
"""

_SVC = r"""
case "$1 $2 $3" in
"power stayon false") rm -f "$PHONE/stayon" ;;
"power stayon "*) : >"$PHONE/stayon" ;;
esac
"""

_SETTINGS = r"""
case $1 in
get) if [ -f "$PHONE/settings/$2.$3" ]; then cat "$PHONE/settings/$2.$3"; else echo null; fi ;;
put) echo "$4" >"$PHONE/settings/$2.$3" ;;
esac
"""

_WM = r"""
case $1 in
size) echo 'Physical size: 1080x1920' ;;
density) echo 'Physical density: 480' ;;
dismiss-keyguard) [ ! -e "$PHONE/awake" ] || rm -f "$PHONE/locked" ;;
esac
"""

_AM = r"""
[ "$1" = start ] || { echo "Unknown command: $1" >&2; exit 255; }
shift
waits=; front=
while [ $# -gt 0 ]; do
    case $1 in
    -W) waits=1 ;;
    -a) case $2 in *STILL_IMAGE_CAMERA*) front=CAMERA_APP ;; esac; shift ;;
    -n) front=$2; shift ;;
    esac
    shift
done
echo 'Starting: Intent { }'
[ -n "$front" ] || { echo 'Error: Activity not started, unable to resolve Intent { }'; exit 1; }
case $front in
*.TakePhoto) echo shutter >"/dev/fd/$PHONE_EVENTS"; read -r _ <"/dev/fd/$PHONE_ACKS" ;;
*) echo "$front" >"$PHONE/front" ;;
esac
[ -z "$waits" ] || { echo 'Status: ok'; echo "Activity: $front"; echo Complete; }
""".replace("CAMERA_APP", CAMERA_APP)

TOOLS = MappingProxyType(
    {
        "date": _DATE,
        "input": _INPUT,
        "getprop": _GETPROP,
        "dumpsys": _DUMPSYS,
        "df": _DF,
        "svc": _SVC,
        "settings": _SETTINGS,
        "wm": _WM,
        "am": _AM,
    }
)


def install_phone(folder: Path, card: Path, props: dict[str, str]) -> None:
    """Lay out a phone in `folder`: bin/ with the tools, props/, settings/, and card, a link to the memory card.

    The phone is awake, unlocked and in its camera app, as one left on a tripod.
    """
    for name in ("bin", "props", "settings"):
        (folder / name).mkdir()
    for name, script in TOOLS.items():
        tool = folder / "bin" / name
        tool.write_text(f"#!/bin/sh\n{script.lstrip()}")
        tool.chmod(0o755)
    for key, value in props.items():
        (folder / "props" / key).write_text(f"{value}\n")
    (folder / "card").symlink_to(card.resolve(), target_is_directory=True)
    (folder / "awake").touch()
    (folder / "front").write_text(f"{CAMERA_APP}\n")
