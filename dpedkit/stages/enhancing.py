"""Enhance whole photos with a trained generator."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpedkit.errors import DpedError, StorageError, UsageError
from dpedkit.executor import Outcome, Workers, processors, run_parallel
from dpedkit.files import storage_error
from dpedkit.images import LIMIT_PX, PHOTO_SUFFIXES, find_photos, read_meta, read_rgb
from dpedkit.memory import available_bytes
from dpedkit.photo_writing import result_suffix
from dpedkit.progress import Progress
from dpedkit.stages.enhance_one import Item, Work, enhance_item, generator
from dpedkit.train.device import pick_device
from dpedkit.train.inference import MEMORY_BYTES
from dpedkit.train.inference.choosing import choose_backend
from dpedkit.train.weights import load_stamp
from dpedkit.types import U8

_LARGE_PX = 6_000_000  # of all photos: from here on a trial of backends and the start of workers are paid back
_ROOM = 2.5  # times --memory that each of several workers gets: decoding and writing have their peaks, too
_LIMIT_S = 24 * 3600.0  # for one photo, in a worker


@dataclass(slots=True)
class EnhanceReport:
    """Input -> output of what was done; input -> cause of what failed; outputs that were there already.

    stamp      what must stand beside the results, and is in them as a comment: see train/stamp.py
    backend, precision, device    what computed; "" where nothing was to be done
    trial_s    backend -> the time that it took for the same strips, where "auto" has tried them
    jobs       photos that were enhanced at the same time
    notes      what was asked for and cannot be, and why
    """

    written: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    stamp: str = ""
    backend: str = ""
    precision: str = ""
    device: str = ""
    trial_s: Mapping[str, float] = field(default_factory=dict)
    jobs: int = 1
    notes: Sequence[str] = ()


def enhance_photos(
    photos: Sequence[Path],
    model: Path,
    output: Path,
    *,
    device: str,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
    backend: str = "auto",
    fast: bool = False,
    jobs: int = 0,
    memory_bytes: int = MEMORY_BYTES,
    with_place: bool = True,
) -> EnhanceReport:
    """Enhance photos (files, folders of them, or patterns) into the folder `output`, under their own names.

    A HEIC or MPO photo becomes a JPEG. An output that is there already is left as it is unless `overwrite`; one that
    would replace its own input is refused then too, unless `output` is that folder and `overwrite` asks for it.

    backend, fast  see `choose_backend`
    jobs           photos at the same time; 0: as many as there are processors and memory for
    memory_bytes   of each of them, see `enhance`; scratch files lie in `output`
    with_place     whether the results' EXIF may tell where a photo was taken

    Raises:
        UsageError: no photos, or two of the same name.
        WeightsError: the model cannot be read.
        TrainError: the backend does not compute on that device.
        StorageError: the disk is full, or the folder cannot be written.
    """
    plan = _plan(photos, output)
    todo = {source: target for source, target in plan.items() if overwrite or not target.exists()}
    report = EnhanceReport(skipped=[str(target) for source, target in plan.items() if source not in todo])
    if dry_run:
        report.written = {str(source): str(target) for source, target in todo.items()}
        return report
    report.stamp = load_stamp(model)
    generator(model)  # one that cannot be read is told before anything is done
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, output) from error
    if not todo:
        return report
    sample, all_px = _sample(list(todo))
    large = all_px >= _LARGE_PX
    if device == "auto" and backend not in ("auto", "torch"):
        device = "cpu"  # the only one that they know
    place = pick_device(device)
    with_trial = large and backend == "auto" and place.type == "cpu"
    choice = choose_backend(
        backend, place, fast=fast, generator=generator(model), rgb=_pixels(sample) if with_trial else None
    )
    report.backend, report.precision, report.device = choice.backend, choice.precision, str(place)
    report.notes, report.trial_s = choice.notes, choice.trial_s
    for note in choice.notes:
        progress.say(note)
    report.jobs = _jobs(jobs, len(todo), memory_bytes, alone=place.type != "cpu" or not large)
    threads = max(1, processors() // report.jobs) if report.jobs > 1 else 0
    work = Work(model, str(place), choice.backend, choice.half, memory_bytes, output, report.stamp, with_place, threads)
    _enhance_all([Item(source, target, work) for source, target in todo.items()], report, progress)
    return report


def _sample(sources: Sequence[Path]) -> tuple[Path | None, int]:
    """Return the first photo whose header can be read, and how many pixels all have if they are like that one."""
    for source in sources:
        try:
            meta = read_meta(source, limit_px=LIMIT_PX)
        except DpedError:
            continue
        return source, meta.width * meta.height * len(sources)
    return None, 0


def _pixels(source: Path | None) -> U8 | None:
    try:
        return None if source is None else read_rgb(source, limit_px=LIMIT_PX)
    except DpedError:
        return None  # it is told when its turn comes


def _jobs(wanted: int, photos: int, memory_bytes: int, *, alone: bool) -> int:
    """Return how many photos are enhanced at the same time.

    alone  whether one after the other is best: a GPU does one thing, and workers take seconds to start
    """
    if wanted or alone:
        return min(wanted or 1, photos)
    free = available_bytes()
    room = photos if free is None else int(free / (_ROOM * memory_bytes))
    return max(1, min(photos, processors(), room))


def _enhance_all(items: Sequence[Item], report: EnhanceReport, progress: Progress) -> None:
    progress.start("enhance", len(items))
    outcomes: Iterator[Outcome[Item, None]]
    if report.jobs > 1:
        outcomes = run_parallel(enhance_item, items, workers=Workers(report.jobs), timeout_s=_LIMIT_S, say=progress.say)
    else:
        outcomes = _one_by_one(items, progress)
    for outcome in outcomes:
        if isinstance(outcome.error, StorageError):
            raise outcome.error
        if outcome.error is None:
            report.written[str(outcome.item.source)] = str(outcome.item.target)
        else:
            report.failures[str(outcome.item.source)] = outcome.error.cause
        progress.advance(note=outcome.item.source.name)
    progress.done(f"{len(report.written)} photos")


def _one_by_one(items: Sequence[Item], progress: Progress) -> Iterator[Outcome[Item, None]]:
    for item in items:
        try:
            enhance_item(item, progress.within)
        except DpedError as error:
            yield Outcome(item, None, error)
        else:
            yield Outcome(item, None, None)


def _plan(photos: Sequence[Path], output: Path) -> dict[Path, Path]:
    plan: dict[Path, Path] = {}
    for given in photos:
        for source in _found(given, output):
            plan[source] = output / f"{source.stem}{result_suffix(source.suffix)}"
    if not plan:
        raise UsageError(
            f"no photos in {', '.join(map(str, photos))}", f"photos end in {', '.join(sorted(PHOTO_SUFFIXES))}"
        )
    if len(set(plan.values())) < len(plan):
        seen: dict[Path, Path] = {}
        for source, target in plan.items():
            if other := seen.get(target):
                raise UsageError(
                    f"{other} and {source} would both become {target}", "enhance them into different folders"
                )
            seen[target] = source
    return plan


def _found(given: Path, output: Path) -> list[Path]:
    """Return the photos that a file, a folder or a pattern stands for; results of before are none."""
    if given.is_dir():
        return find_photos(given)
    if given.exists():
        return [given]
    if not glob.has_magic(str(given)):
        raise UsageError(
            f"{given}: no such file or folder", "give photos, folders of photos, or a pattern such as '**/*.jpg'"
        )
    matches = sorted(Path(match) for match in glob.glob(str(given), recursive=True))  # noqa: PTH207  (Path.glob: 3.13)
    photos = [path for path in matches if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()]
    return [path for path in photos if not path.resolve().is_relative_to(output.resolve())]
