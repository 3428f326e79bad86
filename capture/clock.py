"""A device's clock against ours, over a session: the worst case over every clock that fits all that was seen.

A comparison gives a window in which the offset certainly lay at one moment. The offset is taken for a straight line
over the last minutes, offset(t) = offset + drift * t, for quartz wanders slowly. Each window cuts two half-planes from
the plane of (drift, offset); what is left is a convex polygon, and the extremes of anything linear lie at its corners.
This is set-membership estimation (Schweppe 1968), exact in two dimensions. No input, no output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dpedkit.capture.camera import ClockOffset

_MOST_WINDOWS = 64


class _Window(NamedTuple):
    """At at_ns the offset lay between low_ns and high_ns."""

    low_ns: int
    high_ns: int
    at_ns: int


class _Corner(NamedTuple):
    """A clock that may be: its drift, and its offset at the first window's moment minus that window's middle, ns."""

    drift: float
    offset_ns: float

    def ahead_ns(self, away_ns: int) -> float:
        """The offset `away_ns` after the first window."""
        return self.offset_ns + self.drift * away_ns


class ClockModel:
    """What is known of a device's clock (device minus host).

    most_drift  how much faster or slower than ours it may run: 100e-6 is 100 us a second
    memory_s    a window older than this is forgotten: no quartz keeps its drift for ever
    """

    def __init__(self, most_drift: float, memory_s: float = 600.0) -> None:
        self._most_drift = most_drift
        self._memory_ns = round(memory_s * 1e9)
        self._windows: list[_Window] = []
        self._corners: Sequence[_Corner] = ()

    @property
    def known(self) -> bool:
        """Whether there is any window to go by."""
        return bool(self._windows)

    def add(self, low_ns: int, high_ns: int, at_ns: int) -> bool:
        """Take a window: at `at_ns` (host, ns) the offset was certainly between the two.

        Returns whether it agrees with the ones before. Where it does not, a clock was set: the window stands alone.

        Raises:
            ValueError: low_ns is above high_ns.
        """
        if low_ns > high_ns:
            raise ValueError(f"a window from {low_ns} to {high_ns} ns is none")
        new = _Window(low_ns, high_ns, at_ns)
        windows = [*(old for old in self._windows if abs(at_ns - old.at_ns) <= self._memory_ns), new]
        corners = self._fit(windows)
        agrees = bool(corners)
        if not agrees:
            windows = [new]
            corners = self._fit(windows)
        elif len(windows) > _MOST_WINDOWS:
            windows.remove(self._least_informative(windows, corners))
            corners = self._fit(windows)
        self._windows, self._corners = windows, corners
        return agrees

    def at(self, host_ns: int) -> ClockOffset:
        """Return offset and drift at a moment (host, ns), with bounds that hold for every line through all windows.

        Raises:
            ValueError: no window was added.
        """
        if not self._windows:
            raise ValueError("the clocks were never compared")
        first = self._windows[0]
        away_ns = host_ns - first.at_ns
        offsets_ns = [corner.ahead_ns(away_ns) for corner in self._corners]
        drifts = [corner.drift for corner in self._corners]
        low_ns, high_ns = math.floor(min(offsets_ns)), math.ceil(max(offsets_ns))
        middle_ns = (low_ns + high_ns) // 2
        return ClockOffset(
            offset_ns=_middle_ns(first) + middle_ns,
            bound_ns=high_ns - middle_ns + 1,  # 1: what the floats of the corners lost
            at_ns=host_ns,
            drift=(min(drifts) + max(drifts)) / 2,
            drift_bound=(max(drifts) - min(drifts)) / 2,
        )

    def _fit(self, windows: Sequence[_Window]) -> Sequence[_Corner]:
        """Return the corners of all lines that pass through every window; none where no line does."""
        first = windows[0]
        middle_ns = _middle_ns(first)
        low, high = first.low_ns - middle_ns, first.high_ns - middle_ns
        most = self._most_drift
        corners = [_Corner(-most, low), _Corner(most, low), _Corner(most, high), _Corner(-most, high)]
        for window in windows[1:]:
            away_ns = window.at_ns - first.at_ns
            corners = _cut(corners, away_ns, window.high_ns - middle_ns, 1)
            corners = _cut(corners, away_ns, window.low_ns - middle_ns, -1)
        return corners

    def _least_informative(self, windows: Sequence[_Window], corners: Sequence[_Corner]) -> _Window:
        """Return a window that no line touches, else the oldest; never the first, which the corners stand on."""
        first = windows[0]
        middle_ns = _middle_ns(first)
        for window in windows[1:-1]:
            ahead_ns = [middle_ns + corner.ahead_ns(window.at_ns - first.at_ns) for corner in corners]
            if min(ahead_ns) - 1 > window.low_ns and max(ahead_ns) + 1 < window.high_ns:
                return window
        return windows[1]


def _middle_ns(window: _Window) -> int:
    return (window.low_ns + window.high_ns) // 2


def _cut(corners: Sequence[_Corner], away_ns: int, limit_ns: float, sign: int) -> list[_Corner]:
    """Keep the part of a convex polygon whose offset after away_ns is at most limit_ns (sign 1) or at least (-1)."""
    kept: list[_Corner] = []
    above = [sign * (corner.ahead_ns(away_ns) - limit_ns) for corner in corners]
    for here, (corner, over) in enumerate(zip(corners, above, strict=True)):
        before, over_before = corners[here - 1], above[here - 1]
        if (over > 0) != (over_before > 0):
            share = over_before / (over_before - over)
            kept.append(
                _Corner(
                    before.drift + share * (corner.drift - before.drift),
                    before.offset_ns + share * (corner.offset_ns - before.offset_ns),
                )
            )
        if over <= 0:
            kept.append(corner)
    return kept
