"""One camera and the one thread that talks to it.

The thread does one thing at a time, the most urgent first: what it is asked for (above all: fire), then looking for
the photos that are owed, then pulling them piece by piece, then comparing clocks and keeping the camera awake. No
pull, however long, keeps a shot waiting for more than a piece.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from dpedkit.capture.camera import Camera, ClockOffset
from dpedkit.capture.collector import Collector, Tell
from dpedkit.capture.events import Fired, Stray
from dpedkit.capture.inspection import Condition, explained
from dpedkit.capture.orders import Order
from dpedkit.capture.rig import Device
from dpedkit.capture.shot import UNKNOWN_STAMP_LAG, StampLag, StoredPhoto
from dpedkit.errors import CameraError, DpedError, StorageError
from dpedkit.files import sha256_file

T = TypeVar("T")

_log = logging.getLogger(__name__)

_PULL_S = 0.25  # pulling goes on this long before the next look for new photos
_CLOCK_EVERY_S = 3.0
_AWAKE_EVERY_S = 10.0
_INFO_EVERY_S = 30.0
_LATE_LOOK_EVERY_S = 1.0  # for photos of shots that were given up
_RECONNECT_EVERY_S = 1.0
_RETURN_S = 3.0  # a shot waits this long for a device that was lost; longer, and it is fired without
_AFTER_FAILED_FIRE_S = 5.0  # a release that failed may have been heard all the same
_IDLE_S = 0.1
_FIRE_LEAD_NS = 400_000_000  # the camera is left to `fire` this long before the release; it waits better than we do
_LONG_DUTY_NS = 1_500_000_000  # what may take this long is not begun when a release is nearer


@dataclass(frozen=True, slots=True)
class Handling:
    """How one device is fired and its photos are read.

    lag_ns  from the release command to the open shutter: it is fired this much earlier
    stamp   how much later than its shutter it stamps its photos
    """

    lag_ns: int = 0
    stamp: StampLag = UNKNOWN_STAMP_LAG


class Worker:
    """A camera of a rig, on a thread of its own. Every method may be called from any thread.

    folder  where its photos are stored
    tell    is called on the worker's thread with each thing that happens
    """

    def __init__(
        self,
        device: Device,
        camera: Camera,
        folder: Path,
        tell: Tell,
        *,
        handling: Handling | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.device = device
        self.handling = handling or Handling(device.lag_ns)
        self._camera = camera
        self._tell = tell
        self._clock_ns = clock_ns
        self._collector = Collector(device, camera, folder, tell, self.handling.stamp)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._next: Order | None = None
        self._connected = self._is_given_up = False
        self._due_s: dict[str, float] = {}
        self._thread = Thread(target=self._run, name=f"camera-{device.name}", daemon=True)
        self._thread.start()

    # What others ask for.

    def call(self, job: Callable[[], T]) -> Future[T]:
        """Run `job` on the camera's thread, before everything that nobody asked for."""
        answer: Future[T] = Future()

        def run() -> None:
            if answer.set_running_or_notify_cancel():
                try:
                    answer.set_result(job())
                except BaseException as error:  # whoever asked gets it
                    answer.set_exception(error)

        self._jobs.put(run)
        return answer

    def fire(self, order: Order) -> None:
        """Give the release command at the order's time, then bring its photos over."""
        self._jobs.put(lambda: self._accept(order))

    def close(self) -> None:
        """Stop after the running call, drop what has not come whole, and disconnect; `join` waits for that."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait until the camera is disconnected."""
        self._thread.join()

    @property
    def known_photos(self) -> frozenset[str]:
        """The photos on the device that nobody needs to look at again."""
        return frozenset(self._collector.known)

    # What runs on the camera's thread, by `call`.

    def open(self) -> Condition:
        """Connect and prepare the camera; the photos that are on it now belong to no shot to come.

        Raises:
            CameraNotFound: it does not answer.
            CameraError: it does not take a setting.
        """
        self._connect()
        with explained(self.device.name):
            photos, info, trouble = self._camera.list_photos(), self._camera.info(), self._camera.diagnose()
        self._collector.known |= {photo.path for photo in photos}
        self._collector.news(info)
        return Condition(self.device.name, info=info, clock=self._collector.clock, photos=photos, trouble=trouble)

    def resume(self, orders: Sequence[Order], known: Sequence[str], stored: Mapping[str, int]) -> None:
        """Take over the orders of an earlier process; `collect` then brings over what they are owed.

        orders  of this device in that session, in the order in which they were fired
        known   the photos that were on it before the session, and those that are stored
        stored  SHA-256 of those that are stored -> the number of the shot: where they lay may not be known
        """
        self._collector.take_over(orders, known, stored)

    def arm(self) -> ClockOffset | None:
        """Return the camera's clock against the host's; a device that was lost is waited for a little, once."""
        patience_s = time.monotonic() + (0 if self._is_given_up else _RETURN_S)
        while not self._connected:
            try:
                self._connect()
            except DpedError:
                if time.monotonic() > patience_s:
                    self._is_given_up = True
                    raise
                time.sleep(_IDLE_S)
        return self._collector.clock

    def collect(self) -> None:
        """Bring over everything on the device that a shot waits for; returns when there is no more.

        Raises:
            CameraError, StorageError: what was brought over until then is kept.
        """
        quiet = 0
        while quiet < 2:  # a file that still grows shows its final size in the second look
            with explained(self.device.name):
                quiet = 0 if self._collector.look() else quiet + 1
                while self._collector.is_pulling:
                    self._collector.pull()

    def delete(self, photo: StoredPhoto) -> None:
        """Remove a photo from the device if what is stored here is what was pulled."""
        try:
            if sha256_file(photo.path) != photo.sha256:
                raise CameraError(f"{photo.path} is not what {self.device.name} gave")
            with explained(self.device.name):
                self._camera.delete(photo.on_device)
        except (DpedError, OSError) as error:
            self._tell(Stray(self.device.name, photo.on_device, f"it was not deleted: {error}"))

    # The thread.

    def _run(self) -> None:
        while True:
            if self._next is not None and self._left_ns <= _FIRE_LEAD_NS:
                order, self._next = self._next, None
                self._fire(order)
            try:
                job = self._jobs.get(block=not self._has_duty, timeout=self._idle_s)
            except Empty:
                self._do_duty()
                continue
            if job is None:
                break
            job()
        self._collector.stop()
        self._disconnect()

    @property
    def _left_ns(self) -> int:
        """How long it is to the next release."""
        return self._next.release_ns - self._clock_ns() if self._next else 1 << 62

    @property
    def _idle_s(self) -> float:
        return min(_IDLE_S, max(0, self._left_ns - _FIRE_LEAD_NS) / 1e9)

    @property
    def _has_duty(self) -> bool:
        return self._connected and bool(self._collector.is_pulling or self._collector.debts)

    def _do_duty(self) -> None:
        """Do the most urgent thing that nobody asked for."""
        collector = self._collector
        try:
            with explained(self.device.name):
                if self._connected:
                    self._serve()
                elif (collector.debts or collector.is_pulling) and self._is_due("reconnect", _RECONNECT_EVERY_S):
                    self._connect()
        except StorageError as error:
            collector.give_up_all(error)
        except DpedError as error:
            self._lose(error)
        collector.give_up_late(self._why)

    def _serve(self) -> None:
        collector = self._collector
        if collector.debts or (collector.has_unpaid and self._is_due("late", _LATE_LOOK_EVERY_S)):
            collector.look()
        if collector.is_pulling:
            pause_s = time.monotonic() + _PULL_S
            while collector.is_pulling and self._jobs.empty() and time.monotonic() < pause_s:
                collector.pull()
            return
        # Nothing long is begun when a release may come at any moment: only while a photo, or a far shot, is waited for.
        if collector.debts or (self._next and self._left_ns > _LONG_DUTY_NS):
            if collector.clock is not None and self._is_due("clock", _CLOCK_EVERY_S):
                collector.clock = self._camera.clock_offset()
            elif self._is_due("info", _INFO_EVERY_S):
                collector.news(self._camera.info())
        elif self._is_due("awake", _AWAKE_EVERY_S):
            self._camera.keep_awake()

    def _accept(self, order: Order) -> None:
        self._next = order

    def _fire(self, order: Order) -> None:
        debt = self._collector.owe(order, time.monotonic() + order.patience_s)
        order.clock = self._collector.clock
        try:
            with explained(self.device.name):
                if not self._connected:
                    raise CameraError(f"{self.device.name} is not connected", "check its cable")
                order.release = self._camera.fire(order.release_ns)
        except DpedError as error:
            debt.error = error
            debt.deadline_s = time.monotonic() + min(order.patience_s, _AFTER_FAILED_FIRE_S)
            self._lose(error)
            return
        debt.deadline_s = time.monotonic() + order.patience_s
        self._tell(Fired(self.device.name, order.plan.number, order.release))
        self._collector.news()

    def _why(self) -> str:
        """Ask the device why a photo did not come."""
        try:
            with explained(self.device.name):
                return self._camera.diagnose() if self._connected else "it is not connected"
        except DpedError as error:
            self._lose(error)
            return ""

    def _lose(self, error: DpedError) -> None:
        """Hang up on a device that failed; it is connected anew when it is needed."""
        _log.debug("%s: lost: %s", self.device.name, error)
        self._disconnect()
        self._collector.lose(error)

    def _connect(self) -> None:
        self._disconnect()
        with explained(self.device.name):
            self._camera.open()
            self._camera.prepare()
            self._collector.clock = self._camera.clock_offset()
        self._due_s |= {"clock": time.monotonic() + _CLOCK_EVERY_S, "info": time.monotonic() + _INFO_EVERY_S}
        self._connected, self._is_given_up = True, False
        self._collector.news()

    def _disconnect(self) -> None:
        self._connected = False
        try:
            self._camera.close()
        except Exception:  # closing what is broken may fail in any way
            _log.debug("%s: closing failed", self.device.name, exc_info=True)

    def _is_due(self, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s.get(what, 0):
            return False
        self._due_s[what] = now_s + every_s
        return True
