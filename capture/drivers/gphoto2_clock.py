"""A camera's clock, which shows whole seconds, against ours."""

from __future__ import annotations

import time
from collections.abc import Callable

from dpedkit.capture.camera import ClockOffset
from dpedkit.capture.clock import ClockModel

_SECOND_NS = 1_000_000_000
_MOST_DRIFT = 50e-6  # four seconds a day, twice what cameras' makers allow
_TICK_PATIENCE_NS = 1_300_000_000
_TICK_NS = 250_000_000  # a tick so near is waited for
_POLL_S = 0.005
_FINE_NS = 25_000_000
_MARGIN_NS = 2_000_000
_MOST_LEAPS = 2


class SecondsClock:
    """Compares the clocks. A reading of S at host time t says that S <= t + offset < S + 1 s.

    Readings on both sides of a tick leave a window as narrow as the time between them.

    read      asks the camera: s since the epoch
    clock_ns  the host's wall clock
    """

    def __init__(self, read: Callable[[], int], clock_ns: Callable[[], int]) -> None:
        self._read = read
        self._clock_ns = clock_ns
        self._model = ClockModel(_MOST_DRIFT)
        self._leaps = 0

    @property
    def is_clock(self) -> bool:
        """Whether it behaves like one. Some cameras only tell what it was when they were asked first."""
        return self._leaps <= _MOST_LEAPS

    def compare(self) -> ClockOffset | None:
        """Return the offset; the first time it waits for two ticks, 2.3 s at most, later only for one that is near.

        None where no clock is seen ticking.
        """
        if not self.is_clock:
            return None
        first = self._look()
        known = self._model.at(self._clock_ns())
        if known.bound_ns > _FINE_NS:
            given_up_ns = self._clock_ns() + _TICK_PATIENCE_NS
            while self._look() == first:
                if self._clock_ns() > given_up_ns:
                    self._leaps = _MOST_LEAPS + 1
                    return None
                time.sleep(_POLL_S)
            self._watch_tick(after_ns=_SECOND_NS // 2)  # not the one that has just been seen
        elif self._to_tick_ns(known) - known.bound_ns < _TICK_NS:
            self._watch_tick()
        return self._model.at(self._clock_ns()) if self.is_clock else None

    def _watch_tick(self, after_ns: int = 0) -> None:
        """Ask as often as it answers while the next tick must come: its moment is then known to one answer's time."""
        time.sleep(after_ns / 1e9)
        known = self._model.at(self._clock_ns())
        time.sleep(max(0, self._to_tick_ns(known) - known.bound_ns - _MARGIN_NS) / 1e9)
        first = self._look()
        given_up_ns = self._clock_ns() + 2 * (known.bound_ns + _MARGIN_NS)
        while self._look() == first and self._clock_ns() < given_up_ns:
            pass

    def _to_tick_ns(self, known: ClockOffset) -> int:
        return -(self._clock_ns() + known.offset_ns) % _SECOND_NS

    def _look(self) -> int:
        before_ns = self._clock_ns()
        shown_s = self._read()
        after_ns = self._clock_ns()
        low_ns, high_ns = shown_s * _SECOND_NS - after_ns, (shown_s + 1) * _SECOND_NS - before_ns
        if not self._model.add(low_ns, high_ns, (before_ns + after_ns) // 2):
            self._leaps += 1  # someone has set it, or what we were told was old
        return shown_s
