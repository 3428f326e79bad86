"""Fire a rig and record what it gave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dpedkit.capture.connect import connect
from dpedkit.capture.rig import Rig, load_rig
from dpedkit.capture.session import DeviceReport, Session, probe
from dpedkit.capture.shot import ShotResult, StoredPhoto
from dpedkit.db import Corpus, DeviceRecord, PhotoRecord, SessionRecord, ShotRecord, open_corpus
from dpedkit.errors import UsageError
from dpedkit.images import PhotoMeta
from dpedkit.progress import Progress
from dpedkit.workspace import Workspace, unused_name


@dataclass(frozen=True, slots=True)
class ShotSummary:
    """One shot as the command line shows it; skew in ms, None where it could not be measured."""

    key: str
    status: str
    photos: tuple[str, ...]
    failures: dict[str, str]
    skew_ms: float | None
    skew_bound_ms: float | None
    over_threshold: bool


@dataclass(slots=True)
class CaptureReport:
    """What a session did."""

    session: str
    shots: list[ShotSummary] = field(default_factory=list)

    @property
    def incomplete(self) -> list[ShotSummary]:
        """The shots in which a device failed."""
        return [shot for shot in self.shots if shot.status != "complete"]


def run_session(
    workspace: Workspace,
    rig_name: str,
    *,
    shots: int,
    interval_s: float,
    scene: str,
    progress: Progress,
    session_name: str | None = None,
) -> CaptureReport:
    """Fire the rig `shots` times, `interval_s` apart, and record every photo as soon as it is on the disk.

    session_name  what its shots' keys begin with; None: the time


    A shot is in the database before it is fired, and each of its photos as soon as its file is whole, so that nothing
    is hidden if this process dies; devices that fail in a shot are named in it, and the session goes on.

    Raises:
        CameraNotFound: a device is missing at the start; nothing has been fired.
        SettingsError: a wrong rig file.
    """
    rig = load_rig(workspace.rig_file(rig_name))
    name = session_name or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    report = CaptureReport(unused_name(workspace.photos, name))
    with (
        open_corpus(workspace.root, workspace.settings.database) as corpus,
        connect(rig, workspace.simulated(rig.name), workspace.keys) as connection,
        Session(rig, connection.addresses, workspace.photos, report.session, workspace.keys) as session,
    ):
        recorder = _Recorder(workspace, corpus, rig, report.session)
        progress.start("capture", shots)
        for number in range(1, shots + 1):
            began = time.monotonic()
            report.shots.append(recorder.shoot(session, number, scene))
            progress.advance(note=_note(report.shots[-1]))
            connection.next_scene()
            if number < shots:
                time.sleep(max(0.0, interval_s - (time.monotonic() - began)))
        progress.done(f"{shots} shots, {len(report.incomplete)} incomplete")
    return report


def find_devices(workspace: Workspace, rig_name: str) -> list[DeviceReport]:
    """Ask every device of a rig who it is; a missing one has its error in its report."""
    rig = load_rig(workspace.rig_file(rig_name))
    with connect(rig, workspace.simulated(rig.name), workspace.keys) as connection:
        return probe(rig, connection.addresses, workspace.keys)


def run_simulated(workspace: Workspace, rig_name: str, ready: Callable[[dict[str, str]], None]) -> None:
    """Run a rig's simulated devices until the process is told to stop; `ready` is called with their addresses.

    Raises:
        UsageError: the rig has none.
    """
    rig = load_rig(workspace.rig_file(rig_name))
    if not rig.rehearsal:
        raise UsageError(f"no device of the rig {rig.name!r} is simulated", "make a workspace with --rig simulated")
    with connect(rig, workspace.simulated(rig.name), workspace.keys) as connection:
        ready({device.name: connection.addresses[device.name] for device in rig.rehearsal})
        threading.Event().wait()


class _Recorder:
    """Writes what a session gives into the corpus, as it comes."""

    def __init__(self, workspace: Workspace, corpus: Corpus, rig: Rig, key: str) -> None:
        self._workspace, self._store, self._rig, self._key = workspace, corpus.store, rig, key
        devices = [DeviceRecord(device.name, device.role) for device in rig.devices]
        settings = rig.model_dump(mode="json", by_alias=True)
        self._store.add_session(SessionRecord(key, rig.name, time.time_ns(), settings), devices)

    def shoot(self, session: Session, number: int, scene: str) -> ShotSummary:
        """Fire once; the shot's row is there before, and each photo's as soon as its file is whole."""
        shot = f"{self._key}/{number:04d}"
        self._store.add_shot(ShotRecord(shot, self._key, number, scene, status="incomplete", reason="not finished"), [])

        def record(photo: StoredPhoto) -> None:
            if photo.meta is not None:
                self._store.add_photo(shot, _photo_record(self._workspace, photo, photo.meta))

        result = session.shoot(number, scene, on_photo=record)
        self._store.add_shot(_shot_record(result, shot), [])
        return self._summary(result, shot)

    def _summary(self, result: ShotResult, key: str) -> ShotSummary:
        skew = result.skew
        return ShotSummary(
            key=key,
            status=result.status,
            photos=tuple(self._workspace.relative(photo.path) for photo in result.photos),
            failures={name: error.cause for name, error in result.failures.items()},
            skew_ms=skew.spread_ns / 1e6 if skew else None,
            skew_bound_ms=skew.bound_ns / 1e6 if skew else None,
            over_threshold=skew is not None and skew.spread_ns > self._rig.thresholds.skew_ms * 1e6,
        )


def _shot_record(result: ShotResult, key: str) -> ShotRecord:
    skew = result.skew
    return ShotRecord(
        key=key,
        session=result.plan.session,
        number=result.plan.number,
        scene=result.plan.scene,
        scheduled_ns=result.plan.at_ns,
        status=result.status,
        reason="; ".join(f"{name}: {error.cause}" for name, error in result.failures.items()),
        skew_ns=skew.spread_ns if skew else None,
        skew_bound_ns=skew.bound_ns if skew else None,
    )


def _photo_record(workspace: Workspace, photo: StoredPhoto, meta: PhotoMeta) -> PhotoRecord:
    return PhotoRecord(
        device=photo.device,
        path=workspace.relative(photo.path),
        sha256=photo.sha256,
        size_bytes=photo.size_bytes,
        width=meta.width,
        height=meta.height,
        device_path=photo.device_path,
        taken_at=meta.taken_at.isoformat() if meta.taken_at else "",
        exposure_s=meta.exposure_s,
        f_number=meta.f_number,
        iso=meta.iso,
        shutter_ns=photo.shutter.t_ns if photo.shutter else None,
        shutter_bound_ns=photo.shutter.bound_ns if photo.shutter else None,
    )


def _note(shot: ShotSummary) -> str:
    if shot.failures:
        return f"{', '.join(shot.failures)} failed"
    return f"skew {shot.skew_ms:.0f} ms" if shot.skew_ms is not None else ""
