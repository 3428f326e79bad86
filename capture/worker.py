"""One camera and the one thread that talks to it.

The thread does one thing at a time, the most urgent first: what it is asked for (above all: fire), then looking for
the photos that are owed, then pulling them piece by piece, then comparing clocks and keeping the camera awake. No
pull, however long, keeps a shot waiting for more than a piece.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from dpedkit.capture.camera import Camera, CameraFile, CameraInfo, ClockOffset
from dpedkit.capture.events import DeviceNews, Event, Failed, Fired, Ready, State, Stored, Stray
from dpedkit.capture.incoming import Incoming, Looked
from dpedkit.capture.orders import RAW, Nobodys, Order, suffix_of, whose
from dpedkit.capture.rig import Device
from dpedkit.capture.shot import UNKNOWN_STAMP_LAG, ShutterTime, StampLag, StoredPhoto, shutter_time
from dpedkit.errors import CameraError, CameraTimeout, DpedError, PullFailed, StorageError
from dpedkit.files import sha256_file

T = TypeVar("T")
Tell = Callable[[Event], None]

_log = logging.getLogger(__name__)

_PULL_S = 0.25  # pulling goes on this long before the next look for new photos
_CLOCK_EVERY_S = 5.0
_AWAKE_EVERY_S = 10.0
_INFO_EVERY_S = 60.0
_LATE_LOOK_EVERY_S = 1.0  # for photos of shots that were given up
_RECONNECT_EVERY_S = 1.0
_AFTER_FAILED_FIRE_S = 5.0  # a release that failed may have been heard all the same
_IDLE_S = 0.1


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
        self._folder = folder
        self._tell = tell
        self._clock_ns = clock_ns
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._orders: list[Order] = []
        self._open_orders: list[_Open] = []
        self._incoming: deque[Incoming] = deque()
        self._known: set[str] = set()
        self._stored: dict[str, int] = {}
        self._clock: ClockOffset | None = None
        self._connected = False
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
        self._jobs.put(lambda: self._fire(order))

    def close(self) -> None:
        """Stop after the running call, drop what has not come whole, and disconnect; `join` waits for that."""
        self._jobs.put(None)

    def join(self) -> None:
        """Wait until the camera is disconnected."""
        self._thread.join()

    @property
    def known_photos(self) -> frozenset[str]:
        """The photos on the device that nobody needs to look at again."""
        return frozenset(self._known)

    # What runs on the camera's thread, by `call`.

    def open(self) -> None:
        """Connect and prepare the camera; the photos that are on it now belong to no shot to come.

        Raises:
            CameraNotFound: it does not answer.
            CameraError: it does not take a setting.
        """
        self._connect()
        with _explained(self.device.name):
            self._known |= {photo.path for photo in self._camera.list_photos()}
            self._news(info=self._camera.info())

    def resume(self, orders: Sequence[Order], known: Collection[str], stored: Mapping[str, int]) -> None:
        """Take over the orders of an earlier process; `collect` then brings over what they are owed.

        orders  of this device in that session, in the order in which they were fired
        known   the photos that were on it before the session, and those that are stored
        stored  SHA-256 of those that are stored -> the number of the shot: where they lay may not be known
        """
        self._orders = list(orders)
        self._known = set(known)
        self._stored = dict(stored)

    def ask(self) -> tuple[CameraInfo, ClockOffset | None]:
        """Connect and ask the camera who it is, changing nothing."""
        with _explained(self.device.name):
            self._camera.open()
            return self._camera.info(), self._camera.clock_offset()

    def arm(self) -> ClockOffset | None:
        """Return the camera's clock against the host's; a device that was lost is connected anew."""
        if not self._connected:
            self._connect()
        return self._clock

    def collect(self) -> None:
        """Bring over everything on the device that a shot waits for; returns when there is no more.

        Raises:
            CameraError, StorageError: what was brought over until then is kept.
        """
        quiet = 0
        while quiet < 2 or self._incoming:
            with _explained(self.device.name):
                quiet = 0 if self._look() else quiet + 1
                while self._incoming:
                    self._pull()

    def delete(self, photo: StoredPhoto) -> None:
        """Remove a photo from the device if what is stored here is what was pulled."""
        try:
            if sha256_file(photo.path) != photo.sha256:
                raise CameraError(f"{photo.path} is not what {self.device.name} gave")
            with _explained(self.device.name):
                self._camera.delete(photo.on_device)
        except (DpedError, OSError) as error:
            self._tell(Stray(self.device.name, photo.on_device, f"it was not deleted: {error}"))

    # The thread.

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(block=not self._has_duty, timeout=_IDLE_S)
            except Empty:
                self._do_duty()
                continue
            if job is None:
                break
            job()
        for incoming in self._incoming:
            incoming.stop()
        self._disconnect()

    @property
    def _has_duty(self) -> bool:
        return self._connected and bool(self._incoming or self._open_orders)

    def _do_duty(self) -> None:
        """Do the most urgent thing that nobody asked for."""
        try:
            with _explained(self.device.name):
                if self._connected:
                    self._serve()
                elif (self._open_orders or self._incoming) and self._is_due("reconnect", _RECONNECT_EVERY_S):
                    self._connect()
        except StorageError as error:
            self._give_up_all(error)
        except DpedError as error:
            self._lose(error)
        self._give_up_late()

    def _serve(self) -> None:
        if self._open_orders or (self._is_late_looked_for and self._is_due("late", _LATE_LOOK_EVERY_S)):
            self._look()
        if self._incoming:
            pause_s = time.monotonic() + _PULL_S
            while self._incoming and self._jobs.empty() and time.monotonic() < pause_s:
                self._pull()
        elif self._clock is not None and self._is_due("clock", _CLOCK_EVERY_S):
            self._clock = self._camera.clock_offset()
        elif not self._open_orders and self._is_due("awake", _AWAKE_EVERY_S):
            self._camera.keep_awake()
        elif not self._open_orders and self._is_due("info", _INFO_EVERY_S):
            self._news(info=self._camera.info())

    @property
    def _is_late_looked_for(self) -> bool:
        return any(not order.is_paid for order in self._orders[-3:])

    def _fire(self, order: Order) -> None:
        self._orders.append(order)
        open_order = _Open(order, time.monotonic() + order.patience_s)
        self._open_orders.append(open_order)
        try:
            with _explained(self.device.name):
                if not self._connected:
                    raise CameraError(f"{self.device.name} is not connected", "check its cable")
                order.release = self._camera.fire(order.release_ns)
        except DpedError as error:
            open_order.error = error
            open_order.deadline_s = time.monotonic() + min(order.patience_s, _AFTER_FAILED_FIRE_S)
            self._lose(error)
            return
        late_ms = (order.release.earliest_ns - order.release_ns) / 1e6
        open_order.deadline_s = time.monotonic() + order.patience_s
        self._tell(Fired(self.device.name, order.plan.number, order.release, late_ms))
        self._news()

    def _look(self) -> bool:
        """Look for new photos; return whether there are any."""
        found = self._ripe(self._camera.new_photos(self._known))
        for photo in found:
            self._known.add(photo.path)
            self._incoming.append(Incoming(self._camera, photo, self._folder))
        if found:
            self._news()
        if found and self._open_orders:
            newest = self._open_orders[-1]
            newest.found += len(found)
            if newest.found >= len(newest.order.owed) and len(self._open_orders) == 1:
                self._say_ready(newest)
        return bool(found)

    def _ripe(self, found: Sequence[CameraFile]) -> list[CameraFile]:
        """Return the photos to pull now: a RAW after its picture, which tells whose it is."""
        found = [photo for photo in found if photo.path not in self._known]
        has_picture = any(suffix not in RAW for suffix in self.device.suffixes)
        pictures = [photo for photo in sorted(found) if suffix_of(photo) not in RAW or not has_picture]
        stems = {path.rpartition(".")[0] for path in self._known} | {_stem(photo) for photo in pictures}
        raws = [photo for photo in sorted(found) if photo not in pictures and _stem(photo) in stems]
        return pictures + raws

    def _pull(self) -> None:
        """Take one piece of the first photo that waits; attach it to its shot when it is whole."""
        incoming = self._incoming[0]
        try:
            if not incoming.step():
                return
            looked = incoming.look()
        except PullFailed as error:
            if incoming.may_try_again:
                _log.debug("%s: pulling again: %s", self.device.name, error.cause)
                if not self._open_orders:
                    return
                self._open_orders[-1].error = error
                return
            self._incoming.popleft()
            self._give_up_oldest(error)
            return
        self._incoming.popleft()
        self._attach(incoming, looked)

    def _attach(self, incoming: Incoming, looked: Looked) -> None:
        photo = incoming.photo
        if looked.sha256 in self._stored:  # its row was lost with the process that stored it
            incoming.stop()
            for order in self._orders:
                if order.plan.number == self._stored[looked.sha256]:
                    order.paid[suffix_of(photo)] = photo.path
            return
        shutter = self._shutter(looked, self._clock, self._about_ns(photo))
        order = whose(photo, shutter, self._orders)
        if isinstance(order, Nobodys):
            incoming.stop()
            self._tell(Stray(self.device.name, photo, order.why))
            return
        if order.clock is not None:  # as it was then
            shutter = self._shutter(looked, order.clock, order.plan.at_ns)
        path = self._folder / f"{order.plan.number:04d}_{self.device.name}{suffix_of(photo)}"
        if path.exists() and sha256_file(path) != looked.sha256:
            incoming.stop()
            self._tell(Stray(self.device.name, photo, f"{path.name} is there already, and is another photo"))
            return
        incoming.store(path)
        order.paid[suffix_of(photo)] = photo.path
        stored = StoredPhoto(
            device=self.device.name,
            role=self.device.role,
            number=order.plan.number,
            path=path,
            on_device=photo,
            sha256=looked.sha256,
            release=order.release,
            meta=looked.meta,
            colour=looked.colour,
            shutter=shutter,
            damage=looked.damage,
        )
        self._tell(Stored(stored))
        for open_order in [known for known in self._open_orders if known.order is order]:
            if order.is_paid:
                self._say_ready(open_order)
                self._open_orders.remove(open_order)
        self._news()

    def _shutter(self, looked: Looked, clock: ClockOffset | None, near_ns: int) -> ShutterTime | None:
        if looked.meta is None or looked.meta.taken_at is None or clock is None:
            return None
        return shutter_time(looked.meta.taken_at, looked.meta.taken_step, clock, near_ns, self.handling.stamp)

    def _about_ns(self, photo: CameraFile) -> int:
        """Return when a photo was taken, to a few minutes and whole quarters of an hour."""
        if photo.written_s is None or self._clock is None:
            return self._clock_ns()
        return photo.written_s * 1_000_000_000 - self._clock.offset_ns

    # What goes wrong.

    def _give_up_late(self) -> None:
        now_s = time.monotonic()
        for late in [known for known in self._open_orders if now_s > known.deadline_s]:
            self._give_up(late, late.error or self._nothing_came(late))

    def _give_up_oldest(self, error: DpedError) -> None:
        if self._open_orders:
            self._give_up(self._open_orders[0], error)

    def _give_up_all(self, error: DpedError) -> None:
        for incoming in self._incoming:
            incoming.stop()
        self._incoming.clear()
        for unpaid in list(self._open_orders):
            self._give_up(unpaid, error)

    def _give_up(self, unpaid: _Open, error: DpedError) -> None:
        self._open_orders.remove(unpaid)
        self._tell(Failed(self.device.name, unpaid.order.plan.number, error))
        self._news()

    def _nothing_came(self, late: _Open) -> CameraTimeout:
        missing = " and ".join(suffix for suffix in late.order.owed if suffix not in late.order.paid)
        reason = ""
        if self._connected:
            try:
                with _explained(self.device.name):
                    reason = self._camera.diagnose()
            except DpedError as error:
                self._lose(error)
        return CameraTimeout(
            f"{self.device.name}: no {missing} photo within {late.order.patience_s:g} s{reason and f': {reason}'}",
            "look at its screen; a photo that comes later is still attached to its shot",
        )

    def _lose(self, error: DpedError) -> None:
        """Hang up on a device that failed; it is connected anew when it is needed."""
        _log.debug("%s: lost: %s", self.device.name, error)
        self._disconnect()
        for unpaid in self._open_orders:
            unpaid.error = unpaid.error or error
        for incoming in list(self._incoming):
            incoming.stop()
            if not incoming.may_try_again:
                self._incoming.remove(incoming)
                self._give_up_oldest(error)
        self._tell(DeviceNews(self.device.name, "lost", len(self._incoming), why=error.cause))

    def _connect(self) -> None:
        self._disconnect()
        with _explained(self.device.name):
            self._camera.open()
            self._camera.prepare()
            self._clock = self._camera.clock_offset()
        self._due_s["clock"] = time.monotonic() + _CLOCK_EVERY_S
        self._connected = True
        self._news()

    def _disconnect(self) -> None:
        self._connected = False
        try:
            self._camera.close()
        except Exception:  # closing what is broken may fail in any way
            _log.debug("%s: closing failed", self.device.name, exc_info=True)

    def _say_ready(self, open_order: _Open) -> None:
        if not open_order.said_ready:
            open_order.said_ready = True
            self._tell(Ready(self.device.name, open_order.order.plan.number))

    def _news(self, info: CameraInfo | None = None) -> None:
        state: State = "pulling" if self._incoming else "waiting" if self._open_orders else "ready"
        self._tell(DeviceNews(self.device.name, state, len(self._incoming), info))

    def _is_due(self, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s.get(what, 0):
            return False
        self._due_s[what] = now_s + every_s
        return True


@dataclass(slots=True)
class _Open:
    """An order whose photos are still waited for."""

    order: Order
    deadline_s: float
    found: int = 0
    said_ready: bool = False
    error: DpedError | None = None


def _stem(photo: CameraFile) -> str:
    return photo.path.rpartition(".")[0]


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what no driver should raise into an error of that device, so that the other devices go on."""
    try:
        yield
    except DpedError:
        raise
    except OSError as error:
        raise CameraError(f"{name}: {error}", "check its cable and run `dpedkit devices`") from error
    except Exception as error:
        raise CameraError(
            f"{name}: its driver failed with {type(error).__name__}: {error}",
            "this is a fault of the driver: please report it with the output of the same command and -vv",
        ) from error
