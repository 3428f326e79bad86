"""How the shutter of a phone is released: what a rig file says, as a command for the phone's shell."""

from __future__ import annotations

import re
import shlex

from dpedkit.errors import SettingsError


def trigger_command(trigger: str) -> str:
    """Return the command that releases the shutter on the phone.

    "keyevent" (the camera key; also the default) · "keyevent:24" (volume up, which most camera apps take for the
    shutter) · "tap:540,1800" (on the shutter button, px) · "intent:net.sourceforge.opencamera/.TakePhoto" ·
    "shell:any command".

    Raises:
        SettingsError: it is none of these.
    """
    kind, _, argument = trigger.partition(":")
    if kind in {"", "keyevent"} and re.fullmatch(r"\w*", argument):
        return f"input keyevent {argument or 27}"
    if kind == "tap" and (place := re.fullmatch(r"(\d+),(\d+)", argument)):
        return f"input tap {place[1]} {place[2]}"
    if kind == "intent" and argument:
        return f"am start -n {shlex.quote(argument)}"
    if kind == "shell" and argument:
        return argument
    raise SettingsError(
        f"no trigger {trigger!r}", 'write "keyevent[:CODE]", "tap:X,Y", "intent:PACKAGE/ACTIVITY" or "shell:COMMAND"'
    )
