"""Shots of a process that was killed: what the corpus, the disk and the devices still know of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dpedkit.capture.camera import CameraFile, Release
from dpedkit.capture.events import Event, Settled, Stored
from dpedkit.capture.incoming import look_at
from dpedkit.capture.orders import RAW, PastShot
from dpedkit.capture.recovery import adopt, stored_photos, throw_away_halves
from dpedkit.capture.rig import Rig
from dpedkit.capture.session import Session
from dpedkit.capture.shot import Shot, ShotPlan, ShutterTime, StoredPhoto
from dpedkit.capture.worker import Handling
from dpedkit.db import Corpus
from dpedkit.files import write_atomic
from dpedkit.stages.frames import rows
from dpedkit.stages.recording import NOT_FINISHED, clock_from_json
from dpedkit.workspace import Workspace

Tell = Callable[[Event], None]

_BEFORE = "before.json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A session that did not come to its end, or has incomplete shots.

    settings    of its row: rig, wish, is_open
    is_killed   its process ended without a word
    is_last     no session of the rig began after it
    """

    key: str
    settings: Mapping[str, Any]
    is_killed: bool
    is_last: bool


def unfinished_sessions(corpus: Corpus, rig: str) -> list[Unfinished]:
    """Return the unfinished sessions of a rig, oldest first."""
    shots = corpus.shots()
    mended = shots[shots["status"] == "complete"]["retry_of"]
    incomplete = set(shots[(shots["status"] == "incomplete") & ~shots["shot"].isin(mended)]["session"])
    sessions = [row for row in rows(corpus.sessions()) if row.rig == rig and "wish" in row.settings]
    return [
        Unfinished(row.session, row.settings, is_killed=row.settings["is_open"], is_last=row is sessions[-1])
        for row in sessions
        if row.settings["is_open"] or row.session in incomplete
    ]


def remember_known(folder: Path, known: Mapping[str, list[str]]) -> None:
    """Write down which photos were on the devices before a session; its own ones are told by that."""
    write_atomic(folder / _BEFORE, json.dumps(known).encode())


def next_number(workspace: Workspace, corpus: Corpus, session: str) -> int:
    """Return the first number that no shot and no photo of a session has."""
    shots = corpus.shots()
    numbers = [int(number) for number in shots[shots["session"] == session]["number"]]
    return 1 + max([*numbers, *(found.number for found in stored_photos(workspace.photos / session))], default=0)


@dataclass(frozen=True, slots=True)
class Known:
    """A shot as the corpus holds it."""

    past: PastShot
    status: str
    reason: str
    flags: tuple[str, ...]


def known_shots(workspace: Workspace, corpus: Corpus, rig: Rig, session: str) -> list[Known]:
    """Return a session's shots with what the corpus holds of them, in their order."""
    shots, photos = corpus.shots(), corpus.photos()
    owed = {device.name: device.suffixes for device in rig.devices}
    found = []
    for row in rows(shots[shots["session"] == session].sort_values("number")):
        retry_of = int(row.retry_of.rpartition("/")[2]) if isinstance(row.retry_of, str) else None
        at_ns = int(row.scheduled_ns) if pd.notna(row.scheduled_ns) else 0
        plan = ShotPlan(session, int(row.number), row.scene, at_ns, retry_of)
        mine = photos[(photos["shot"] == row.shot) & photos["device"].isin(owed)]
        stored = tuple(_stored(workspace, photo, is_doubted=row.status != "complete") for photo in rows(mine))
        clocks = {name: clock_from_json(known["clock"]) for name, known in row.devices.items() if "clock" in known}
        releases = {name: Release(*known["release"]) for name, known in row.devices.items() if "release" in known}
        past = PastShot(Shot(plan, owed, stored), clocks, releases)
        found.append(Known(past, row.status, row.reason, tuple(row.flags)))
    return found


def adopt_strays(
    workspace: Workspace, rig: Rig, session: str, known: list[Known], handling: Mapping[str, Handling], tell: Tell
) -> None:
    """Tell of photos that are whole in a session's folder and stand in no row: the kill came between the two."""
    folder = workspace.photos / session
    throw_away_halves(folder)
    roles = {device.name: device.role for device in rig.devices}
    stored = {photo.path.name for shot in known for photo in shot.past.shot.photos}
    by_number = {shot.past.shot.plan.number: shot.past for shot in known}
    for found in stored_photos(folder):
        past = by_number.get(found.number)
        if found.path.name not in stored and past is not None and found.device in roles:
            stamp = handling.get(found.device, Handling()).stamp
            tell(Stored(adopt(found, roles[found.device], past.shot.plan, past.clocks.get(found.device), stamp)))


def finish(session: Session, known: list[Known], folder: Path, tell: Tell) -> None:
    """Bring over what the devices hold of a killed session's shots, and settle every one of them."""
    on_devices = json.loads((folder / _BEFORE).read_text()) if (folder / _BEFORE).exists() else session.known_photos
    for shot in known:
        for photo in shot.past.shot.photos:
            on_devices.setdefault(photo.device, []).append(photo.on_device.path)
    results = session.resume([shot.past for shot in known], on_devices, tell)
    for shot, result in zip(known, results, strict=True):
        if shot.status != result.status or shot.reason == NOT_FINISHED:
            tell(Settled(result))


def _stored(workspace: Workspace, row: Any, *, is_doubted: bool) -> StoredPhoto:
    """Return a photo of the corpus; of an incomplete shot, it may be what is wrong: its file is examined again."""
    path = workspace.root / row.path
    shutter = None
    if pd.notna(row.shutter_ns) and pd.notna(row.shutter_bound_ns):
        shutter = ShutterTime(int(row.shutter_ns), int(row.shutter_bound_ns))
    return StoredPhoto(
        device=row.device,
        role=row.role,
        number=int(row.shot.rpartition("/")[2]),
        path=path,
        on_device=CameraFile(row.device_path, int(row.size_bytes)),
        sha256=row.sha256,
        release=None,
        meta=None,
        colour=None,
        shutter=shutter,
        damage=look_at(path, is_raw=path.suffix in RAW).damage if is_doubted and path.exists() else "",
    )
