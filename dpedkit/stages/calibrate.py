"""Photograph a clock with every device of a rig, and learn from the photos how each is to be fired."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dpedkit.capture.calibration import (
    EARLIEST_NS,
    LATEST_NS,
    LEAST_SIGHTINGS,
    Calibration,
    Sighting,
    estimate,
    load_calibrations,
    save_calibrations,
)
from dpedkit.capture.clock_board import clock_page, read_board
from dpedkit.capture.connect import Connection, connect
from dpedkit.capture.events import Event, Settled
from dpedkit.capture.rig import SIMULATED, Device, Rig, load_rig
from dpedkit.capture.session import Session, ShotRequest
from dpedkit.capture.shot import STAMP_LAG_NS, ShotResult, StampLag, StoredPhoto
from dpedkit.capture.times import Window
from dpedkit.capture.worker import Handling
from dpedkit.errors import DpedError, ImageError, UsageError
from dpedkit.files import only_one, write_atomic
from dpedkit.images import PHOTO_SUFFIXES, read_rgb
from dpedkit.progress import Progress
from dpedkit.settings import nearest
from dpedkit.workspace import Workspace

_KEY = "clock"
_ALLOWANCE = StampLag(0, STAMP_LAG_NS + 1)
"""A stamp may be this far from its shutter: more than what is never doubted, so that nothing is read into it yet."""
_LEAD_NS = 600_000_000
_GOLDEN = 0.6180339887498949
_GIVE_UP_AFTER = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """What a calibration would do.

    devices    those that are fired
    page       the web page with the clock; None where all devices are simulated, and look at it by themselves
    file       where the result goes
    """

    rig: str
    devices: tuple[str, ...]
    shots: int
    page: Path | None
    file: Path


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one device.

    calibration  what holds for it from now on: None where nothing was found and nothing was known
    is_new       whether it was found now
    unread       photos in which the clock could not be read
    note         what stood in the way
    """

    device: str
    calibration: Calibration | None
    is_new: bool
    unread: int = 0
    note: str = ""


@dataclass(slots=True)
class CalibrationReport:
    """What a calibration found; failed: device name -> the last thing that went wrong with it."""

    rig: str
    file: Path
    devices: list[Found] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def plan_calibration(workspace: Workspace, rig_name: str, shots: int, device: str | None = None) -> Plan:
    """Return what `calibrate` would do; nothing is touched.

    Raises:
        UsageError: the rig has no such device, or the shots are too few.
    """
    return _plan(workspace, load_rig(workspace.rig_file(rig_name)), rig_name, shots, device)


def calibrate(
    workspace: Workspace,
    rig_name: str,
    *,
    shots: int,
    progress: Progress,
    device: str | None = None,
    ask: Callable[[Path], None] = lambda _page: None,
    keep: bool = False,
    delete: bool = False,
) -> CalibrationReport:
    """Photograph the clock `shots` times, and store what that tells of each device.

    device  only this one
    ask     is called with the page that shows the clock, once the devices are ready; returns when it is shown
    keep    keep the photos here
    delete  delete the photos on the devices

    What is not found anew stays as it was. A device that keeps failing is left out, and the others go on.

    Raises:
        UsageError: the rig has no such device, or the shots are too few.
        CameraNotFound: none of the devices is there.
        StorageError: another process uses the rig, or the disk is full.
    """
    rig = load_rig(workspace.rig_file(rig_name))
    plan = _plan(workspace, rig, rig_name, shots, device)
    known = load_calibrations(plan.file)
    devices = [one for one in rig.devices if one.name in plan.devices]
    photos = workspace.root / ".calibration" / rig_name
    with (
        only_one(workspace.rig_file(rig_name).with_suffix(".lock"), f"using the rig {rig_name}"),
        connect(rig, workspace.simulated(rig.name), workspace.keys) as connection,
        connection.show_board(),
    ):
        shutil.rmtree(photos, ignore_errors=True)  # of a calibration that was killed, or kept its photos
        try:
            shooting = _Shooting(workspace, rig, connection, photos, known, progress, delete=delete)
            shooting.shoot(devices, plan, ask)
            report = CalibrationReport(rig_name, plan.file, failed=shooting.failed)
            sightings = shooting.sightings(devices)
        finally:
            if not keep:
                shutil.rmtree(photos, ignore_errors=True)
    for one in devices:
        report.devices.append(_judge(one, sightings[one.name], known.get(one.name)))
    new = {found.device: found.calibration for found in report.devices if found.calibration and found.is_new}
    if new:
        save_calibrations(plan.file, {**known, **new})
    return report


def _plan(workspace: Workspace, rig: Rig, rig_name: str, shots: int, device: str | None) -> Plan:
    names = [one.name for one in rig.devices]
    if device is not None and device not in names:
        raise UsageError(
            f"the rig {rig_name!r} has no device {device!r}{nearest(device, names)}", f"it has: {', '.join(names)}"
        )
    if shots < LEAST_SIGHTINGS:
        raise UsageError(f"{shots} shots tell nothing", f"take {LEAST_SIGHTINGS} at least; 24 are good")
    wanted = [one for one in rig.devices if device in (None, one.name)]
    file = workspace.calibration_file(rig_name)
    page = None if all(one.address == SIMULATED for one in wanted) else file.with_name("clock.html")
    return Plan(rig_name, tuple(one.name for one in wanted), shots, page, file)


def _judge(device: Device, sightings: Sequence[Sighting], old: Calibration | None) -> Found:
    """Return what a device's photos tell; what the clock told before is not given up for less."""
    found = estimate(device, sightings)
    unread = sum(sighting.board is None for sighting in sightings)
    if found is None:
        why = "no photos" if not sightings else "its photos tell neither their time nor the clock's"
        return Found(device.name, old, is_new=False, unread=unread, note=why)
    if found.source == "clock":
        return Found(device.name, found, is_new=True, unread=unread)
    if old is not None and old.source == "clock" and old.fits(device):
        note = "the clock could not be read in its photos: the old calibration stays"
        return Found(device.name, old, is_new=False, unread=unread, note=note)
    note = f"the clock could not be read: its skew is only known to {STAMP_LAG_NS / 1e6:.0f} ms"
    return Found(device.name, found, is_new=True, unread=unread, note=note)


class _Shooting:
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

    def shoot(self, devices: Sequence[Device], plan: Plan, ask: Callable[[Path], None]) -> None:
        """Fire until there are as many shots as planned; without the devices that are missing or keep failing."""
        there = list(devices)
        moments = _Moments(max(self._lags.values()) + _LEAD_NS)
        while self._asked < plan.shots and there:
            with self._session(there, needs_all=len(there) == 1) as session:
                if len(session.missing) == len(there):
                    raise next(iter(session.missing.values()))
                self.failed |= {name: error.cause for name, error in session.missing.items()}
                lost = set(session.missing)
                if not lost:
                    if self._asked == 0:
                        self._show_clock(plan.page, ask)
                        self._progress.start("photographing the clock", plan.shots)
                    self._run(session, plan.shots, moments)
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

    def _show_clock(self, page: Path | None, ask: Callable[[Path], None]) -> None:
        if page is None:
            return
        page.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(page, clock_page().encode())
        ask(page)

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
    with suppress(ImageError, DpedError):
        reading = read_board(read_rgb(photo.path))
        if reading is not None:
            window = reading.near(result.plan.at_ns)
            if EARLIEST_NS < window.middle_ns - result.plan.at_ns < LATEST_NS:
                return window
    return None
