"""A phone's clocks: how they are read, and how far they are ahead of ours.

What runs on the phone is POSIX sh with toybox. Android's sh (mksh) computes with 32 bits, so the scripts keep seconds
and microseconds apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal

from dpedkit.capture.camera import ClockOffset
from dpedkit.capture.clock import ClockModel
from dpedkit.errors import CameraError

MOST_DRIFT = 100e-6
"""How much faster or slower than ours a phone's clock may run: phones are within 20e-6, so five times that."""

_PROBES = 12
_PROBES_LATER = 4
_SETTLED_DRIFT = 20e-6  # a drift known this well needs fewer probes
_COARSE_NS = 20_000_000
_MARK = "clock"

Shell = Callable[[str], str]

Asking = Callable[[str], AbstractContextManager[Callable[[], str]]]
"""Yields what runs a command on the phone and returns the line it prints."""


@dataclass(frozen=True, slots=True)
class DeviceClock:
    """One way to read one of a phone's clocks.

    name     for messages
    value    a word of sh that becomes the time
    pattern  of what it becomes where the phone has it
    unit_ns  what it says, times this, is ns
    step_ns  the clock may be this much later than what it says
    read     sh that sets n (as it says), s (whole seconds) and u (microseconds); empty: too coarse to wait for
    forks    whether reading it takes a process
    """

    name: str
    value: str
    pattern: re.Pattern[str]
    unit_ns: int
    step_ns: int
    read: str
    forks: bool

    def parse(self, said: str) -> int | None:
        """Return the time in ns, or None where the phone cannot read its clock this way."""
        match = self.pattern.fullmatch(said.strip())
        return int(Decimal(match[0]) * self.unit_ns) if match else None


NANOSECONDS = DeviceClock(
    "date +%s%N",  # toybox since 2017; before that it prints %N or N
    "$(date +%s%N)",
    re.compile(r"\d{19}"),
    unit_ns=1,
    step_ns=1,
    read='n=$(date +%s%N); s=${n%?????????}; u=$(((1${n#"$s"} - 1000000000) / 1000))',
    forks=True,
)
MICROSECONDS = DeviceClock(
    "EPOCHREALTIME",  # mksh's own: reading it takes no process
    "$EPOCHREALTIME",
    re.compile(r"\d{10}\.\d{6}"),
    unit_ns=10**9,
    step_ns=1000,
    read="n=$EPOCHREALTIME; s=${n%.*}; u=$((1${n#*.} - 1000000))",
    forks=False,
)
SECONDS = DeviceClock(
    "date +%s", "$(date +%s)", re.compile(r"\d{10}"), unit_ns=10**9, step_ns=10**9, read="", forks=True
)
UPTIME = DeviceClock(
    "/proc/uptime",  # no wall clock, but one to wait by
    "$(read n _ </proc/uptime && echo $n)",
    re.compile(r"\d+\.\d\d"),
    unit_ns=10**9,
    step_ns=10**7,
    read="read n _ </proc/uptime; s=${n%.*}; u=$(((1${n#*.} - 100) * 10000))",
    forks=False,
)
CLOCKS = (NANOSECONDS, MICROSECONDS, SECONDS, UPTIME)


