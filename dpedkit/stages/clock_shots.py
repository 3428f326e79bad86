"""The shots of a calibration: a rig photographs the clock board, and the board is read in every photo."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dpedkit.capture.calibration import EARLIEST_NS, LATEST_NS, Calibration, Sighting
from dpedkit.capture.clock_board import read_board
from dpedkit.capture.connect import Connection
from dpedkit.capture.events import Event, Settled
from dpedkit.capture.rig import Device, Rig
from dpedkit.capture.session import Session
from dpedkit.capture.shot import STAMP_LAG_NS, ShotRequest, ShotResult, StampLag, StoredPhoto
from dpedkit.capture.times import Window
from dpedkit.capture.worker import Handling
from dpedkit.errors import DpedError
from dpedkit.images import PHOTO_SUFFIXES, read_rgb
from dpedkit.progress import Progress
from dpedkit.workspace import Workspace

_KEY = "clock"
_ALLOWANCE = StampLag(0, STAMP_LAG_NS + 1)
"""A stamp may be this far from its shutter: more than what is never doubted, so that nothing is read into it yet."""
_LEAD_NS = 600_000_000
_GOLDEN = 0.6180339887498949
_GIVE_UP_AFTER = 3


class ClockShots:
    """The shots of one calibration, and what they gave.

    failed  device name -> the last thing that went wrong with it
    """

    def __init__(
        self,
        workspace: Workspace,
        rig: Rig,
        connection: Connection,
        photos: Path,
        known: Mapping[str, Calibration],
        progress: Progress,
        *,
        delete: bool,
    ) -> None:
        self._workspace, self._rig, self._connection, self._photos = workspace, rig, connection, photos
        self._progress, self._delete = progress, delete
        self._lags = {
            device.name: old.handling.lag_ns if (old := known.get(device.name)) and old.fits(device) else device.lag_ns
            for device in rig.devices
        }
        self._results: dict[int, ShotResult] = {}
        self._in_a_row: Counter[str] = Counter()
        self._asked = 0
        self.failed: dict[str, str] = {}

    def shoot(self, devices: Sequence[Device], shots: int, show_clock: Callable[[], None]) -> None:
        """Fire that often, in the end without the devices that are missing or keep failing.

        show_clock  is called once all devices are ready

        Raises:
            CameraError: none of the devices is there.
            StorageError: the disk is full.
        """
        there = list(devices)
        moments = _Moments(max(self._lags.values()) + _LEAD_NS)
        while self._asked < shots and there:
            with self._session(there, needs_all=len(there) == 1) as session:
                if len(session.missing) == len(there):
                    raise next(iter(session.missing.values()))
                self.failed |= {name: error.cause for name, error in session.missing.items()}
                lost = set(session.missing)
                if not lost:
                    if self._asked == 0:
                        show_clock()
                        self._progress.start("photographing the clock", shots)
                    self._run(session, shots, moments)
                    lost = self._hopeless
            there = [device for device in there if device.name not in lost]
            self._in_a_row.clear()
        self._progress.done()

    def _run(self, session: Session, shots: int, moments: _Moments) -> None:
        def next_shot() -> ShotRequest | None:
            if self._asked >= shots or self._hopeless:
                return None
            self._asked += 1
            return ShotRequest(self._asked, not_before_ns=moments.next(time.time_ns()))

        def tell(event: Event) -> None:
            if isinstance(event, Settled):
                self._settled(event.result)
                for photo in event.result.photos if self._delete else ():
                    session.delete(photo)

        session.run(next_shot, tell)

    @property
    def _hopeless(self) -> set[str]:
        return {name for name, count in self._in_a_row.items() if count >= _GIVE_UP_AFTER}

    def _settled(self, result: ShotResult) -> None:
        number = result.plan.number
        is_new = number not in self._results
        self._results[number] = result
        for name in {photo.device for photo in result.photos} - result.failures.keys():
            self._in_a_row[name] = 0
        for name, error in result.failures.items():
            self.failed[name] = error.cause
            self._in_a_row[name] += is_new
        if is_new:
            self._progress.advance()
        if number == 1 and is_new:
            blind = [photo.device for photo in _pictures(result) if _board(photo, result) is None]
            if blind:
                self._progress.say(f"{', '.join(blind)}: the clock cannot be read in the first photo")

    def sightings(self, devices: Sequence[Device]) -> dict[str, list[Sighting]]:
        """Return what the photos tell, device name -> sightings; the clock is read in each of them."""
        seen: dict[str, list[Sighting]] = {device.name: [] for device in devices}
        pictures = [(result, photo) for _, result in sorted(self._results.items()) for photo in _pictures(result)]
        self._progress.start("reading the clock", len(pictures))
        for result, photo in pictures:
            commanded_ns = result.plan.at_ns - self._lags[photo.device]
            seen[photo.device].append(Sighting(commanded_ns, _stamp(photo), _board(photo, result)))
            self._progress.advance()
        self._progress.done()
        return seen

    def _session(self, devices: Sequence[Device], *, needs_all: bool) -> Session:
        rig = self._rig.model_copy(update={"devices": tuple(devices)})
        return Session(
            rig,
            self._connection.addresses,
            self._photos,
            _KEY,
            self._workspace.keys,
            handling={name: Handling(lag_ns, _ALLOWANCE) for name, lag_ns in self._lags.items()},
            needs_all=needs_all,
        )


class _Moments:
    """When to fire: moments spread evenly over the second.

    The screen's frames and the steps of the cameras' stamps are then met at all their phases, and each shot tells what
    the others left open.
    """

    def __init__(self, lead_ns: int) -> None:
        self._lead_ns = lead_ns
        self._phase = random.random()

    def next(self, now_ns: int) -> int:
        """Return the moment of the next shot, host wall clock: one lead from now, or up to a second later."""
        self._phase = (self._phase + _GOLDEN) % 1
        second = 1_000_000_000
        moment_ns = now_ns // second * second + round(self._phase * second)
        while moment_ns < now_ns + self._lead_ns:
            moment_ns += second
        return moment_ns


def _pictures(result: ShotResult) -> list[StoredPhoto]:
    """Return one photo of each device that can be decoded: not the raw file beside it."""
    pictures = [photo for photo in result.photos if photo.path.suffix.lower() in PHOTO_SUFFIXES]
    return list({photo.device: photo for photo in reversed(pictures)}.values())[::-1]


def _stamp(photo: StoredPhoto) -> Window | None:
    """Return when a photo says that it was taken."""
    if photo.shutter is None:
        return None
    doubt_ns = photo.shutter.bound_ns - _ALLOWANCE.bound_ns
    return Window(photo.shutter.t_ns - doubt_ns, photo.shutter.t_ns + doubt_ns)


def _board(photo: StoredPhoto, result: ShotResult) -> Window | None:
    """Return what the board in a photo tells, if it is this computer's clock that it shows."""
    with suppress(DpedError):
        reading = read_board(read_rgb(photo.path))
        if reading is not None:
            window = reading.near(result.plan.at_ns)
            if EARLIEST_NS < window.middle_ns - result.plan.at_ns < LATEST_NS:
                return window
    return None
