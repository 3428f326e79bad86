"""The photos in a camera's folder: each once, in however many formats, and when it was taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from dpedkit.errors import DpedError, UsageError
from dpedkit.executor import Workers, run_parallel
from dpedkit.files import sha256_file
from dpedkit.images import find_photos, read_meta
from dpedkit.progress import Progress
from dpedkit.raw import is_raw

_HEIC = (".heic", ".heif")


@dataclass(frozen=True, slots=True)
class Take:
    """One photo that a camera took.

    files     as one file or, in several formats, more: what it is looked at in first, RAW last
    taken_at  by the camera's own clock; None: not read, or it does not tell
    step_s    resolution of that clock
    """

    device: str
    files: tuple[Path, ...]
    taken_at: datetime | None = None
    step_s: float = 1.0

    @property
    def path(self) -> Path:
        """The file that it is looked at in."""
        return self.files[0]


@dataclass(frozen=True, slots=True)
class Header:
    """A file whose header is to be read, for a worker process."""

    path: Path
    limit_px: int

    def __str__(self) -> str:
        return str(self.path)


def find_takes(device: str, folder: Path) -> list[Take]:
    """Return what lies directly in a camera's folder, in order of names.

    RAW and JPEG (or HEIC and JPEG) of the same name are one photo in two formats.

    Raises:
        UsageError: no such folder, no photos in it, or two photos of one name that are not formats of each other.
    """
    if not folder.is_dir():
        raise UsageError(f"{device}: {folder} is not a folder", "give the folder that holds this camera's photos")
    by_stem: dict[str, list[Path]] = {}
    for path in find_photos(folder, with_raw=True):
        by_stem.setdefault(path.stem.lower(), []).append(path)
    if not by_stem:
        raise UsageError(f"{device}: no photos in {folder}", "JPEG, PNG, TIFF, MPO, HEIC and RAW files count")
    return [Take(device, _formats(device, files)) for files in by_stem.values()]


def _formats(device: str, files: Sequence[Path]) -> tuple[Path, ...]:
    kinds = ["raw" if is_raw(path) else "heic" if path.suffix.lower() in _HEIC else "picture" for path in files]
    if len(set(kinds)) < len(kinds):
        twice = [path.name for path, kind in zip(files, kinds, strict=True) if kinds.count(kind) > 1]
        raise UsageError(f"{device}: {twice[0]} and {twice[1]} have the same name", "keep one of them in the folder")
    order = ("picture", "heic", "raw")
    return tuple(path for _, path in sorted(zip(kinds, files, strict=True), key=lambda pair: order.index(pair[0])))


def read_times(
    takes: Mapping[str, Iterable[Take]], limit_px: int, workers: Workers, progress: Progress
) -> tuple[dict[str, list[Take]], dict[str, str]]:
    """Return the takes with their times, and the files that cannot be read, each with why."""
    everything = [take for each in takes.values() for take in each]
    timed: dict[str, list[tuple[Take, timedelta | None]]] = {device: [] for device in takes}
    failures: dict[str, str] = {}
    progress.start("read times", len(everything))
    headers = [Header(take.path, limit_px) for take in everything]
    outcomes = run_parallel(read_time, headers, workers=workers, say=progress.say)
    for take, outcome in zip(everything, outcomes, strict=True):
        if outcome.value is None:
            failures[str(take.path)] = _without_path(outcome.error, take.path)
        else:
            taken_at, step_s, zone = outcome.value
            timed[take.device].append((replace(take, taken_at=taken_at, step_s=step_s), zone))
        progress.advance()
    progress.done()
    return {device: _in_one_zone(own) for device, own in timed.items()}, failures


def read_time(header: Header) -> tuple[datetime | None, float, timedelta | None]:
    """Return when a photo says that it was taken, the resolution of that, s, and in which time zone."""
    meta = read_meta(header.path, limit_px=header.limit_px)
    return meta.taken_at, meta.taken_step.total_seconds(), meta.utc_offset


def _in_one_zone(takes: Sequence[tuple[Take, timedelta | None]]) -> list[Take]:
    """Return the takes with their times in UTC if all tell their time zone: a phone that travels changes its own."""
    told = [zone for take, zone in takes if take.taken_at is not None]
    if any(zone is None for zone in told) or len(set(told)) < 2:
        return [take for take, _ in takes]
    return [replace(take, taken_at=_utc(take.taken_at, zone)) for take, zone in takes]


def _utc(taken_at: datetime | None, zone: timedelta | None) -> datetime | None:
    return None if taken_at is None or zone is None else taken_at - zone


def _without_path(error: DpedError | None, path: Path) -> str:
    return error.cause.removeprefix(f"{path}: ") if error else "no result"


def without_doubles(takes: Mapping[str, Sequence[Take]]) -> tuple[dict[str, list[Take]], dict[str, str]]:
    """Return the takes without those that repeat another one's bytes, and those files with what they repeat.

    Of such files the one with the shortest name stays: copies are called "IMG_1 (1).JPG". Only files of the same size
    are read.
    """
    kept: dict[str, list[Take]] = {}
    doubles: dict[str, str] = {}
    for device, own in takes.items():
        sizes = {take.path: take.path.stat().st_size for take in own}
        often = Counter(sizes.values())
        seen: dict[str, Path] = {}
        for path in sorted(sizes, key=lambda path: (len(path.name), path.name)):
            first = seen.setdefault(sha256_file(path) if often[sizes[path]] > 1 else str(path), path)
            if first != path:
                doubles[str(path)] = f"the same bytes as {first.name}"
        kept[device] = [take for take in own if str(take.path) not in doubles]
    return kept, doubles
