"""The shots of an import, whatever paired them: every file read once, in parallel; filed and recorded one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from dpedkit.db import Corpus
from dpedkit.errors import DpedError, StorageError
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.progress import Progress
from dpedkit.raw import is_raw
from dpedkit.stages.filing import Filer, Staged, staging
from dpedkit.stages.pairing import DSLR, Clock, Group
from dpedkit.stages.taking_in import TakeIn, TakenIn, take_in
from dpedkit.types import Json
from dpedkit.workspace import ImageSettings, Workspace


@dataclass(slots=True)
class ImportReport:
    """What was brought in, or would be.

    groups    the shots
    clocks    what the photos' times told of the phones' clocks
    unpaired  files that are in no shot, each with the reason
    failures  files that cannot be read, and shots that cannot be recorded, each with the reason
    imported  shots that got photos
    known     shots whose photos the corpus held already
    session   where they went; "" where nothing was new
    """

    groups: list[Group] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    unpaired: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    imported: int = 0
    known: int = 0
    session: str = ""


def bring_in(
    workspace: Workspace,
    corpus: Corpus,
    report: ImportReport,
    devices: Sequence[str],
    settings: Json,
    *,
    link: bool,
    dry_run: bool,
    workers: Workers,
    progress: Progress,
) -> None:
    """Copy and record the shots in `report.groups`; note there what became of them. In a dry run, only look.

    settings  what their session is to remember

    Raises:
        StorageError: the disk is full, or another import is running; what was finished stays.
    """
    with nullcontext() if dry_run else staging(workspace) as folder:
        plan = [{name: take.files for name, take in group.photos.items()} for group in report.groups]
        filer = Filer(workspace, corpus, devices, settings, plan)
        jobs = _jobs(report.groups, filer, folder, workspace.settings.images, link=link)
        outcomes = run_parallel(take_in, [job for _, job in jobs], workers=workers, say=progress.say)
        _record(report, filer, jobs, outcomes, dry_run, progress)
        if not dry_run:
            filer.finish()
        report.session = filer.session


def _jobs(
    groups: Sequence[Group], filer: Filer, folder: Path | None, images: ImageSettings, *, link: bool
) -> list[tuple[tuple[int, str], TakeIn]]:
    """Return every file of every shot as a job, with the shot's number and the device."""
    jobs: list[tuple[tuple[int, str], TakeIn]] = []
    for number, group in enumerate(groups, start=1):
        for device, take in group.photos.items():
            wanted = [path for path in take.files if is_raw(path) == (images.prefer == "raw")]
            picture = (wanted or take.files)[0]
            for path in take.files:
                staged = folder and folder / f"{len(jobs):07d}{path.suffix.lower()}"
                job = TakeIn(path, staged, filer.held(path), link, path == picture, int(images.limit_mp * 1e6))
                jobs.append(((number, device), job))
    return jobs


def _record(
    report: ImportReport,
    filer: Filer,
    jobs: Sequence[tuple[tuple[int, str], TakeIn]],
    outcomes: Iterator[Outcome[TakeIn, TakenIn]],
    dry_run: bool,
    progress: Progress,
) -> None:
    progress.start("import", len(jobs))
    numbered = zip((place for place, _ in jobs), outcomes, strict=True)
    for number, files in groupby(numbered, key=lambda pair: pair[0][0]):
        staged: list[Staged] = []
        for (_, device), outcome in files:
            if isinstance(outcome.error, StorageError):
                raise outcome.error  # a full disk is no fault of the file: the next would end the same way
            if outcome.value is None:
                report.failures[str(outcome.item.path)] = _cause(outcome)
            else:
                staged.append(Staged(device, outcome.item.path, outcome.value))
            progress.advance()
        _file(report, filer, number, staged, dry_run)
    progress.done(f"{report.imported} shots, {report.known} known already")


def _cause(outcome: Outcome[TakeIn, TakenIn]) -> str:
    return outcome.error.cause.removeprefix(f"{outcome.item}: ") if outcome.error else "no result"


def _file(report: ImportReport, filer: Filer, number: int, staged: Sequence[Staged], dry_run: bool) -> None:
    """Record what could be read of a shot; a photo whose partners all cannot be read stays out."""
    devices = {photo.device for photo in staged}
    alone = len(report.groups[number - 1].photos) == 1
    if not devices or (not alone and (DSLR not in devices or len(devices) < 2)):
        report.unpaired |= {str(photo.source): "what it goes with cannot be read" for photo in staged}
    elif all(filer.knows(photo) for photo in staged):
        report.known += 1
    else:
        try:
            if not dry_run:
                filer.file(number, report.groups[number - 1].label, staged)
            report.imported += 1
        except StorageError:
            raise
        except DpedError as error:
            report.failures[report.groups[number - 1].label] = error.cause
    for photo in staged:
        if photo.taken.staged is not None:
            photo.taken.staged.unlink(missing_ok=True)
