"""A session: all cameras of a rig held open, fired together, shot after shot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from dpedkit.capture.camera import Camera, CameraInfo, ClockOffset
from dpedkit.capture.drivers import find_driver
from dpedkit.capture.rig import Device, Rig
from dpedkit.capture.shot import Role, ShotPlan, ShotResult, StoredPhoto
from dpedkit.capture.worker import Armed, Taken, Worker
from dpedkit.errors import CameraError, DpedError, StorageError
from dpedkit.files import storage_error

T = TypeVar("T")

_HEAD_START_NS = 300_000_000  # from the decision to fire to the first release: time for a script to reach a phone


def _ignore(_photo: StoredPhoto) -> None:
    pass


class Session:
    """A rig that is ready to fire.

    with Session(rig, addresses, photos, "2026-01-31_1200", keys) as session:
        result = session.shoot(1, "street")

    Photos go to photos/SESSION/NNNN_DEVICE.ext, byte for byte as the cameras gave them.

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
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._workers = make_workers(rig, addresses, keys)
        self._key = session_key
        self._folder = photos / session_key
        self._clock_ns = clock_ns

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            opened = _together(self._workers, lambda worker: worker.open())
            if failures := {name: answer for name, answer in opened.items() if isinstance(answer, DpedError)}:
                raise _one_error(failures)
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

    def shoot(self, number: int, scene: str = "", on_photo: Callable[[StoredPhoto], None] = _ignore) -> ShotResult:
        """Fire every camera at one moment and store what they took.

        number    of the shot within the session; no file of this number may exist yet
        on_photo  called on this thread with each photo once it is on the disk; once more with the photo that it was
                  busy with when Ctrl-C came

        A device that fails does not take the others with it: it is in the result's failures.

        Raises:
            StorageError: photos of this number are there already, or the disk is full; what was stored stays.
        """
        if there := sorted(self._folder.glob(f"{number:04d}_*")):
            raise StorageError(f"{there[0]} is there already", "give the shot another number: no photo is overwritten")
        armed = _together(self._workers, lambda worker: worker.arm())
        failures = {name: answer for name, answer in armed.items() if isinstance(answer, DpedError)}
        ready = [(worker, answer) for worker in self._workers if isinstance(answer := armed[worker.device.name], Armed)]
        lead_ns = max((worker.device.lag_ns for worker, _ in ready), default=0) + _HEAD_START_NS
        plan = ShotPlan(self._key, number, scene, self._clock_ns() + lead_ns)
        shots = self._fire(plan, ready, on_photo)
        for shot in shots.values():
            if isinstance(shot.failure, StorageError):
                raise shot.failure  # no fault of the device: the next shot would end the same way
        photos = tuple(photo for shot in shots.values() for photo in shot.photos)
        return ShotResult(plan, photos, failures | {name: shot.failure for name, shot in shots.items() if shot.failure})

    def _fire(
        self, plan: ShotPlan, ready: Sequence[tuple[Worker, Armed]], on_photo: Callable[[StoredPhoto], None]
    ) -> dict[str, Taken]:
        """Take the shot on every camera's own thread; device name -> what it gave."""
        jobs: dict[Future[Taken], str] = {}
        told: set[Path] = set()

        def tell(job: Future[Taken]) -> None:
            for photo in job.result().photos:
                if photo.path not in told:
                    on_photo(photo)
                    told.add(photo.path)

        try:
            for worker, armed in ready:
                jobs[worker.call(partial(worker.take, plan, armed, self._folder))] = worker.device.name
            for job in as_completed(jobs):
                tell(job)
        except BaseException:
            for worker in self._workers:
                worker.interrupt()
            for job in jobs:  # what was on the disk before Ctrl-C came is not forgotten
                tell(job)
            raise
        return {name: job.result() for job, name in jobs.items()}

    def _close(self) -> None:
        _close(self._workers)


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """What `dpedkit devices` shows of one device: info, or the error that stands in its way."""

    name: str
    role: Role
    address: str
    info: CameraInfo | None = None
    clock: ClockOffset | None = None
    error: DpedError | None = None


def probe(rig: Rig, addresses: Mapping[str, str], keys: Path) -> list[DeviceReport]:
    """Ask every device of a rig who it is, changing none of its settings; a missing one has its error in its report."""
    workers = make_workers(rig, addresses, keys)
    try:
        answers = _together(workers, lambda worker: worker.ask())
    finally:
        _close(workers)
    reports = []
    for worker in workers:
        device = worker.device
        answer = answers[device.name]
        place = addresses[device.name]
        if isinstance(answer, DpedError):
            reports.append(DeviceReport(device.name, device.role, place, error=answer))
        else:
            reports.append(DeviceReport(device.name, device.role, place, *answer))
    return reports


def make_workers(rig: Rig, addresses: Mapping[str, str], keys: Path) -> list[Worker]:
    """Make each device's camera, unopened, on a thread of its own."""
    return [Worker(device, _camera(device, addresses[device.name], keys)) for device in rig.devices]


def _camera(device: Device, address: str, keys: Path) -> Camera:
    driver = find_driver(device.driver)
    options: dict[str, object] = {"trigger": device.trigger} | ({"keys": keys} if driver.has_keys else {})
    return driver.load()(device.name, address, device.settings, **options)


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


def _close(workers: Sequence[Worker]) -> None:
    for closing in [worker.close() for worker in workers]:
        closing.result()


def _one_error(failures: Mapping[str, DpedError]) -> DpedError:
    """Return the only error, or one that names every device."""
    if len(failures) == 1:
        return next(iter(failures.values()))
    causes = "; ".join(f"{name}: {error.cause}" for name, error in failures.items())
    return CameraError(f"{len(failures)} devices of the rig failed: {causes}", next(iter(failures.values())).remedy)
