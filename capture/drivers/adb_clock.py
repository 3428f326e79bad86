"""A phone's clock: how it is read, how far it is ahead of ours, and how a script on the phone waits for a moment.

What runs on the phone is POSIX sh with toybox. Android's sh (mksh) computes with 32 bits, so the scripts keep seconds
and microseconds apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from dpedkit.capture.camera import ClockOffset, Release
from dpedkit.errors import CameraError

MOST_DRIFT = 100e-6
"""How much faster or slower than ours a phone's clock may run: phones are within 20e-6, so five times that."""

_PROBES = 12


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """One way to read a phone's wall clock.

    command   prints the time
    pattern   of what it prints where it works
    unit_ns   what is printed, times this, is the time since the epoch in ns
    step_ns   the clock may be this much later than what is printed
    read      sh that sets n (as printed), s (whole seconds) and u (microseconds); empty: too coarse to wait for
    """

    command: str
    pattern: re.Pattern[str]
    unit_ns: int
    step_ns: int
    read: str

    def parse(self, printed: str) -> int | None:
        """Return the time, ns since the epoch, or None where the phone cannot read its clock this way."""
        match = self.pattern.fullmatch(printed.strip())
        return int(Decimal(match[0]) * self.unit_ns) if match else None


CLOCKS = (
    DeviceClock(
        "date +%s%N",  # toybox since 2017; before that it prints %N or N
        re.compile(r"\d{19}"),
        unit_ns=1,
        step_ns=1,
        read='n=$(date +%s%N); s=${n%?????????}; u=$(((1${n#"$s"} - 1000000000) / 1000))',
    ),
    DeviceClock(
        "echo $EPOCHREALTIME",  # mksh
        re.compile(r"\d{10}\.\d{6}"),
        unit_ns=10**9,
        step_ns=1000,
        read="n=$EPOCHREALTIME; s=${n%.*}; u=$((1${n#*.} - 1000000))",
    ),
    DeviceClock("date +%s", re.compile(r"\d{10}"), unit_ns=10**9, step_ns=10**9, read=""),
)
"""The best first."""


def choose_clock(shell: Callable[[str], str]) -> DeviceClock:
    """Return the best clock that this phone can read.

    shell  runs a command on the phone and returns what it prints

    Raises:
        CameraError: it cannot read any.
    """
    for clock in CLOCKS:
        if clock.parse(shell(clock.command)) is not None:
            return clock
    raise CameraError("the phone's clock cannot be read: `date +%s` prints no number", "use another phone")


def measure_offset(shell: Callable[[str], str], clock: DeviceClock, host_ns: Callable[[], int]) -> ClockOffset:
    """Compare the phone's clock with ours.

    Each answer was read off the clock between our question and its arrival, so that the offset lies in an interval;
    it lies in all of them, hence where they overlap. The quickest answers decide, as in NTP, and each end of the
    interval may come from another answer. A clock that steps once a second is asked until it has stepped.

    Raises:
        CameraError: an answer is no time, or a clock was set meanwhile.
    """
    lowest: list[int] = []
    highest: list[int] = []
    begun_ns = now_ns = host_ns()
    while len(lowest) < _PROBES or now_ns - begun_ns < clock.step_ns * 1.1:
        sent_ns = host_ns()
        device_ns = clock.parse(shell(clock.command))
        now_ns = host_ns()
        if device_ns is None:
            raise CameraError(
                "the phone's clock cannot be read any more", "check the phone and run the same command again"
            )
        lowest.append(device_ns - now_ns)
        highest.append(device_ns + clock.step_ns - sent_ns)
    low, high = max(lowest), min(highest)
    if low > high:
        raise CameraError("a clock was set while it was measured", "run the same command again")
    drifted_ns = (now_ns - begun_ns) * MOST_DRIFT
    return ClockOffset((low + high) // 2, (high - low) // 2 + 1 + round(drifted_ns))


def fire_script(clock: DeviceClock, device_ns: int, command: str) -> str:
    """Return sh that waits until `device_ns` on the phone's clock (1,000 s at most) and runs `command`.

    It sleeps until shortly before, then reads the clock over and over; it goes as soon as the moment is nearer than the
    next reading would be. Its last line is "fired BEFORE AFTER STATUS": the clock just before and just after the
    command, as `clock` prints it.
    """
    seconds, rest_ns = divmod(device_ns, 10**9)
    return f"""
look() {{ {clock.read}; left=$((({seconds} - s) * 1000000 + {rest_ns // 1000} - u)); }}
look
while [ $left -gt 250000 ]; do
    ms=$((left / 1000 - 150)); f=$((ms % 1000 + 1000))
    sleep $((ms / 1000)).${{f#1}} 2>/dev/null; look
done
step=0
while [ $left -gt $((step / 2)) ]; do
    last=$left; look
    if [ $step -eq 0 ] || [ $((last - left)) -lt $step ]; then step=$((last - left)); fi
done
before=$n
{command}
status=$?
look
echo "fired $before $n $status"
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
    *said, last = printed.strip().split("\n")
    match last.split():
        case ["fired", before, after, status]:
            before_ns, after_ns = clock.parse(before), clock.parse(after)
            if before_ns is not None and after_ns is not None:
                return FireReport(before_ns, after_ns + clock.step_ns, status, " ".join(said))
    return None


def bound_release(report: FireReport, offset: ClockOffset, sent_ns: int, received_ns: int) -> Release | None:
    """Return between which moments on our clock the command ran.

    sent_ns, received_ns  when the script went out and its report came, our clock: it ran between these, too

    Returns None where the two accounts contradict each other: the phone's clock is no longer what `offset` says.
    """
    earliest_ns = max(sent_ns, report.before_ns - offset.offset_ns - offset.bound_ns)
    latest_ns = min(received_ns, report.after_ns - offset.offset_ns + offset.bound_ns)
    return Release(earliest_ns, latest_ns) if earliest_ns <= latest_ns else None
