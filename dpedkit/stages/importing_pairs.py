"""Bring in photos that are aligned already, pixel on pixel: two folders with the same names, BasicSR's layout."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dpedkit.align import given_alignment
from dpedkit.db import AlignmentRecord, Corpus, open_corpus
from dpedkit.errors import UsageError
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import read_meta
from dpedkit.progress import Progress
from dpedkit.stages import given
from dpedkit.stages.bringing_in import ImportReport, bring_in
from dpedkit.stages.frames import rows
from dpedkit.stages.pairing import DSLR, Group, by_name
from dpedkit.stages.takes import Header, Take, find_takes
from dpedkit.workspace import Workspace


def import_pairs(
    workspace: Workspace,
    inputs: Path,
    targets: Path,
    *,
    phone: str,
    meta_info: Path | None = None,
    link: bool = False,
    dry_run: bool,
    workers: Workers,
    progress: Progress,
) -> ImportReport:
    """Copy pairs of photos of equal size into the workspace, as aligned: `dpedkit build-patches` is next.

    inputs     folder of the phone's photos (BasicSR's lq)
    targets    folder of the photos to be reached (BasicSR's gt)
    meta_info  a file whose lines begin with the names of the pairs to take; None: all

    Raises:
        UsageError: a folder is missing or empty, the file names none of its photos, or no pair can be taken.
        StorageError: the disk is full, or another import is running; what was finished stays.
    """
    report = ImportReport()
    takes = {DSLR: find_takes(DSLR, targets), phone: find_takes(phone, inputs)}
    if meta_info is not None:
        takes, report.failures = _listed(takes, meta_info)
    pairing = by_name(takes)
    report.unpaired = pairing.unpaired
    report.groups = _of_one_size(workspace, pairing.groups, report, workers, progress)
    if not report.groups:
        path, why = next(iter((report.failures | report.unpaired).items()), ("", "the folders have no name in common"))
        raise UsageError(
            f"no pair of {inputs} and {targets} can be taken: {f'{path}: ' if path else ''}{why}",
            "both folders must hold the same names, and both photos of a pair the same number of pixels",
        )
    settings = {"folders": {DSLR: str(targets.resolve()), phone: str(inputs.resolve())}, "aligned": True}
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        bring_in(
            workspace,
            corpus,
            report,
            [DSLR, phone],
            settings,
            link=link,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )
        if not dry_run:
            _align(corpus)
    return report


def _listed(takes: Mapping[str, Sequence[Take]], meta_info: Path) -> tuple[dict[str, list[Take]], dict[str, str]]:
    """Return the takes that a meta info file names ("0001.png (480,480,3)"), and what it names in vain."""
    try:
        lines = meta_info.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{meta_info} cannot be read: {error}", "give BasicSR's meta info file") from error
    names = dict.fromkeys(Path(line.split(" (")[0].strip()).stem.lower() for line in lines if line.strip())
    missing: dict[str, str] = {}
    for device, own in takes.items():
        stems = {take.path.stem.lower() for take in own}
        folder = own[0].path.parent
        missing |= {
            f"{meta_info}: {name}": f"{folder} ({device}) has no photo of this name"
            for name in names
            if name not in stems
        }
    return {device: [take for take in own if take.path.stem.lower() in names] for device, own in takes.items()}, missing


def _of_one_size(
    workspace: Workspace, groups: Sequence[Group], report: ImportReport, workers: Workers, progress: Progress
) -> list[Group]:
    """Return the groups whose photos have the same size; the others are failures that name both sizes."""
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    headers = [Header(take.path, limit_px) for group in groups for take in group.photos.values()]
    progress.start("read sizes", len(headers))
    sizes: dict[Path, tuple[int, int]] = {}
    for outcome in run_parallel(read_size, headers, workers=workers, say=progress.say):
        if outcome.value is not None:
            sizes[outcome.item.path] = outcome.value
        else:
            cause = outcome.error.cause if outcome.error else "no result"
            report.failures[str(outcome.item)] = cause.removeprefix(f"{outcome.item}: ")
        progress.advance()
    progress.done()
    good = []
    for group in groups:
        paths = [take.path for take in group.photos.values()]
        if not all(path in sizes for path in paths):
            continue
        target, given_size = (sizes[path] for path in paths)
        if target == given_size:
            good.append(group)
        else:
            report.failures[str(paths[1])] = _other_size(given_size, target)
    return good


def read_size(header: Header) -> tuple[int, int]:
    """Return a photo's (width, height), px."""
    meta = read_meta(header.path, limit_px=header.limit_px)
    return meta.width, meta.height


def _other_size(size: tuple[int, int], target: tuple[int, int]) -> str:
    shown = f"{size[0]} x {size[1]} px, its target {target[0]} x {target[1]}"
    factors = {large / small for large, small in zip(target, size, strict=True)}
    if len(factors) == 1 and (factor := factors.pop()).is_integer():
        return f"{shown}: a pair for super-resolution by {factor:.0f}; dpedkit needs both at one size"
    return f"{shown}: these are not aligned pixel on pixel"


def _align(corpus: Corpus) -> None:
    """Record the identity for pairs of such sessions that have no alignment: those of this import, or a killed one."""
    aligned = {row.session for row in rows(corpus.sessions()) if row.settings.get("aligned")}
    pairs, photos = corpus.pairs(), corpus.photos().set_index("sha256")
    for pair in rows(pairs[pairs["session"].isin(list(aligned)) & (pairs["status"] == "new")]):
        photo = photos.loc[pair.phone_sha256]
        alignment = given_alignment((int(photo["width"]), int(photo["height"])))
        words = f"{given.ALIGNED} {pair.phone_sha256} {pair.dslr_sha256}"
        corpus.store.add_alignment(
            AlignmentRecord(
                key=hashlib.sha256(words.encode()).hexdigest(),
                phone_sha256=pair.phone_sha256,
                dslr_sha256=pair.dslr_sha256,
                version=given.ALIGNED,
                status="aligned",
                model=alignment.to_dict(),
                overlap=alignment.overlap_share,
                trusted_share=alignment.trusted_share,
            )
        )