class PhoneClocks:
    """A phone's wall clock, which dates its photos, and the clock that it waits by, compared with ours.

    wall   the best wall clock that it has
    timer  what its script waits by; None where it has nothing finer than seconds
    """

    def __init__(self, wall: DeviceClock, timer: DeviceClock | None) -> None:
        self.wall = wall
        self.timer = timer
        self._models = {clock.name: ClockModel(MOST_DRIFT) for clock in (wall, timer) if clock}

    @property
    def compared(self) -> bool:
        """Whether they were compared with ours."""
        return self._models[self.wall.name].known

    def compare(self, asking: Asking, host_ns: Callable[[], int]) -> None:
        """Compare with our clock; a dozen round trips at first, then a few.

        Each answer was read off the clock between our question and its arrival, so that the offset lies in a window.
        A clock that steps once a second is asked until it has stepped.

        Raises:
            CameraError: an answer is no time.
        """
        wall = self._models[self.wall.name]
        settled = wall.known and wall.at(host_ns()).drift_bound <= _SETTLED_DRIFT
        if settled and self._burst(asking, host_ns, _PROBES_LATER):
            return
        for _ in range(2):  # a second time where a clock was set between two probes
            if self._burst(asking, host_ns, _PROBES):
                return

    def wall_at(self, host_ns: int) -> ClockOffset:
        """Return how far the wall clock is ahead of ours."""
        return self._models[self.wall.name].at(host_ns)

    def timer_at(self, host_ns: int) -> ClockOffset:
        """Return how far the clock that it waits by is ahead of ours."""
        assert self.timer is not None
        return self._models[self.timer.name].at(host_ns)

    def forget(self) -> None:
        """Take nothing for known: a clock was set."""
        self._models = {name: ClockModel(MOST_DRIFT) for name in self._models}

    def _burst(self, asking: Asking, host_ns: Callable[[], int], probes: int) -> bool:
        """Ask some times; return whether all windows agreed."""
        clocks = list({clock.name: clock for clock in (self.wall, self.timer) if clock}.values())
        least_ns = self._asking_ns(host_ns())
        agreed = True
        begun_ns = now_ns = host_ns()
        asked = 0
        with asking(f'echo "{_MARK} {" ".join(clock.value for clock in clocks)}"') as ask:
            while asked < probes or now_ns - begun_ns < least_ns:
                sent_ns = host_ns()
                said = ask()
                now_ns = host_ns()
                asked += 1
                agreed &= self._learn(clocks, _parse(said, clocks), sent_ns, now_ns)
        return agreed

    def _asking_ns(self, now_ns: int) -> int:
        """How long to ask: whole seconds until one has passed, while they are not known better than that."""
        wall = self._models[self.wall.name]
        is_coarse = self.wall.step_ns > _COARSE_NS
        return (
            self.wall.step_ns * 11 // 10
            if is_coarse and (not wall.known or wall.at(now_ns).bound_ns > _COARSE_NS)
            else 0
        )

    def _learn(
        self, clocks: Sequence[DeviceClock], times: Sequence[int | None], sent_ns: int, received_ns: int
    ) -> bool:
        """Take an answer that was read between two moments of ours; return whether it agrees with those before."""
        agrees = True
        drifted_ns = round((received_ns - sent_ns) * MOST_DRIFT) + 1
        for clock, device_ns in zip(clocks, times, strict=True):
            if device_ns is None:
                raise CameraError(
                    "the phone's clock cannot be read any more", "check the phone and run the same command again"
                )
            low_ns = device_ns - received_ns - drifted_ns
            high_ns = device_ns + clock.step_ns - sent_ns + drifted_ns
            agrees &= self._models[clock.name].add(low_ns, high_ns, (sent_ns + received_ns) // 2)
        return agrees


def choose_clocks(shell: Shell) -> PhoneClocks:
    """Return the best clocks that this phone can read, in one round trip.

    shell  runs a command on the phone and returns what it prints

    Raises:
        CameraError: it cannot read any wall clock.
    """
    one, two, three, four = (clock.value for clock in CLOCKS)
    # Apart from each other, so that a missing tool spoils no other answer.
    said = shell(
        f"before={two}; date={one}; after={two}\n"
        f'echo "{_MARK} before=$before"; echo "{_MARK} date=$date"; echo "{_MARK} after=$after"\n'
        f'echo "{_MARK} seconds={three}"\n'
        f'echo "{_MARK} uptime={four}"\n'
    )
    answers = dict(re.findall(rf"^{_MARK} (\w+)=(.*)$", said, re.MULTILINE))
    date_ns = NANOSECONDS.parse(answers.get("date", ""))
    before_ns, after_ns = (MICROSECONDS.parse(answers.get(word, "")) for word in ("before", "after"))
    has_uptime = UPTIME.parse(answers.get("uptime", "")) is not None
    if before_ns is not None and after_ns is not None:
        same = date_ns is None or before_ns <= date_ns <= after_ns + MICROSECONDS.step_ns
        return PhoneClocks(MICROSECONDS if same else NANOSECONDS, MICROSECONDS)
    if date_ns is not None:
        return PhoneClocks(NANOSECONDS, NANOSECONDS)
    if SECONDS.parse(answers.get("seconds", "")) is not None:
        return PhoneClocks(SECONDS, UPTIME if has_uptime else None)
    raise CameraError("the phone's clock cannot be read: `date +%s` prints no number", "use another phone")


def _parse(said: str, clocks: Sequence[DeviceClock]) -> list[int | None]:
    """Return what a probe says, one time per clock."""
    for line in said.split("\n"):
        words = line.split()
        if words[:1] == [_MARK] and len(words) == len(clocks) + 1:
            return [clock.parse(word) for clock, word in zip(clocks, words[1:], strict=True)]
    return [None] * len(clocks)
