"""Every file that the index names, compared with its checksum, and every file that it does not name."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dpedkit.db import open_corpus, open_shard
from dpedkit.db.checking import Index, read_index
from dpedkit.errors import CorpusError, DpedError
from dpedkit.executor import Workers, processors
from dpedkit.files import sha256_file, storage_error
from dpedkit.images import PHOTO_SUFFIXES
from dpedkit.progress import Progress
from dpedkit.raw import RAW_SUFFIXES
from dpedkit.stages.patches import build_patches
from dpedkit.workspace import Workspace

LOST = "lost+found"

_YOUNG_S = 3600  # a file is written before its row: younger ones may belong to a command that runs
_HARMLESS = ("unused", "leftover", "orphan", "decision")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it should be.

    kind    "missing", "size", "changed", "unreadable" (a file that the index names), "index" (rows that contradict
            each other); harmless: "unused", "leftover" (files that nothing names), "orphan" (a photo of no shot),
            "decision" (on what is gone)
    what    the file, relative to the workspace, or the rows
    found   one line
    remedy  what to do
    """

    kind: Literal["missing", "size", "changed", "unreadable", "index", "unused", "leftover", "orphan", "decision"]
    what: str
    found: str
    remedy: str

    @property
    def is_damage(self) -> bool:
        """Whether something is lost or wrong, not merely in the way."""
        return self.kind not in _HARMLESS


@dataclass(slots=True, kw_only=True)
class CheckReport:
    """What was found, and what of it was mended.

    files, size_bytes  looked at
    faults             as found
    repaired           the faults' `what` -> what was done
    """

    files: int
    size_bytes: int
    faults: list[Fault]
    repaired: dict[str, str] = field(default_factory=dict)

    @property
    def damage(self) -> list[Fault]:
        """What is lost or wrong, and was not mended."""
        return [fault for fault in self.faults if fault.is_damage and fault.what not in self.repaired]


def check_files(
    workspace: Workspace, *, quick: bool, repair: bool, workers: Workers, progress: Progress
) -> CheckReport:
    """Compare the files with the index; mend what can be made again.

    quick   look at names, sizes and headers only: a flipped bit stays unseen
    repair  cut damaged shards again, and move what nothing names to lost+found/

    Raises:
        CorpusError: the index cannot be read.
        StorageError: the disk is full, or a folder cannot be written.
    """
    with open_corpus(workspace.root, workspace.settings.database):
        pass  # brought to this version's schema, after a backup
    index = read_index(workspace.root, workspace.settings.database)
    sizes = {path: size for path, (_, size) in index.photos.items()}
    sizes |= {f"patches/{name}": _size(workspace.patches / name) for name in index.shards}
    faults = list(_faults_of_files(workspace, index, sizes, quick, progress))
    faults += [Fault("index", "the index", line, "put back a backup (*.backup-*)") for line in index.broken]
    faults += _not_named(workspace, index)
    for kind, keys in index.adrift.items():
        remedy = "nothing to do: it holds again if the same comes back"
        faults += [Fault("decision", f"{kind} {key}", f"decided, but there is no such {kind}", remedy) for key in keys]
    report = CheckReport(files=len(sizes), size_bytes=sum(sizes.values()), faults=faults)
    if repair:
        _clear_away(workspace, report)
        _cut_again(workspace, report, workers, progress)
    return report


def _faults_of_files(
    workspace: Workspace, index: Index, sizes: dict[str, int], quick: bool, progress: Progress
) -> Iterator[Fault]:
    """Yield what is wrong with the files that the index names, in order of their names."""

    def look(path: str) -> Fault | None:
        if path in index.photos:
            return _photo_fault(workspace.root / path, path, *index.photos[path], quick)
        name = path.removeprefix("patches/")
        return _shard_fault(workspace.patches, name, index.shards[name], quick)

    progress.start("check files, MB", round(sum(sizes.values()) / 1e6))
    seen, told = 0, 0
    with ThreadPoolExecutor(processors()) as pool:  # threads are enough: hashing lets the others run
        for path, fault in zip(sorted(sizes), pool.map(look, sorted(sizes)), strict=True):
            seen += sizes[path]
            progress.advance(round(seen / 1e6) - told)
            told = round(seen / 1e6)
            if fault is not None:
                yield fault
    progress.done()


