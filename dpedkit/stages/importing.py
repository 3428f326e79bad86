"""Bring in photos that were not taken by our rig: one folder per camera, paired by time, content, name or order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from dpedkit.db import open_corpus
from dpedkit.errors import DpedError, StorageError, UsageError
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.progress import Progress
from dpedkit.raw import is_raw
from dpedkit.stages.filing import Filer, Staged, staging
from dpedkit.stages.pairing import DSLR, Clock, Group, PairBy, Pairing, by_name, by_order
from dpedkit.stages.pairing_by_content import Eyes
from dpedkit.stages.pairing_by_time import by_time
from dpedkit.stages.takes import Take, find_takes, read_times, without_doubles
from dpedkit.stages.taking_in import TakeIn, TakenIn, take_in
from dpedkit.workspace import Workspace


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


def import_folders(
    workspace: Workspace,
    dslr: Path,
    phones: Mapping[str, Path],
    *,
    pair_by: PairBy = "auto",
    within_s: float = 2.0,
    link: bool = False,
    dry_run: bool,
    workers: Workers,
    progress: Progress,
) -> ImportReport:
    """Copy paired photos into the workspace and record them; the originals are not touched.

    Photos that are in the corpus already are recognised by their content. A shot of which all are is left as it is; one
    of which some are gets the others, so that a phone may be added later.

    within_s  photos of one shot were taken within this of each other, the clocks set against each other
    link      hard links instead of copies

    Raises:
        UsageError: a folder is missing or empty, nothing can be paired, or how is not clear.
        StorageError: the disk is full, or another import is running; what was finished stays.
    """
    folders = {DSLR: dslr, **phones}
    report = ImportReport()
    takes, report.unpaired = without_doubles({name: find_takes(name, folder) for name, folder in folders.items()})
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    if pair_by not in ("name", "order"):
        takes, report.failures = read_times(takes, limit_px, workers, progress)
    eyes = Eyes(limit_px, workers, progress)
    pairing = _paired(takes, pair_by, within_s, eyes)
    report.groups, report.clocks = pairing.groups, pairing.clocks
    report.unpaired |= pairing.unpaired
    if not report.groups:
        raise _nothing(folders, report)
    with open_corpus(workspace.root, workspace.settings.database) as corpus, staging(workspace) as folder:
        settings = {
            "folders": {name: str(path.resolve()) for name, path in folders.items()},
            "clocks": {clock.phone: [clock.offset_s, clock.drift_ppm] for clock in report.clocks},
        }
        plan = [{name: take.files for name, take in group.photos.items()} for group in report.groups]
        filer = Filer(workspace, corpus, list(folders), settings, plan)
        jobs = _jobs(report.groups, filer, None if dry_run else folder, limit_px, link=link)
        outcomes = run_parallel(take_in, [job for _, job in jobs], workers=workers, say=progress.say)
        _bring_in(report, filer, jobs, outcomes, dry_run, progress)
        if not dry_run:
            filer.finish()
        report.session = filer.session
    return report


def _paired(takes: Mapping[str, Sequence[Take]], pair_by: PairBy, within_s: float, eyes: Eyes) -> Pairing:
    if pair_by == "order":
        return by_order(takes)
    if pair_by == "name":
        return by_name(takes)
    return by_time(takes, within_s, eyes if pair_by == "auto" else None)


def _nothing(folders: Mapping[str, Path], report: ImportReport) -> UsageError:
    others = ", ".join(str(folder) for name, folder in folders.items() if name != DSLR)
    path, why = next(iter((report.unpaired | report.failures).items()), ("", ""))
    example = f" ({Path(path).name}: {why})" if path else ""
    return UsageError(
        f"no photo of {folders[DSLR]} goes with one of {others}{example}",
        "give pairs the same file name and use --pair-by name, or use --pair-by order",
    )


def _jobs(
    groups: Sequence[Group], filer: Filer, folder: Path | None, limit_px: int, *, link: bool
) -> list[tuple[tuple[int, str], TakeIn]]:
    """Return every file of every shot as a job, with the shot's number and the device."""
    jobs: list[tuple[tuple[int, str], TakeIn]] = []
    for number, group in enumerate(groups, start=1):
        for device, take in group.photos.items():
            for path in take.files:
                staged = folder and folder / f"{len(jobs):07d}{path.suffix.lower()}"
                is_picture = not is_raw(path) or len(take.files) == 1
                job = TakeIn(path, staged, filer.held(path), link, is_picture, limit_px)
                jobs.append(((number, device), job))
    return jobs


def _bring_in(
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
    if DSLR not in devices or len(devices) < 2:
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
