"""Bring in photos that were not taken by our rig: one folder per camera, paired by time, content, name or order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dpedkit.db import open_corpus
from dpedkit.errors import UsageError
from dpedkit.executor import Workers
from dpedkit.progress import Progress
from dpedkit.stages.bringing_in import ImportReport, bring_in
from dpedkit.stages.pairing import DSLR, PairBy, Pairing, by_name, by_order
from dpedkit.stages.pairing_by_content import Eyes
from dpedkit.stages.pairing_by_time import by_time
from dpedkit.stages.takes import Take, find_takes, read_times, without_doubles
from dpedkit.workspace import Workspace


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
    settings = {
        "folders": {name: str(path.resolve()) for name, path in folders.items()},
        "clocks": {clock.phone: [clock.offset_s, clock.drift_ppm] for clock in report.clocks},
    }
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        bring_in(
            workspace,
            corpus,
            report,
            list(folders),
            settings,
            link=link,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )
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
