"""What one device owes, and how it is collected: look for new photos, pull them, attach each to its shot, give up late.

Everything here runs on the device's own thread (worker.py).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dpedkit.capture.camera import Camera, CameraFile, CameraInfo, ClockOffset
from dpedkit.capture.events import DeviceNews, Event, Failed, Ready, State, Stored, Stray
from dpedkit.capture.incoming import Incoming, Looked
from dpedkit.capture.orders import RAW, Nobodys, Order, suffix_of, whose
from dpedkit.capture.rig import Device
from dpedkit.capture.shot import ShutterTime, StampLag, StoredPhoto, shutter_time
from dpedkit.errors import CameraTimeout, DpedError, PullFailed
from dpedkit.files import sha256_file

Tell = Callable[[Event], None]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Debt:
    """An order whose photos are still waited for, until `deadline_s` (monotonic)."""

    order: Order
    deadline_s: float
    found: int = 0
    said_ready: bool = False
    error: DpedError | None = None


class Collector:
    """Brings over a device's photos and pays its debts with them.

    clock   the device's clock, as it was compared last
    known   photos on the device that nobody needs to look at again
    debts   what is waited for, oldest first
    """

    def __init__(self, device: Device, camera: Camera, folder: Path, tell: Tell, stamp: StampLag) -> None:
        self.clock: ClockOffset | None = None
        self.known: set[str] = set()
        self.debts: list[Debt] = []
        self._device, self._camera, self._folder, self._tell, self._stamp = device, camera, folder, tell, stamp
        self._orders: list[Order] = []
        self._stored: dict[str, int] = {}
        self._incoming: deque[Incoming] = deque()
        self._last_news: DeviceNews | None = None

    @property
    def is_pulling(self) -> bool:
        """Whether photos are on their way."""
        return bool(self._incoming)

    @property
    def has_unpaid(self) -> bool:
        """Whether one of the last shots still lacks a photo that was given up: it may come late."""
        return any(not order.is_paid for order in self._orders[-3:])

    def take_over(self, orders: Sequence[Order], known: Collection[str], stored: Mapping[str, int]) -> None:
        """Go on where an earlier process ended; see `Worker.resume`."""
        self._orders = list(orders)
        self.known = set(known)
        self._stored = dict(stored)

    def owe(self, order: Order, deadline_s: float) -> Debt:
        """Note that photos will come for an order."""
        self._orders.append(order)
        self.debts.append(Debt(order, deadline_s))
        return self.debts[-1]

    def look(self) -> bool:
        """Look for new photos; return whether there are any."""
        found = self._ripe(self._camera.new_photos(self.known))
        seen_ns = time.time_ns()
        for photo in found:
            self.known.add(photo.path)
            self._incoming.append(Incoming(self._camera, photo, self._folder, seen_ns))
        if found:
            self.news()
        if found and len(self.debts) == 1:
            self.debts[0].found += len(found)
            if self.debts[0].found >= len(self.debts[0].order.owed):
                self._say_ready(self.debts[0])
        return bool(found)

    def pull(self) -> None:
        """Take one piece of the first photo that waits; attach it to its shot when it is whole.

        Raises:
            CameraError: the connection broke, or what came is not what was announced; see `lose`.
            StorageError: the disk is full.
        """
        incoming = self._incoming[0]
        if not incoming.step():
            return
        try:
            looked = incoming.look()
        except PullFailed as error:  # damaged, perhaps on its way: pull it again
            if not incoming.may_try_again:
                raise
            _log.debug("%s: %s", self._device.name, error.cause)
            return
        self._incoming.popleft()
        self._attach(incoming, looked)

    def lose(self, error: DpedError) -> None:
        """Note that the connection broke: pulls begin anew with the next one, a few times."""
        for debt in self.debts:
            debt.error = debt.error or error
        for incoming in list(self._incoming):
            incoming.stop()
            if not incoming.may_try_again:
                self._incoming.remove(incoming)
                self._give_up_oldest(error)
        self._tell(DeviceNews(self._device.name, "lost", len(self._incoming), why=error.cause))
        self._last_news = None

    def give_up_late(self, why: Callable[[], str]) -> None:
        """Give up what is past its deadline; `why` asks the device what may be wrong."""
        now_s = time.monotonic()
        for late in [debt for debt in self.debts if now_s > debt.deadline_s]:
            self._give_up(late, late.error or self._nothing_came(late, why()))

    def give_up_all(self, error: DpedError) -> None:
        """Give up everything."""
        self.stop()
        for debt in list(self.debts):
            self._give_up(debt, error)

    def stop(self) -> None:
        """Drop what has not come whole."""
        for incoming in self._incoming:
            incoming.stop()
        self._incoming.clear()

    def news(self, info: CameraInfo | None = None) -> None:
        """Tell how the device stands, unless that was the last thing told."""
        state: State = "pulling" if self._incoming else "waiting" if self.debts else "ready"
        news = DeviceNews(self._device.name, state, len(self._incoming), info)
        if news != self._last_news:
            self._last_news = news
            self._tell(news)

    def _ripe(self, found: Sequence[CameraFile]) -> list[CameraFile]:
        """Return the photos to pull now: a RAW after its picture, which tells whose it is."""
        found = [photo for photo in found if photo.path not in self.known]
        has_picture = any(suffix not in RAW for suffix in self._device.suffixes)
        pictures = [photo for photo in sorted(found) if suffix_of(photo) not in RAW or not has_picture]
        stems = {path.rpartition(".")[0] for path in self.known} | {_stem(photo) for photo in pictures}
        raws = [photo for photo in sorted(found) if photo not in pictures and _stem(photo) in stems]
        return pictures + raws

    def _attach(self, incoming: Incoming, looked: Looked) -> None:
        """Store a photo as what it is: of one shot, or of none."""
        photo = incoming.photo
        if looked.sha256 in self._stored:  # its row was lost with the process that stored it
            incoming.stop()
            for paid in self._orders:
                if paid.plan.number == self._stored[looked.sha256]:
                    paid.paid[suffix_of(photo)] = photo.path
            return
        shutter = self._shutter(looked, self.clock, self._about_ns(photo))
        order = whose(photo, shutter, self._orders, incoming.seen_ns)
        path = self._folder / _name(order, self._device.name, photo)
        if isinstance(order, Nobodys) or (path.exists() and sha256_file(path) != looked.sha256):
            incoming.stop()
            why = order.why if isinstance(order, Nobodys) else f"{path.name} is there already, and is another photo"
            self._tell(Stray(self._device.name, photo, why))
            return
        if order.clock is not None:  # as it was then
            shutter = self._shutter(looked, order.clock, order.plan.at_ns)
        incoming.store(path)
        order.paid[suffix_of(photo)] = photo.path
        self._tell_stored(order, photo, path, looked, shutter)
        for debt in [debt for debt in self.debts if debt.order is order and order.is_paid]:
            self._say_ready(debt)
            self.debts.remove(debt)
        self.news()

    def _tell_stored(
        self, order: Order, photo: CameraFile, path: Path, looked: Looked, shutter: ShutterTime | None
    ) -> None:
        stored = StoredPhoto(
            device=self._device.name,
            role=self._device.role,
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

    def _shutter(self, looked: Looked, clock: ClockOffset | None, near_ns: int) -> ShutterTime | None:
        if looked.meta is None or looked.meta.taken_at is None or clock is None:
            return None
        return shutter_time(looked.meta.taken_at, looked.meta.taken_step, clock, near_ns, self._stamp)

    def _about_ns(self, photo: CameraFile) -> int:
        """Return when a photo was taken, to a few minutes and whole quarters of an hour."""
        if photo.written_s is None or self.clock is None:
            return time.time_ns()
        return photo.written_s * 1_000_000_000 - self.clock.offset_ns

    def _give_up_oldest(self, error: DpedError) -> None:
        if self.debts:
            self._give_up(self.debts[0], error)

    def _give_up(self, debt: Debt, error: DpedError) -> None:
        self.debts.remove(debt)
        self._tell(Failed(self._device.name, debt.order.plan.number, error))
        self.news()

    def _nothing_came(self, late: Debt, reason: str) -> CameraTimeout:
        missing = " and ".join(suffix for suffix in late.order.owed if suffix not in late.order.paid)
        return CameraTimeout(
            f"{self._device.name}: no {missing} photo within {late.order.patience_s:g} s{reason and f': {reason}'}",
            "look at its screen; a photo that comes later is still attached to its shot",
        )

    def _say_ready(self, debt: Debt) -> None:
        if not debt.said_ready:
            debt.said_ready = True
            self._tell(Ready(self._device.name, debt.order.plan.number))


def _stem(photo: CameraFile) -> str:
    return photo.path.rpartition(".")[0]


def _name(order: Order | Nobodys, device: str, photo: CameraFile) -> str:
    return "" if isinstance(order, Nobodys) else f"{order.plan.number:04d}_{device}{suffix_of(photo)}"
