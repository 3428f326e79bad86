"""What the devices' threads tell the session's thread, in order, with nothing lost to Ctrl-C."""

from __future__ import annotations

from collections import deque
from threading import Event as Signal

from dpedkit.capture.events import Event


class Inbox:
    """Events that wait to be dealt with.

    An event stays the first until `drop` says that it was dealt with. `queue.SimpleQueue.get` would take it out
    before its caller holds it: a Ctrl-C just then would lose it, and the corpus would never hear of a photo.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._arrived = Signal()

    def put(self, event: Event) -> None:
        """Add an event; any thread may."""
        self._events.append(event)
        self._arrived.set()

    def first(self) -> Event:
        """Wait for an event and return it, without taking it out."""
        while not self._events:
            self._arrived.wait()
            self._arrived.clear()  # before the next look at the events: what comes after it sets it again
        return self._events[0]

    def drop(self) -> None:
        """Take out the first event: it was dealt with."""
        self._events.popleft()

    def __bool__(self) -> bool:
        """Whether an event waits."""
        return bool(self._events)
