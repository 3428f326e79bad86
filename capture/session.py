"""A session: all cameras of a rig held open, fired together, shot after shot, while the photos come in behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from dpedkit.capture.camera import ClockOffset
from dpedkit.capture.connect import make_camera
from dpedkit.capture.events import Event, Failed, Planned, Ready, Settled, Stored
from dpedkit.capture.inbox import Inbox
from dpedkit.capture.inspection import Condition
from dpedkit.capture.orders import Order, PastShot
from dpedkit.capture.rig import Rig
from dpedkit.capture.shot import Shot, ShotPlan, ShotRequest, ShotResult, StoredPhoto
from dpedkit.capture.trace import Trace
from dpedkit.capture.worker import Handling, Worker
from dpedkit.errors import CameraError, DpedError, StorageError
from dpedkit.files import storage_error

T = TypeVar("T")
Tell = Callable[[Event], None]

_HEAD_START_NS = 150_000_000  # from the decision to fire to the first release: a piece of a pull, a script to a phone


class Session:
    """A rig that is ready to fire.

    with Session(rig, addresses, photos, "2026-01-31_1200", keys) as session:
        result = session.shoot(1, "street")

    Photos go to photos/SESSION/NNNN_DEVICE.ext, byte for byte as the cameras gave them.

    handling  device name -> what calibration found about it; a device without is taken as its rig file says
    trace     takes down the conversations with the devices
    needs_all False: devices that do not answer are left out, and are in `missing`; `conditions` has the others

    Entering raises:
        CameraNotFound: one device is missing (CameraError, naming them all, if there are more); none stays open.
    """

    def __init__(
        self,
        rig: Rig,
        addresses: Mapping[str, str],
        photos: Path,
        session_key: str,
        keys: Path,
        *,
        handling: Mapping[str, Handling] | None = None,
        needs_all: bool = True,
        trace: Trace | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._inbox = Inbox()
        self._key = session_key
        self._folder = photos / session_key
        self._clock_ns = clock_ns
        self._needs_all = needs_all
        self._shots: dict[int, Shot] = {}
        self._unready: set[int] = set()
        self._unsettled: set[int] = set()
        self._told: dict[int, ShotResult] = {}
        self._closed = False
        self.missing: dict[str, DpedError] = {}
        self.conditions: list[Condition] = []
        known = handling or {}
        self._workers = [
            Worker(
                device,
                make_camera(device, addresses[device.name], keys, trace),
                self._folder,
                self._inbox.put,
                handling=known.get(device.name),
                clock_ns=clock_ns,
            )
            for device in rig.devices
        ]

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as error:
            self._close()
            raise storage_error(error, self._folder) from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def shoot(self, number: int, scene: str = "", tell: Tell = lambda _event: None) -> ShotResult:
        """Fire every camera at one moment and wait for everything they took; see `run`."""
        requests = iter([ShotRequest(number, scene)])
        self.run(lambda: next(requests, None), tell)
        return self._shots[number].result

    def run(self, next_shot: Callable[[], ShotRequest | None], tell: Tell) -> None:
        """Fire shot after shot, each as soon as every device is ready for it; return when all are settled.

        next_shot  is asked whenever the rig is ready, and once more when nothing is left to wait for; None: no more
        tell       is called on this thread with everything that happens: with Planned before a shot is fired, with
                   Stored for each photo once it is on the disk. When Ctrl-C comes, it is called with everything that
                   happened before, and once more with the event that it was busy with.

        A device that fails does not take the others with it: it is in the shot's failures.

        Raises:
            StorageError: photos of that number are there already, or the disk is full; what was stored stays.
        """
        full: StorageError | None = None
        telling: list[Event] = []

        def pass_on(event: Event) -> None:
            telling.append(event)
            tell(event)
            telling.pop()

        try:
            while True:
                if full is None and not self._unready and (request := next_shot()) is not None:
                    self._start(request, pass_on)
                    continue
                if not self._unsettled and not self._inbox:
                    break
                event = self._inbox.first()
                if isinstance(event, Failed) and isinstance(event.error, StorageError):
                    full = full or event.error
                self._take(event, tell)
                self._inbox.drop()
        except BaseException:
            self._close()
            for event in telling:
                tell(event)
            self._take_all(tell)
            raise
        if full is not None:
            raise full  # no fault of a device: the next shot would end the same way

    @property
    def known_photos(self) -> dict[str, list[str]]:
        """Device name -> the photos that were on it when the session was opened: none of them belongs to a shot."""
        return {worker.device.name: sorted(worker.known_photos) for worker in self._workers}

    def delete(self, photo: StoredPhoto) -> None:
        """Remove a photo from its device, if the copy here is whole; what stands in the way is told as Stray."""
        worker = next(worker for worker in self._workers if worker.device.name == photo.device)
        worker.call(partial(worker.delete, photo))

    def resume(self, past: Sequence[PastShot], known: Mapping[str, Sequence[str]], tell: Tell) -> list[ShotResult]:
        """Bring over what the devices still hold of shots of an earlier process; `tell` hears of it as in `run`.

        Returns where those shots stand now.

        past   all shots of that session, in their order
        known  device name -> the photos that were on it before that session, and those that are stored

        Raises:
            StorageError: the disk is full; what was stored stays.
        """
        for one in past:
            self._shots[one.shot.plan.number] = one.shot
        there = [worker for worker in self._workers if worker.device.name not in self.missing]
        for worker in there:
            name = worker.device.name
            orders = [one.order(worker.device, worker.handling.lag_ns) for one in past if name in one.shot.owed]
            stored = {photo.sha256: photo.number for one in past for photo in one.shot.photos if photo.device == name}
            worker.call(partial(worker.resume, orders, known.get(name, ()), stored))
        answers = _together(there, lambda worker: worker.collect())
        self._take_all(tell)
        full = [answer for answer in answers.values() if isinstance(answer, StorageError)]
        if full:
            raise full[0]
        for one in past:
            self._close_books(one.shot.plan.number, answers)
        return [self._shots[one.shot.plan.number].result for one in past]

    def _close_books(self, number: int, answers: Mapping[str, DpedError | None]) -> None:
        """Give up what a shot of the past is owed and no device holds."""
        shot = self._shots[number]
        for device in shot.owed:
            gone = CameraError(f"{device}: it holds no photo of this shot", "the shot can only be taken again")
            shot = shot.failed(device, self.missing.get(device) or answers.get(device) or gone)
        self._keep(shot)

    def _start(self, request: ShotRequest, tell: Tell) -> None:
        """Plan a shot, tell of it, and give every device its order."""
        if there := sorted(self._folder.glob(f"{request.number:04d}_*")):
            raise StorageError(f"{there[0]} is there already", "give the shot another number: no photo is overwritten")
        armed = _together(self._workers, lambda worker: worker.arm())
        ready = [worker for worker in self._workers if not isinstance(armed[worker.device.name], DpedError)]
        plan = ShotPlan(self._key, request.number, request.scene, self._earliest_ns(ready, request), request.retry_of)
        clocks: dict[str, ClockOffset | None] = {}
        for name, answer in armed.items():
            clocks[name] = None if isinstance(answer, DpedError) else answer
        tell(Planned(plan, clocks))
        plan = replace(plan, at_ns=self._earliest_ns(ready, request))  # telling may have taken its time
        self._keep(Shot(plan, {worker.device.name: worker.device.suffixes for worker in self._workers}))
        for worker in ready:
            device = worker.device
            release_ns = plan.at_ns - worker.handling.lag_ns
            worker.fire(Order(plan, device.suffixes, release_ns, device.timeout_s, clocks[device.name]))
        for name, answer in armed.items():
            if isinstance(answer, DpedError):
                self._take(Failed(name, plan.number, answer), tell)

    def _earliest_ns(self, workers: Iterable[Worker], request: ShotRequest) -> int:
        lag_ns = max((worker.handling.lag_ns for worker in workers), default=0)
        return max(self._clock_ns() + lag_ns + _HEAD_START_NS, request.not_before_ns)

    def _take(self, event: Event, tell: Tell) -> None:
        """Bring the shot that an event is about up to date, and pass the event on; harmless to repeat."""
        match event:
            case Ready(device, number):
                shot = self._shots[number].ready(device)
            case Stored(photo):
                shot = self._shots[photo.number].stored(photo)
            case Failed(device, number, error):
                shot = self._shots[number].failed(device, error)
            case _:
                tell(event)
                return
        self._keep(shot)
        tell(event)
        if shot.is_settled and shot.result != self._told.get(shot.plan.number):
            tell(Settled(shot.result))
            self._told[shot.plan.number] = shot.result

    def _take_all(self, tell: Tell) -> None:
        while self._inbox:
            self._take(self._inbox.first(), tell)
            self._inbox.drop()

    def _keep(self, shot: Shot) -> None:
        number = shot.plan.number
        self._shots[number] = shot
        for numbers, is_done in ((self._unready, shot.is_ready), (self._unsettled, shot.is_settled)):
            if is_done:
                numbers.discard(number)
            else:
                numbers.add(number)

    def _open(self) -> None:
        opened = _together(self._workers, lambda worker: worker.open())
        self.missing = {name: answer for name, answer in opened.items() if isinstance(answer, DpedError)}
        self.conditions = [answer for answer in opened.values() if isinstance(answer, Condition)]
        if self.missing and self._needs_all:
            raise _one_error(self.missing)

    def _close(self) -> None:
        if not self._closed:
            for worker in self._workers:
                worker.close()
            for worker in self._workers:
                worker.join()
        self._closed = True


def _together(workers: Sequence[Worker], job: Callable[[Worker], T]) -> dict[str, T | DpedError]:
    """Run `job` on every worker's own thread at once; device name -> its answer or its error."""
    jobs = {worker.device.name: worker.call(partial(job, worker)) for worker in workers}
    answers: dict[str, T | DpedError] = {}
    for name, answer in jobs.items():
        try:
            answers[name] = answer.result()
        except DpedError as error:
            answers[name] = error
    return answers


def _one_error(failures: Mapping[str, DpedError]) -> DpedError:
    """Return the only error, or one that names every device."""
    if len(failures) == 1:
        return next(iter(failures.values()))
    causes = "; ".join(f"{name}: {error.cause}" for name, error in failures.items())
    return CameraError(f"{len(failures)} devices of the rig failed: {causes}", next(iter(failures.values())).remedy)
