"""What a session is asked for, and which shot comes next."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from dpedkit.capture.shot import ShotRequest
from dpedkit.stages.recording import ShotSummary


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session is asked for.

    shots        how many good ones
    interval_s   from shot to shot, at least
    countdown_s  before the first
    retry        how often a shot that is incomplete or over the skew threshold is fired again
    delete       whether photos are deleted on the devices once they are stored and verified here
    name         what its shots' keys begin with; None: the time
    """

    shots: int = 1
    interval_s: float = 0.0
    scene: str = ""
    countdown_s: float = 0.0
    retry: int = 0
    delete: bool = False
    name: str | None = None


class Requests:
    """Which shot comes next: those that are wanted, and bad ones again.

    first   number of the first
    before  the session's shots that were fired by another process
    """

    def __init__(self, wish: Wish, first: int = 1, before: Sequence[ShotSummary] = ()) -> None:
        self.wish = wish
        self._number = first
        whole = {shot.retry_of or shot.key for shot in before if shot.status == "complete"}
        begun = [shot for shot in before if shot.retry_of is None]
        self._missing = wish.shots - len(begun)
        self._again = deque(_number(shot.key) for shot in begun if shot.key not in whole)
        self._tries: Counter[int] = Counter()
        self._original: dict[int, int] = {}
        self._unsettled: set[int] = set()
        self._not_before_ns = time.time_ns() + round(wish.countdown_s * 1e9)

    @property
    def count(self) -> int:
        """How many shots are still to be fired, if all are good."""
        return len(self._again) + max(0, self._missing)

    def next(self) -> ShotRequest | None:
        """Return the next shot; None: no more, or not before it is known whether the last one was good."""
        if not self.count or (self.wish.retry and self._unsettled):
            return None
        original = self._again.popleft() if self._again else None
        self._missing -= original is None
        request = ShotRequest(self._number, self.wish.scene, self._not_before_ns, original)
        self._original[request.number] = original or request.number
        self._unsettled.add(request.number)
        self._number += 1
        return request

    def planned(self, at_ns: int) -> None:
        """Note when the last shot is fired."""
        self._not_before_ns = max(self._not_before_ns, at_ns + round(self.wish.interval_s * 1e9))

    def settled(self, number: int, shot: ShotSummary) -> None:
        """Note how a shot came out; a bad one is fired again as often as it is wished."""
        if number not in self._unsettled:
            return
        self._unsettled.discard(number)
        original = self._original[number]
        if not shot.is_good and self._tries[original] < self.wish.retry:
            self._tries[original] += 1
            self._again.append(original)


def _number(key: str) -> int:
    return int(key.rpartition("/")[2])
