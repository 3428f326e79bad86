"""Bring in photos that were not taken by our rig: one folder per camera, paired by file name or by order."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from dpedkit.db import Corpus, DeviceRecord, PhotoRecord, SessionRecord, ShotRecord, open_corpus
from dpedkit.errors import DpedError, ImageError, UsageError
from dpedkit.files import atomic_file, sha256_file
from dpedkit.images import find_photos, read_meta
from dpedkit.progress import Progress
from dpedkit.workspace import Workspace

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

    Shots that are in the corpus already are recognised by their photos' content and left out.

    Raises:
        UsageError: a folder is missing or empty, or nothing can be paired.
    """
    folders = {DSLR: dslr, **phones}
    groups, unpaired = pair(folders, pair_by)
    report = ImportReport(groups, unpaired)
    if not groups:
        raise UsageError(
            f"no photo of {dslr} goes with one of {', '.join(str(folder) for folder in phones.values())}",
            "give pairs the same file name, or use --pair-by order",
        )
    if dry_run:
        return report
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        known = set(corpus.photos()["sha256"])
        report.session = _start_session(workspace, corpus, folders)
        progress.start("import", len(groups))
        for number, group in enumerate(groups, start=1):
            try:
                hashes = {name: sha256_file(path) for name, path in group.photos.items()}
                if known & set(hashes.values()):
                    report.known += 1
                else:
                    _bring_in(workspace, corpus, report.session, number, group, hashes)
                    known |= set(hashes.values())
            except ImageError as error:
                report.failures[group.label] = error.cause
            progress.advance()
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


def _start_session(workspace: Workspace, corpus: Corpus, folders: Mapping[str, Path]) -> str:
    stamp = datetime.now(UTC).strftime("import-%Y%m%d-%H%M%S")
    key, again = stamp, 2
    while (workspace.photos / key).exists():
        key, again = f"{stamp}-{again}", again + 1
    (workspace.photos / key).mkdir(parents=True)
    devices = [DeviceRecord(name, "dslr" if name == DSLR else "phone") for name in folders]
    settings = {"folders": {name: str(folder.resolve()) for name, folder in folders.items()}}
    corpus.store.add_session(SessionRecord(key, "import", time.time_ns(), settings), devices)
    return key


def _bring_in(
    workspace: Workspace, corpus: Corpus, session: str, number: int, group: Group, hashes: Mapping[str, str]
) -> None:
    records = []
    for name, source in group.photos.items():
        meta = read_meta(source, limit_px=int(workspace.settings.images.limit_mp * 1e6))
        target = workspace.photos / session / f"{number:04d}_{name}{source.suffix.lower()}"
        with atomic_file(target) as temporary:
            shutil.copyfile(source, temporary)
            if sha256_file(temporary) != hashes[name]:
                raise DpedError(f"{source} changed while it was copied", "run the same command again")
        records.append(
            PhotoRecord(
                device=name,
                path=workspace.relative(target),
                sha256=hashes[name],
                size_bytes=target.stat().st_size,
                width=meta.width,
                height=meta.height,
                device_path=str(source.resolve()),
                taken_at=meta.taken_at.isoformat() if meta.taken_at else "",
                exposure_s=meta.exposure_s,
                f_number=meta.f_number,
                iso=meta.iso,
            )
        )
    corpus.store.add_shot(ShotRecord(f"{session}/{number:04d}", session, number, group.label), records)
