"""Files staged photos under their shots' names and records them; a session begins with the first photo that is new."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from dpedkit.db import Corpus, DeviceRecord, PhotoRecord, SessionRecord, ShotRecord
from dpedkit.errors import CorpusError
from dpedkit.files import locked, storage_error, sync
from dpedkit.measures import MEASURES_VERSION
from dpedkit.stages.frames import rows
from dpedkit.stages.pairing import DSLR
from dpedkit.stages.photo_facts import facts_of
from dpedkit.stages.taking_in import TakenIn
from dpedkit.types import Json
from dpedkit.workspace import Workspace, unused_name


@dataclass(frozen=True, slots=True)
class Staged:
    """A photo of a shot whose file has been taken in."""

    device: str
    source: Path
    taken: TakenIn


@contextmanager
def staging(workspace: Workspace) -> Iterator[Path]:
    """Yield a folder for copies that are not recorded yet; what a killed import left there is removed first.

    Raises:
        StorageError: another import of this workspace is running, or the folder cannot be made.
    """
    folder = workspace.photos / ".import"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    with locked(folder / "lock", "importing photos into this workspace"):
        _clear(folder)
        yield folder
        _clear(folder)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "lock":
            path.unlink()


class Filer:
    """The one who files and records.

    devices   the DSLR and the phones
    settings  what the session is to remember: the folders, the clocks
    plan      what stands for the shots and their order: an import that was killed is continued in its session
    session   its name; "" before the first photo that is new
    """

    def __init__(
        self, workspace: Workspace, corpus: Corpus, devices: Sequence[str], settings: Json, plan: object
    ) -> None:
        self.session = ""
        self._workspace, self._corpus, self._devices = workspace, corpus, devices
        digest = hashlib.sha256(json.dumps(plan, default=str).encode()).hexdigest()
        self._settings: Json = settings | {"plan": digest, "finished": False}
        self._shots: dict[str, tuple[str, str]] = {}
        self._sources: dict[tuple[str, int], str] = {}
        self._paths: dict[str, str] = {}
        for photo in rows(corpus.photos()):
            self._shots[photo.sha256] = photo.shot, photo.device
            self._sources[photo.device_path, photo.size_bytes] = photo.sha256
            self._paths[photo.path] = photo.sha256

    def held(self, source: Path) -> str:
        """Return the SHA-256 of what the corpus holds from a file of this path and size; "" for none."""
        try:
            return self._sources.get((str(source.resolve()), source.stat().st_size), "")
        except OSError:
            return ""

    def knows(self, photo: Staged) -> bool:
        """Whether the corpus holds this photo."""
        return photo.taken.sha256 in self._shots

    def file(self, number: int, label: str, photos: Sequence[Staged]) -> str:
        """Give new photos their names and record them in their shot, which others of it may be in already.

        Returns the shot's key.

        Raises:
            CorpusError: a photo is in the corpus as another device's, or they are in different shots, or a shot has
                another photo in its place.
        """
        shots = set()
        for photo in photos:
            shot, device = self._shots.get(photo.taken.sha256, ("", photo.device))
            if device != photo.device:
                raise CorpusError(f"{photo.source} is in the corpus as a photo of {device} already ({shot})")
            shots |= {shot} - {""}
        if len(shots) > 1:
            raise CorpusError(f"its photos are in different shots already: {', '.join(sorted(shots))}")
        if not self.session:
            self._begin()
        key = next(iter(shots), f"{self.session}/{number:04d}")
        new = [photo for photo in photos if not self.knows(photo)]
        records = [self._record(photo, key) for photo in new]
        for photo, record in zip(new, records, strict=True):
            self._place(photo, record)
        if shots:
            for record in records:
                self._corpus.store.add_photo(key, record)
        else:
            self._corpus.store.add_shot(ShotRecord(key, self.session, number, label), records)
        for record in records:
            self._shots[record.sha256] = key, record.device
            self._paths[record.path] = record.sha256
        return key

    def finish(self) -> None:
        """Say that the plan has been gone through."""
        if session := self.session or self._unfinished():
            self._corpus.store.update_session(session, {"finished": True})

    def _unfinished(self) -> str:
        """Return the session that went through the same plan and was killed; "" for none."""
        for session in rows(self._corpus.sessions()):
            told = session.settings
            if session.rig == "import" and told.get("plan") == self._settings["plan"] and not told.get("finished"):
                return str(session.session)
        return ""

    def _begin(self) -> None:
        stamp = datetime.now(UTC).strftime("import-%Y%m%d-%H%M%S")
        self.session = self._unfinished() or unused_name(self._workspace.photos, stamp)
        (self._workspace.photos / self.session).mkdir(parents=True, exist_ok=True)
        devices = [DeviceRecord(name, "dslr" if name == DSLR else "phone") for name in self._devices]
        self._corpus.store.add_session(SessionRecord(self.session, "import", time.time_ns(), self._settings), devices)

    def _record(self, photo: Staged, shot: str) -> PhotoRecord:
        target = self._workspace.photos / f"{shot}_{photo.device}{photo.source.suffix.lower()}"
        path = self._workspace.relative(target)
        if path in self._paths:
            raise CorpusError(f"shot {shot} has another photo of {photo.device} already")
        measures = photo.taken.measures
        measured = asdict(measures) | {"measured": MEASURES_VERSION} if measures else {}
        return PhotoRecord(
            device=photo.device,
            path=path,
            sha256=photo.taken.sha256,
            size_bytes=photo.taken.size_bytes,
            device_path=str(photo.source.resolve()),
            **facts_of(photo.taken.meta),
            **measured,
        )

    def _place(self, photo: Staged, record: PhotoRecord) -> None:
        target = self._workspace.root / record.path
        if photo.taken.staged is None:
            raise CorpusError(f"{photo.source} changed while it was imported", "run the same command again")
        try:
            photo.taken.staged.replace(target)
            sync(target.parent)
        except OSError as error:
            raise storage_error(error, target) from error
