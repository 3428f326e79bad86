"""A script that waits on the phone for a moment of the phone's clock, and what its report says of the release."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.capture.drivers.adb_clock import DeviceClock

_TURNS = 2000
_LEAST_SHARE = 8
"""Turns are believed if they took more than this part of a reading: as a small difference of two noisy times they may
seem to take next to nothing, and the millions of them that would then be counted took seconds."""


def fire_script(clock: DeviceClock, device_ns: int, command: str, setup: str = "") -> str:
    """Return sh that runs `setup`, waits until `device_ns` on the phone's clock (1,000 s at most) and runs `command`.

    It sleeps until shortly before, then reads the clock over and over; it goes as soon as the moment is nearer than
    the next reading would be. Where a reading takes a process, the last milliseconds are counted in turns of an empty
    loop, measured just before; on a phone so busy that noise drowns them, the nearest reading has to do. Its last line
    is "fired BEFORE AFTER STATUS": the clock just before and just after the command, as `clock` says it.
    """
    seconds, rest_ns = divmod(device_ns, 10**9)
    return f"""{setup}
look() {{ {clock.read}; left=$((({seconds} - s) * 1000000 + {rest_ns // 1000} - u)); }}
look
while [ $left -gt 130000 ]; do
    ms=$((left / 1000 - 80)); f=$((ms % 1000 + 1000))
    sleep $((ms / 1000)).${{f#1}} 2>/dev/null || sleep 1; look
done
{_LAST_TURNS if clock.forks else _LAST_LOOKS.format(half_step_us=clock.step_ns // 2000)}
before=$n
{command}
status=$?
look
echo "fired $before $n $status"
"""


# Fires at the reading that is nearest to the moment.
_LAST_LOOKS = "while [ $left -gt {half_step_us} ]; do look; done"

_LAST_TURNS = f"""
turn() {{ i=$1; while [ $i -gt 0 ]; do i=$((i - 1)); done; }}
after() {{ last=$left; turn $1; look; took=$((last - left)); }}
step=0
cost=0
for round in 1 2 3; do
    [ $left -gt 40000 ] || break
    after 0; if [ $step -eq 0 ] || [ $took -lt $step ]; then step=$took; fi
    after {_TURNS}; if [ $cost -eq 0 ] || [ $took -lt $cost ]; then cost=$took; fi
done
if [ $cost -gt $((step + step / {_LEAST_SHARE})) ]; then ahead=$((step * 3 / 2)); else ahead=0; fi
while [ $left -gt $((ahead + step / 2)) ]; do
    after 0; if [ $step -eq 0 ] || [ $took -lt $step ]; then step=$took; fi
done
if [ $ahead -gt 0 ] && [ $left -gt $((step / 2)) ]; then
    turn $(((left - step / 2) * {_TURNS} / (cost - step)))
fi
"""


@dataclass(frozen=True, slots=True)
class FireReport:
    """What a fire script says.

    before_ns, after_ns  the command ran between these two, phone's clock, ns
    status               its exit status
    said                 what it printed
    """

    before_ns: int
    after_ns: int
    status: str
    said: str


def parse_report(clock: DeviceClock, printed: str) -> FireReport | None:
    """Return what a script made by `fire_script` says, or None where that is not what was printed."""
    report = re.search(r"^(.*)fired (\S+) (\S+) (\d+)\s*$", printed, re.DOTALL)
    if report is None:
        return None
    before_ns, after_ns = clock.parse(report[2]), clock.parse(report[3])
    if before_ns is None or after_ns is None:
        return None
    return FireReport(before_ns, after_ns + clock.step_ns, report[4], " ".join(report[1].split()))


def bound_release(report: FireReport, offset: ClockOffset, sent_ns: int, received_ns: int) -> Release | None:
    """Return between which moments on our clock the command ran.

    sent_ns, received_ns  when the script went out and its report came, our clock: it ran between these, too

    Returns None where the two accounts contradict each other: the phone's clock is no longer what `offset` says.
    """
    earliest_ns = max(sent_ns, report.before_ns - offset.offset_ns - offset.bound_ns)
    latest_ns = min(received_ns, report.after_ns - offset.offset_ns + offset.bound_ns)
    return Release(earliest_ns, latest_ns) if earliest_ns <= latest_ns else None
