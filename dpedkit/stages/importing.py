"""Bring in photos that were not taken by our rig: one folder per camera, paired by file name or by order."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dpedkit.db import Corpus, DeviceRecord, PhotoRecord, SessionRecord, ShotRecord, open_corpus
from dpedkit.errors import CorpusError, DpedError, StorageError, UsageError
from dpedkit.files import atomic_file, sha256_file
from dpedkit.images import PhotoMeta, find_photos, read_meta
from dpedkit.progress import Progress
from dpedkit.workspace import Workspace, unused_name

Pairing = Literal["name", "order"]
DSLR = "dslr"


@dataclass(frozen=True, slots=True)
class Group:
    """The photos of one shot: device name -> file."""

    label: str
    photos: Mapping[str, Path]


@dataclass(slots=True)
class ImportReport:
    """What was brought in; unpaired and failed files each with the reason."""

    groups: list[Group] = field(default_factory=list)
    unpaired: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    known: int = 0
    session: str = ""


def import_folders(
    workspace: Workspace,
    dslr: Path,
    phones: Mapping[str, Path],
    *,
    pair_by: Pairing,
    dry_run: bool,
    progress: Progress,
) -> ImportReport:
    """Copy paired photos into the workspace and record them; the originals are not touched.

    Photos that are in the corpus already are recognised by their content. A shot of which all are is left as it is; one
    of which some are gets the others, so that a phone may be added later.

    Raises:
        UsageError: a folder is missing or empty, or nothing can be paired.
        StorageError: the disk is full; what was finished stays.
    """
    folders = {DSLR: dslr, **phones}
    groups, unpaired = pair(folders, pair_by)
    report = ImportReport(groups, unpaired)
    if not groups:
        raise UsageError(
            f"no photo of {dslr} goes with one of {', '.join(str(folder) for folder in phones.values())}",
            "give pairs the same file name, or use --pair-by order",
        )
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        importer = _Importer(workspace, corpus, folders)
        progress.start("import", len(groups))
        for number, group in enumerate(groups, start=1):
            try:
                hashes = {name: sha256_file(path) for name, path in group.photos.items()}
                if importer.knows(hashes.values()):
                    report.known += 1
                elif not dry_run:
                    importer.bring_in(number, group, hashes)
            except StorageError:
                raise
            except DpedError as error:
                report.failures[group.label] = error.cause
            progress.advance()
        report.session = importer.session
        progress.done(f"{len(groups) - report.known - len(report.failures)} shots, {report.known} known already")
    return report


def pair(folders: Mapping[str, Path], pair_by: Pairing) -> tuple[list[Group], dict[str, str]]:
    """Return the shots that the DSLR's photos make with the phones', and the files that stay alone, with why.

    name   files with the same name up to the suffix, in whatever case
    order  the first with the first, and so on, in order of file names

    Raises:
        UsageError: a folder is missing or empty; in order: folders of different lengths; by name: one twice.
    """
    files = {name: _photos(name, folder) for name, folder in folders.items()}
    if pair_by == "order":
        if len({len(found) for found in files.values()}) > 1:
            counts = ", ".join(f"{name} {len(found)}" for name, found in files.items())
            raise UsageError(
                f"pairing by order needs equally many photos of each camera: {counts}", "use --pair-by name"
            )
        rows = zip(*files.values(), strict=True)
        return [Group(row[0].name, dict(zip(files, row, strict=True))) for row in rows], {}
    by_stem = {name: _by_stem(name, found) for name, found in files.items()}
    dslr = by_stem[DSLR]
    groups, unpaired = [], {}
    for stem, path in dslr.items():
        partners = {name: stems[stem] for name, stems in by_stem.items() if stem in stems}
        if len(partners) > 1:
            groups.append(Group(path.stem, partners))
        else:
            unpaired[str(path)] = "no phone photo of this name"
    for name, stems in by_stem.items():
        unpaired |= {
            str(path): "no DSLR photo of this name" for stem, path in stems.items() if name != DSLR and stem not in dslr
        }
    return groups, unpaired


def _photos(name: str, folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{name}: {folder} is not a folder", "give the folder that holds this camera's photos")
    found = find_photos(folder)
    if not found:
        raise UsageError(f"{name}: no photos in {folder}", "JPEG, PNG, TIFF, MPO and HEIC files count")
    return found


def _by_stem(name: str, found: Sequence[Path]) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in found:
        if other := stems.get(path.stem.lower()):
            raise UsageError(
                f"{name}: {other.name} and {path.name} have the same name", "keep one of them in the folder"
            )
        stems[path.stem.lower()] = path
    return stems


class _Importer:
    """Files photos and records them; a session begins with the first photo that is new."""

    def __init__(self, workspace: Workspace, corpus: Corpus, folders: Mapping[str, Path]) -> None:
        self.session = ""
        self._workspace, self._corpus, self._folders = workspace, corpus, folders
        photos = corpus.photos()
        self._shots: dict[str, str] = dict(zip(photos["sha256"], photos["shot"], strict=True))

    def knows(self, hashes: Iterable[str]) -> bool:
        """Whether all of these photos are in the corpus."""
        return self._shots.keys() >= set(hashes)

    def bring_in(self, number: int, group: Group, hashes: Mapping[str, str]) -> None:
        """Copy a group's new photos, and record them in its shot, which others of it may be in already."""
        new = {name: path for name, path in group.photos.items() if hashes[name] not in self._shots}
        shots = {self._shots[sha256] for sha256 in hashes.values() if sha256 in self._shots}
        if len(shots) > 1:
            raise CorpusError(f"its photos are in different shots already: {', '.join(sorted(shots))}")
        limit_px = int(self._workspace.settings.images.limit_mp * 1e6)
        metas = {name: read_meta(path, limit_px=limit_px) for name, path in new.items()}  # before anything is written
        if not self.session:
            self._start_session()
        shot = next(iter(shots), f"{self.session}/{number:04d}")
        records = [self._file(name, path, hashes[name], shot, metas[name]) for name, path in new.items()]
        if shots:
            for record in records:
                self._corpus.store.add_photo(shot, record)
        else:
            self._corpus.store.add_shot(ShotRecord(shot, self.session, number, group.label), records)
        self._shots |= {record.sha256: shot for record in records}

    def _start_session(self) -> None:
        stamp = datetime.now(UTC).strftime("import-%Y%m%d-%H%M%S")
        key = unused_name(self._workspace.photos, stamp)
        (self._workspace.photos / key).mkdir(parents=True)
        devices = [DeviceRecord(name, "dslr" if name == DSLR else "phone") for name in self._folders]
        settings = {"folders": {name: str(folder.resolve()) for name, folder in self._folders.items()}}
        self._corpus.store.add_session(SessionRecord(key, "import", time.time_ns(), settings), devices)
        self.session = key

    def _file(self, name: str, source: Path, sha256: str, shot: str, meta: PhotoMeta) -> PhotoRecord:
        target = self._workspace.photos / f"{shot}_{name}{source.suffix.lower()}"
        if target.exists() and sha256_file(target) != sha256:
            raise CorpusError(f"shot {shot} has another photo of {name} already")
        with atomic_file(target) as temporary:
            shutil.copyfile(source, temporary)
            if sha256_file(temporary) != sha256:
                raise DpedError(f"{source} changed while it was copied", "run the same command again")
        return PhotoRecord(
            device=name,
            path=self._workspace.relative(target),
            sha256=sha256,
            size_bytes=target.stat().st_size,
            width=meta.width,
            height=meta.height,
            device_path=str(source.resolve()),
            taken_at=meta.taken_at.isoformat() if meta.taken_at else "",
            exposure_s=meta.exposure_s,
            f_number=meta.f_number,
            iso=meta.iso,
        )
