"""Bring in the public DPED dataset: patches that were cut already, with their own split, and whole test photos.

    ROOT/PHONE/training_data/{PHONE,canon}/N.jpg          patches to train on
    ROOT/PHONE/test_data/patches/{PHONE,canon}/N.jpg      patches to test on
    ROOT/PHONE/test_data/full_size_test_images/*.jpg      whole photos of the phone

The patches go to shards, a thousand to a shot. In place of the photos that they were cut from, which nobody gave us,
each shot has two manifests: lists of the files with their SHA-256, in order of the shard's rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dpedkit.db import AlignmentRecord, Corpus, SplitName, open_corpus, using_shards
from dpedkit.errors import StorageError, UsageError
from dpedkit.executor import Workers, run_parallel
from dpedkit.progress import Progress
from dpedkit.stages import given
from dpedkit.stages.bringing_in import ImportReport, bring_in
from dpedkit.stages.dped_chunks import Chunk, CutChunk, cut_chunk
from dpedkit.stages.filing import Filer, Staged, staging
from dpedkit.stages.pairing import DSLR, Group
from dpedkit.stages.takes import find_takes
from dpedkit.workspace import Workspace

CHUNK = 1000
_CANON = "canon"
_PATCHES: dict[SplitName, str] = {"train": "training_data", "test": "test_data/patches"}
_WHOLE = "test_data/full_size_test_images"


@dataclass(frozen=True, slots=True)
class PatchFolder:
    """The patches of one phone and split: their names in order of number, where both cameras have them."""

    phone: str
    split: SplitName
    pairs: int


@dataclass(slots=True)
class DpedReport:
    """What was brought in, or would be.

    folders   what there is
    photos    whole photos, by phone
    patches   that were brought in; known: that the corpus had
    unpaired  files that one camera has alone
    failures  files that cannot be used
    session   where the patches went; "" where nothing was new
    """

    folders: list[PatchFolder] = field(default_factory=list)
    photos: dict[str, int] = field(default_factory=dict)
    patches: int = 0
    known: int = 0
    unpaired: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    session: str = ""


def import_dped(
    workspace: Workspace,
    root: Path,
    *,
    phones: Sequence[str] = (),
    dry_run: bool,
    workers: Workers,
    progress: Progress,
) -> DpedReport:
    """Bring in the patches of a copy of DPED, with the dataset's own split, and its whole photos.

    phones  which to take; none: all that are there

    Raises:
        UsageError: there is no such dataset, or it has no such phone.
        StorageError: the disk is full, or another import is running; what was finished stays.
    """
    report = DpedReport()
    chosen = _phones(root, phones)
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        held = _held(corpus)
        chunks = list(_chunks(workspace, root, chosen, frozenset(held), report))
        if not dry_run and chunks:
            _cut(workspace, corpus, root, chosen, chunks, held, report, workers, progress)
        _whole_photos(workspace, corpus, root, chosen, report, dry_run, workers, progress)
    return report


def _phones(root: Path, wanted: Sequence[str]) -> list[str]:
    there = sorted(
        path.name
        for path in (root.iterdir() if root.is_dir() else ())
        if any((path / folder / _CANON).is_dir() for folder in _PATCHES.values()) or (path / _WHOLE).is_dir()
    )
    if not there:
        raise UsageError(
            f"{root} does not hold DPED: no PHONE/training_data/canon in it",
            "give the folder in which iphone/, sony/ and blackberry/ lie",
        )
    if missing := sorted(set(wanted) - set(there)):
        raise UsageError(f"{root} has no phone {missing[0]!r}", f"it has: {', '.join(there)}")
    return list(wanted) or there


def _held(corpus: Corpus) -> dict[str, int]:
    """Return the alignments whose patches are in the corpus, whole, and how many these are."""
    pairs = corpus.pairs()
    whole = pairs["patches_key"].notna() & ~pairs["shard"].isin(list(corpus.broken_shards()))
    there = pairs[whole & (pairs["version"] == given.CUT)]
    return dict(zip(there["alignment"], there["patches"].tolist(), strict=True))


def _chunks(
    workspace: Workspace, root: Path, phones: Sequence[str], held: frozenset[str], report: DpedReport
) -> Iterator[Chunk]:
    staged = workspace.photos / ".import"
    number = 0
    for phone in phones:
        for split, folder in _PATCHES.items():
            inputs, targets = root / phone / folder / phone, root / phone / folder / _CANON
            ours, theirs = _names(inputs), _names(targets)
            for own, other, directory, device in ((ours, theirs, inputs, _CANON), (theirs, ours, targets, phone)):
                lone = own.keys() - other.keys()
                report.unpaired |= {
                    str(directory / name): f"{device} has no patch of this name" for name in sorted(lone)
                }
            both = sorted(ours.keys() & theirs.keys(), key=ours.__getitem__)
            if both:
                report.folders.append(PatchFolder(phone, split, len(both)))
            for start in range(0, len(both), CHUNK):
                names = tuple(both[start : start + CHUNK])
                yield Chunk(phone, split, inputs, targets, names, workspace.patches, staged / f"{number:07d}", held)
                number += 1


def _names(folder: Path) -> dict[str, int]:
    """Return the patches of a folder with their numbers."""
    try:
        return {path.name: int(path.stem) for path in folder.iterdir() if path.stem.isdecimal()}
    except OSError:
        return {}


def _cut(
    workspace: Workspace,
    corpus: Corpus,
    root: Path,
    phones: Sequence[str],
    chunks: Sequence[Chunk],
    held: Mapping[str, int],
    report: DpedReport,
    workers: Workers,
    progress: Progress,
) -> None:
    progress.start("import patches", sum(len(chunk.names) for chunk in chunks))
    with staging(workspace):
        settings = {"dped": str(root.resolve())}
        filer = Filer(workspace, corpus, [DSLR, *phones], settings, [chunk.label for chunk in chunks])
        outcomes = run_parallel(cut_chunk, chunks, workers=workers, say=progress.say)
        for number, outcome in enumerate(outcomes, start=1):
            if isinstance(outcome.error, StorageError):
                raise outcome.error
            if outcome.value is None:
                report.failures[outcome.item.label] = outcome.error.cause if outcome.error else "no result"
            else:
                report.known += held.get(outcome.value.alignment, 0)
                _record(corpus, filer, number, outcome.item, outcome.value, report)
            progress.advance(len(outcome.item.names))
        filer.finish()
        report.session = filer.session
    progress.done(f"{report.patches} patches, {report.known} known already")


def _record(corpus: Corpus, filer: Filer, number: int, chunk: Chunk, cut: CutChunk, report: DpedReport) -> None:
    """Record a chunk: its shot and manifests, its split, the alignment, and last what says that it is done."""
    report.failures |= cut.failures
    if not cut.manifests:
        return
    staged = [Staged(device, chunk.manifest(device), taken) for device, taken in cut.manifests.items()]
    shot = filer.file(number, chunk.label, staged)
    corpus.store.keep_splits({shot: chunk.split})
    phone, dslr = (cut.manifests[device].sha256 for device in (chunk.phone, DSLR))
    corpus.store.add_alignment(
        AlignmentRecord(cut.alignment, phone, dslr, given.CUT, "aligned", model={"patches": chunk.label})
    )
    corpus.store.replace_patches(cut.alignment, given.CUT, cut.shard, cut.patches)
    report.patches += len(cut.patches)


def _whole_photos(
    workspace: Workspace,
    corpus: Corpus,
    root: Path,
    phones: Sequence[str],
    report: DpedReport,
    dry_run: bool,
    workers: Workers,
    progress: Progress,
) -> None:
    for phone in phones:
        folder = root / phone / _WHOLE
        if not folder.is_dir():
            continue
        photos = ImportReport([Group(take.path.stem, {phone: take}) for take in find_takes(phone, folder)])
        settings = {"folders": {phone: str(folder.resolve())}}
        bring_in(
            workspace,
            corpus,
            photos,
            [phone],
            settings,
            link=False,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )
        report.photos[phone] = photos.imported
        report.failures |= photos.failures
