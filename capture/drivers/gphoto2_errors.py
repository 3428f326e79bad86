"""What libgphoto2's error numbers mean for the person at the tripod."""

from __future__ import annotations

from types import MappingProxyType

from dpedkit.errors import CameraError, CameraNotFound, CameraTimeout

BUSY = -110
_TIMEOUT = -10
_ABSENT = (-5, -31, -52, -105)
LOST = (-1, -7, _TIMEOUT, -34, -35, -37, -113)
"""After one of these the conversation is out of step: the camera has to be opened anew."""

_FREE_IT = (
    "free it: on Linux `systemctl --user stop gvfs-gphoto2-volume-monitor; gio mount -s gphoto2`, on macOS "
    "`killall PTPCamera ptpcamerad`; then close other camera programs"
)
_WAKE_IT = "check its cable and battery, switch it off and on, set it to stay awake, then run `dpedkit devices`"
_FULL = ("its memory card is full", "free or change the card")
_CLAIMED = ("another program holds the camera", _FREE_IT)
_MEANINGS = MappingProxyType(
    {
        -53: _CLAIMED,
        -60: _CLAIMED,
        -3: _FULL,
        -115: _FULL,
        BUSY: ("the camera was busy", "wait until its card light is off, leave its menus, then try again"),
        _TIMEOUT: ("the camera did not answer in time", _WAKE_IT),
        -6: ("the camera cannot do this", "set its mode dial to M and its lens to MF"),
        -108: ("the camera has no such file", "list its photos again"),
    }
)


def explain(code: int, text: str, name: str, address: str, doing: str) -> CameraError:
    """Return the error for a libgphoto2 result.

    code   a GP_ERROR_ number, below zero
    text   libgphoto2's own words for it
    name   the device in its rig
    doing  what was asked of it, such as "setting iso"
    """
    if code in _ABSENT:
        return CameraNotFound(name, address)
    unknown = (f"the connection broke: {text}" if code in LOST else text, _WAKE_IT)
    meaning, remedy = _MEANINGS.get(code, unknown)
    kind = CameraTimeout if code == _TIMEOUT else CameraError
    return kind(f"{name} ({address}): {meaning} ({doing}, libgphoto2 error {code})", remedy)
