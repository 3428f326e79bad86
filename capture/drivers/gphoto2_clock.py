"""The offset of a clock that shows whole seconds, narrowed by every reading."""

from __future__ import annotations

from dpedkit.capture.camera import ClockOffset

_SECOND_NS = 1_000_000_000
_MOST_DRIFT = 50e-6
"""How fast the clock of a camera may run from the host's."""


class SecondsClock:
    """Knows between which two offsets (device minus host, ns) a clock must lie.

    A reading of S at host time t says that S <= t + offset < S + 1 s. Readings on both sides of a tick leave an
    interval as narrow as the time between them; it widens with age, as clocks drift.
    """

    def __init__(self) -> None:
        self._low_ns = self._high_ns = 0
        self._read_ns: int | None = None

    def add(self, shown_s: int, before_ns: int, after_ns: int) -> None:
        """Take in a reading.

        shown_s              what the clock showed, s since the epoch
        before_ns, after_ns  host time between which it was read, ns
        """
        low_ns, high_ns = shown_s * _SECOND_NS - after_ns, (shown_s + 1) * _SECOND_NS - before_ns
        if self._read_ns is not None:
            aged_ns = round((after_ns - self._read_ns) * _MOST_DRIFT)
            narrowed_low_ns = max(low_ns, self._low_ns - aged_ns)
            narrowed_high_ns = min(high_ns, self._high_ns + aged_ns)
            if narrowed_low_ns <= narrowed_high_ns:  # else someone has set the clock: begin anew
                low_ns, high_ns = narrowed_low_ns, narrowed_high_ns
        self._low_ns, self._high_ns, self._read_ns = low_ns, high_ns, after_ns

    def offset(self) -> ClockOffset:
        """Return the middle of the interval and half its width."""
        return ClockOffset((self._low_ns + self._high_ns) // 2, (self._high_ns - self._low_ns + 1) // 2)