def _photo_fault(file: Path, path: str, sha256: str, size_bytes: int, quick: bool) -> Fault | None:
    remedy = f"restore it from your backup (sha256 {sha256})"
    try:
        size = file.stat().st_size
        if size != size_bytes:
            return Fault("size", path, f"{size} bytes, not {size_bytes}", remedy)
        if not quick and sha256_file(file) != sha256:
            return Fault("changed", path, "its bytes are not those that came from the camera", remedy)
    except FileNotFoundError:
        return Fault("missing", path, "it is not there", remedy)
    except OSError as error:
        return Fault("unreadable", path, str(error.strerror), "check the disk and the file's rights")
    return None


def _shard_fault(folder: Path, name: str, rows: int, quick: bool) -> Fault | None:
    path, remedy = f"patches/{name}", "run `dpedkit fsck --repair`: it is cut again from its photos"
    if not rows:
        return None  # no patch lies in it: whether it is there does not matter
    try:
        found = len(open_shard(folder, name))
        if found < rows:
            return Fault("size", path, f"{found} rows, not {rows}", remedy)
        if not quick and f"{sha256_file(folder / name)}.npy" != name:
            return Fault("changed", path, "its bytes are not those that were written", remedy)
    except CorpusError as error:
        kind: Literal["size", "missing"] = "size" if (folder / name).exists() else "missing"
        return Fault(kind, path, error.cause.removeprefix(f"the shard {folder / name} "), remedy)
    except OSError as error:
        return Fault("unreadable", path, str(error.strerror), "check the disk and the file's rights")
    return None


def _not_named(workspace: Workspace, index: Index) -> Iterator[Fault]:
    """Yield files that no row names and that no running command can be about to name."""
    used = {name for name, rows in index.shards.items() if rows}
    now = time.time()
    for folder in (workspace.patches, workspace.photos):
        for file in sorted(folder.rglob("*")):
            path = workspace.relative(file)
            if not file.is_file() or now - file.stat().st_mtime < _YOUNG_S:
                continue
            if file.name.endswith(".part"):
                if not _is_alive(file.name):
                    yield Fault("leftover", path, "half a file of a command that was killed", _REMEDY)
            elif folder == workspace.patches and file.suffix == ".npy" and file.name not in used:
                yield Fault("unused", path, "no patch lies in it", _REMEDY)
            elif _is_orphan(file, path, index):
                yield Fault("orphan", path, "a photo that no shot has", _TAKE_IN)


def _is_orphan(file: Path, path: str, index: Index) -> bool:
    """Whether a photo was stored and never recorded; what an import has staged is for the next import to remove."""
    return (
        file.suffix.lower() in PHOTO_SUFFIXES | RAW_SUFFIXES
        and path not in index.photos
        and ".import" not in file.parts
    )


_TAKE_IN = "`dpedkit capture --resume` takes up what a killed session left, `dpedkit import` any other"
_REMEDY = f"run `dpedkit fsck --repair`: it is moved to {LOST}/"


def _is_alive(name: str) -> bool:
    """Whether the process that writes a file called .NAME.PID.part is running."""
    number = name.split(".")[-2]
    if not number.isdigit():
        return True  # not one of ours: leave it alone
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _clear_away(workspace: Workspace, report: CheckReport) -> None:
    for fault in report.faults:
        if fault.kind in ("unused", "leftover"):
            _move(workspace.root / fault.what, workspace.root / LOST / fault.what)
            report.repaired[fault.what] = f"moved to {LOST}/"


def _cut_again(workspace: Workspace, report: CheckReport, workers: Workers, progress: Progress) -> None:
    """Set damaged shards aside and cut them again; one that does not come back the same is put back as it was."""
    damaged = [fault.what for fault in report.damage if fault.what.startswith("patches/")]
    if not damaged:
        return
    aside = {path: workspace.root / LOST / path for path in damaged if (workspace.root / path).exists()}
    for path, place in aside.items():
        _move(workspace.root / path, place)
    try:
        build_patches(workspace, workers=workers, dry_run=False, progress=progress)
    except DpedError as error:
        progress.say(f"could not cut again: {error.cause}")
    wanted = read_index(workspace.root, workspace.settings.database).shards
    for path in damaged:
        name = path.removeprefix("patches/")
        if (workspace.root / path).exists():
            report.repaired[path] = "cut again, the same bytes"
        elif not wanted.get(name):
            report.repaired[path] = "cut again; this version's bytes are others, so its patches lie in a new shard"
        elif path in aside:
            _move(aside[path], workspace.root / path)


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error
