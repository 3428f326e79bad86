"""Recorded touches and keys, written back into the phone's input device: no Java starts, so the shutter is quick.

Record with `adb shell getevent -t /dev/input/eventN` while the shutter button is pressed once.
"""

from __future__ import annotations

import re
import shlex
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dpedkit.errors import SettingsError

_LINE = re.compile(
    r"(?:\[\s*(?P<time>\d+\.\d+)\]\s*)?(?:(?P<node>/\S+):\s*)?"
    r"(?P<type>[0-9a-f]{4})\s+(?P<code>[0-9a-f]{4})\s+(?P<value>[0-9a-f]{8})",
    re.IGNORECASE,
)
_LEAST_PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class InputEvent:
    """One event: its kind, and how long after the one before it, s."""

    type: int
    code: int
    value: int
    pause_s: float = 0.0


def parse_events(node: str, recording: str) -> list[InputEvent]:
    """Read a recording: a file with what `getevent -t NODE` printed, or such lines themselves, with ";" between them.

    Each line holds type, code and value in hex, as in "0001 001b 00000001"; times ("[   123.456789]") before them
    become pauses; lines of other devices are left out.

    Raises:
        SettingsError: there is no such file, or a line of it is none of getevent's.
    """
    if inline := _LINE.match(recording.strip()):
        lines = recording.split(";")
    else:
        try:
            lines = Path(recording).expanduser().read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"recording {recording!r} of {node}: {error}", "record it with getevent -t") from error
    events = []
    last_s = None
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(("#", "add device", "name:", "could not")):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            place = "" if inline else f"{recording}, line {number}: "
            raise SettingsError(
                f"{place}{text!r} is no event", 'write "0001 001b 00000001"; record without getevent -l'
            )
        if match["node"] not in {None, node}:
            continue
        time_s = float(match["time"]) if match["time"] else None
        pause_s = time_s - last_s if time_s is not None and last_s is not None else 0.0
        last_s = time_s
        events.append(InputEvent(int(match["type"], 16), int(match["code"], 16), int(match["value"], 16), pause_s))
    if not events:
        raise SettingsError(f"recording {recording!r} holds no event of {node}", "record it with getevent -t")
    return events


def events_setup() -> str:
    """Return sh that sets t to the time of an event, for `events_command`.

    A struct input_event begins with two longs of time, which the kernel fills in: 16 bytes where the phone's tools
    have 64 bits, else 8. Their ELF header says which: `od` reads its own.
    """
    return (
        f"t='{_octal(bytes(8))}'\n"
        "bits=$(od -An -tx1 -j4 -N1 /proc/self/exe 2>/dev/null) || bits=$(getprop ro.product.cpu.abi)\n"
        "case $bits in *02* | *64*) t=$t$t ;; esac"
    )


def events_command(node: str, events: Sequence[InputEvent]) -> str:
    """Return sh that writes events into `node`, with the pauses between them; it needs `events_setup` before."""
    groups: list[tuple[float, list[bytes]]] = []
    for event in events:
        body = struct.pack("<HHI", event.type, event.code, event.value)
        if groups and event.pause_s < _LEAST_PAUSE_S:
            groups[-1][1].append(body)
        else:
            groups.append((event.pause_s if groups else 0.0, [body]))
    steps = []
    for pause_s, bodies in groups:
        if pause_s:
            steps.append(f"sleep {pause_s:.3f} || sleep 1")
        steps.append(f'printf "{"".join(f"$t{_octal(body)}" for body in bodies)}"')
    quoted = shlex.quote(node)
    return f"""\
if [ -w {quoted} ]; then {{ {"; ".join(steps)}; }} >{quoted}
else echo "Permission denied:" {quoted}; false; fi"""


def _octal(data: bytes) -> str:
    r"""Return bytes as printf's format takes them; each is followed by a backslash or the end."""
    return "".join(f"\\{byte:o}" for byte in data)
