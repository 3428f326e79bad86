"""Fire a rig and record what it gave."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dpedkit.capture.calibration import handlings, load_calibrations
from dpedkit.capture.connect import Connection, connect
from dpedkit.capture.events import DeviceNews, Event, Notice, Planned, Settled, Stored
from dpedkit.capture.preflight import preflight, supplies
from dpedkit.capture.rig import Rig, load_rig
from dpedkit.capture.session import Session
from dpedkit.capture.shot import ShotRequest
from dpedkit.capture.trace import Trace
from dpedkit.capture.worker import Handling
from dpedkit.db import Corpus, DeviceRecord, SessionRecord, open_corpus
from dpedkit.errors import CameraError
from dpedkit.files import locked
from dpedkit.progress import Progress
from dpedkit.stages.recording import Recorder, ShotSummary
from dpedkit.stages.resuming import (
    Known,
    Unfinished,
    adopt_strays,
    finish,
    known_shots,
    next_number,
    remember_known,
    unfinished_sessions,
)
from dpedkit.stages.rigs import calibration_notes
from dpedkit.stages.wishes import Requests, Wish
from dpedkit.workspace import Workspace, unused_name

Hear = Callable[[Event], None]


@dataclass(slots=True)
class CaptureReport:
    """What a session did.

    session  its key; "" where only older sessions were finished
    resumed  shots of earlier sessions that were unfinished, as they stand now
    """

    session: str = ""
    shots: list[ShotSummary] = field(default_factory=list)
    resumed: list[ShotSummary] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def incomplete(self) -> list[ShotSummary]:
        """The shots in which a device failed and that were not fired again with success."""
        mended = {shot.retry_of for shot in self.shots if shot.status == "complete"}
        return [shot for shot in [*self.resumed, *self.shots] if shot.status != "complete" and shot.key not in mended]


def run_session(
    workspace: Workspace,
    rig_name: str,
    wish: Wish,
    hear: Hear = lambda _event: None,
    *,
    trace_file: Path | None = None,
) -> CaptureReport:
    """Fire a rig, and record every photo as soon as it is on the disk.

    hear        is told of everything that happens, after it was recorded
    trace_file  takes down the conversations with the devices, serial numbers hidden

    A shot is in the corpus before it is fired, and each of its photos as soon as its file is whole: nothing is hidden
    if this process dies. What a killed session left is finished first. A device that fails in a shot is named in it,
    and the session goes on.

    Raises:
        CameraNotFound: a device is missing at the start; nothing has been fired.
        SettingsError: a wrong rig file.
        StorageError: another process uses the rig, or the disk is full.
    """
    with _Rig.opened(workspace, rig_name, trace_file) as rig:
        report = CaptureReport()
        for unfinished in unfinished_sessions(rig.corpus, rig.rig.name):
            if unfinished.is_killed:
                rig.finish(unfinished, report, hear)
        report.resumed = [shot for shot in report.resumed if shot.status == "complete"]  # `status` tells of the others
        report.missing.clear()
        rig.capture(wish, report, hear)
    return report


def resume_sessions(
    workspace: Workspace, rig_name: str, hear: Hear = lambda _event: None, *, trace_file: Path | None = None
) -> CaptureReport:
    """Finish what earlier sessions of a rig left; raises as `run_session` does.

    Photos that are still on the devices are brought over and attached to their shots; then the last session fires
    what it was still asked for: shots that no photo can complete any more again, and those that it never fired.
    """
    with _Rig.opened(workspace, rig_name, trace_file) as rig:
        report = CaptureReport()
        for unfinished in unfinished_sessions(rig.corpus, rig.rig.name):
            rig.finish(unfinished, report, hear, go_on=unfinished.is_last)
    return report


def shown(progress: Progress, shots: int) -> Hear:
    """Return what draws a session of so many shots on a progress bar."""
    progress.start("capture", shots)
    settled: set[int] = set()

    def hear(event: Event) -> None:
        if isinstance(event, Settled) and event.result.plan.number not in settled:
            settled.add(event.result.plan.number)
            progress.advance(note=", ".join(f"{name} failed" for name in event.result.failures))
            if len(settled) == shots:
                progress.done(f"{shots} shots")

    return hear


@dataclass(frozen=True, slots=True)
class _Rig:
    """A rig that nobody else uses, where it is, and the corpus that takes its photos."""

    workspace: Workspace
    rig: Rig
    corpus: Corpus
    connection: Connection
    handling: Mapping[str, Handling]
    calibration: Mapping[str, str]
    trace: Trace | None

    @classmethod
    @contextmanager
    def opened(cls, workspace: Workspace, rig_name: str, trace_file: Path | None) -> Iterator[_Rig]:
        rig = load_rig(workspace.rig_file(rig_name))
        with (
            locked(workspace.rig_file(rig_name).with_suffix(".lock"), f"using the rig {rig_name}"),
            open_corpus(workspace.root, workspace.settings.database) as corpus,
            connect(rig, workspace.simulated(rig.name), workspace.keys) as connection,
            closing(Trace(trace_file)) if trace_file else nullcontext() as trace,
        ):
            file = workspace.calibration_file(rig_name)
            handling = handlings(rig, load_calibrations(file))
            yield cls(workspace, rig, corpus, connection, handling, calibration_notes(rig, file), trace)

    def capture(self, wish: Wish, report: CaptureReport, hear: Hear) -> None:
        """Run a new session."""
        name = wish.name or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        key = unused_name(self.workspace.photos, name)
        with self._session(key) as session:
            self._check(session, wish.shots, hear)
            remember_known(self.workspace.photos / key, session.known_photos)
            settings = {"rig": self.rig.model_dump(mode="json", by_alias=True), "wish": asdict(wish), "is_open": True}
            devices = [DeviceRecord(device.name, device.role) for device in self.rig.devices]
            self.corpus.store.add_session(SessionRecord(key, self.rig.name, time.time_ns(), settings), devices)
            recorder = self._recorder(key)
            self._shoot(session, recorder, Requests(wish), hear)
        self.corpus.store.update_session(key, {"is_open": False})
        report.session, report.shots = key, [recorder.summaries[number] for number in sorted(recorder.summaries)]

    def finish(self, unfinished: Unfinished, report: CaptureReport, hear: Hear, *, go_on: bool = False) -> None:
        """Bring over what is still on the devices for an earlier session's shots.

        go_on  fire, too, what the session was asked for and did not get: bad shots again, then those never fired
        """
        key = unfinished.key
        recorder = self._recorder(key)

        def tell(event: Event) -> None:
            recorder.tell(event)
            hear(event)

        adopt_strays(self.workspace, self.rig, key, self._known(key), self.handling, tell)
        known = self._known(key)
        for shot in known:
            recorder.restore(shot.past, status=shot.status, reason=shot.reason, flags=shot.flags)
        begun = set(recorder.summaries)
        mended = {summary.retry_of for summary in recorder.summaries.values() if summary.status == "complete"}
        with self._session(key, needs_all=False) as session:
            finish(session, known, self.workspace.photos / key, tell)
            requests = Requests(
                Wish(**unfinished.settings["wish"]),
                next_number(self.workspace, self.corpus, key),
                [recorder.summaries[number] for number in sorted(begun)],
            )
            report.missing |= {name: error.cause for name, error in session.missing.items()}
            if go_on and requests.count and not session.missing:
                self._check(session, requests.count, hear)
                self.corpus.store.update_session(key, {"is_open": True})
                self._shoot(session, recorder, requests, hear)
        if not report.missing:
            self.corpus.store.update_session(key, {"is_open": False})
        changed = [shot.past.shot.plan.number for shot in known if shot.status != "complete"]
        report.session = key
        resumed = [recorder.summaries[number] for number in changed]
        report.resumed += [summary for summary in resumed if summary.key not in mended]
        report.shots = [recorder.summaries[number] for number in sorted(recorder.summaries.keys() - begun)]

    def _shoot(self, session: Session, recorder: Recorder, requests: Requests, hear: Hear) -> None:
        is_first = True

        def next_shot() -> ShotRequest | None:
            nonlocal is_first
            request = requests.next()
            if request is not None:
                if request.retry_of is None and not is_first:
                    self.connection.next_scene()
                is_first = False
            return request

        warned: set[tuple[str, str]] = set()

        def tell(event: Event) -> None:
            recorder.tell(event)
            match event:
                case DeviceNews(device, info=info) if info is not None:
                    for check in supplies(self.rig, device, info):
                        if check.level == "fail" and (device, check.topic) not in warned:
                            warned.add((device, check.topic))
                            hear(Notice(device, f"{check.topic}: {check.found}; {check.remedy}"))
                case Planned(plan):
                    requests.planned(plan.at_ns)
                case Stored(photo) if requests.wish.delete:
                    session.delete(photo)
                case Settled(result):
                    requests.settled(result.plan.number, recorder.summaries[result.plan.number])
            hear(event)

        session.run(next_shot, tell)

    def _check(self, session: Session, shots: int, hear: Hear) -> None:
        """Tell what a person should know before a session; refuse one that would fail.

        Raises:
            CameraError: a device is not fit for it.
        """
        free_bytes = shutil.disk_usage(self.workspace.root).free
        checks = preflight(
            self.rig, session.conditions, shots, calibration=self.calibration, host_free_bytes=free_bytes
        )
        for warning in [check for check in checks if check.level == "warn"]:
            hear(Notice(warning.device, f"{warning.topic}: {warning.found}; {warning.remedy}"))
        failed = [check for check in checks if check.level == "fail"]
        if failed:
            causes = "; ".join(
                f"{check.device}: {check.topic}: {check.found} (want {check.wanted})" for check in failed
            )
            remedy = f"{failed[0].device}: {failed[0].remedy}; `dpedkit rig check` shows everything"
            raise CameraError(causes, f"{remedy}; limits stand in the rig file's [thresholds]")

    def _recorder(self, key: str) -> Recorder:
        return Recorder(self.workspace, self.corpus, key, self.rig.thresholds.skew_ms)

    def _session(self, key: str, *, needs_all: bool = True) -> Session:
        photos, keys = self.workspace.photos, self.workspace.keys
        return Session(
            self.rig,
            self.connection.addresses,
            photos,
            key,
            keys,
            handling=self.handling,
            needs_all=needs_all,
            trace=self.trace,
        )

    def _known(self, key: str) -> list[Known]:
        return known_shots(self.workspace, self.corpus, self.rig, key)
