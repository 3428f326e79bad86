"""How the shutter of a phone is released: what a rig file says, as a command for the phone's shell.

What each takes from the command to the shutter, before calibration, stands in capture/drivers/__init__.py.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from dpedkit.capture.drivers.adb_events import events_command, events_setup, parse_events
from dpedkit.errors import SettingsError

_FAILED = re.compile(r"\bError\b|Exception|not found|[Pp]ermission denied|[Cc]an't create|cannot create")


@dataclass(frozen=True, slots=True)
class Trigger:
    """What releases the shutter.

    command  sh
    failed   of what it prints where it failed, whatever its exit status; None: the status says it
    setup    sh to run some time before it
    node     the device file that it writes into; empty: none
    """

    command: str
    failed: re.Pattern[str] | None = _FAILED
    setup: str = ""
    node: str = ""

    def complaint(self, status: str, said: str) -> str:
        """Return why it did not work, empty where it did: `am start` ends with 0 though there is no such activity."""
        if status != "0":
            return f"ended with status {status}: {said or 'no message'}"
        return f"says: {said}" if self.failed and self.failed.search(said) else ""


def parse_trigger(trigger: str) -> Trigger:
    """Return what releases the shutter on the phone.

    "keyevent" (the camera key; also the default) · "keyevent:24" (volume up, which most camera apps take for the
    shutter) · "tap:540,1800" (on the shutter button, px) · "intent:net.sourceforge.opencamera/.TakePhoto" ·
    "events:/dev/input/event2 RECORDING" (see `parse_events`; the quickest, where adb's user may write there) ·
    "shell:any command": run by adb's own sh on the phone, in its folder and with its environment; status 0 is success.

    Raises:
        SettingsError: it is none of these, or its recording cannot be read.
    """
    kind, _, argument = trigger.partition(":")
    if kind in {"", "keyevent"} and re.fullmatch(r"\w*", argument):
        return Trigger(f"input keyevent {argument or 27}")
    if kind == "tap" and (place := re.fullmatch(r"(\d+),(\d+)", argument)):
        return Trigger(f"input tap {place[1]} {place[2]}")
    if kind == "events" and (words := re.fullmatch(r"(/\S+)\s+(\S.*)", argument, re.DOTALL)):
        node, recording = words[1], words[2]
        return Trigger(events_command(node, parse_events(node, recording)), setup=events_setup(), node=node)
    if kind == "intent" and argument:
        return Trigger(f"am start -n {shlex.quote(argument)}")
    if kind == "shell" and argument:
        return Trigger(argument, failed=None)
    raise SettingsError(
        f"no trigger {trigger!r}",
        'write "keyevent[:CODE]", "tap:X,Y", "events:/dev/input/eventN RECORDING", "intent:PACKAGE/ACTIVITY" '
        'or "shell:COMMAND"',
    )
