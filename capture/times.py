"""A stretch of time in which something certainly happened, on the host's clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Between these two, host wall clock, ns."""

    low_ns: int
    high_ns: int

    @property
    def middle_ns(self) -> int:
        """Halfway."""
        return (self.low_ns + self.high_ns) // 2
