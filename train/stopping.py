"""Ctrl-C and SIGTERM held back until work stands at a place where it can be saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, notes the first SIGINT or SIGTERM instead of obeying it; leaving passes it on.

    A second signal is obeyed at once. Outside the main thread nothing is held back: signals do not arrive there.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS} if in_main else {}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        if self.received is not None:
            signal.raise_signal(self.received)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            self._restore()
            signal.raise_signal(number)
        self.received = number

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
