"""Cut the patches of every aligned pair, and say which shots are for training and which for the test."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd

from dpedkit.align import ALGORITHM_VERSION, Alignment, PatchOptions, PatchSet, cut_patches
from dpedkit.db import Corpus, PatchRecord, open_corpus, write_shard
from dpedkit.errors import CorpusError, StorageError
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages.frames import rows
from dpedkit.types import Json
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CutJob:
    """One aligned pair, for a worker process."""

    pair: str
    alignment: str
    patches_key: str
    phone: Path
    dslr: Path
    model: Json
    options: PatchOptions
    shards: Path
    limit_px: int

    def __str__(self) -> str:
        return self.pair


@dataclass(frozen=True, slots=True)
class Cut:
    """What a worker gives back: the shard it wrote ("" if it found no patches) and the rows to record."""

    shard: str
    patches: tuple[PatchRecord, ...]


@dataclass(slots=True)
class PatchReport:
    """Counts of what was done now, over the pairs in `pairs`; failures by pair."""

    pairs: int = 0
    patches: int = 0
    kept: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    done_before: int = 0
    splits: dict[str, int] = field(default_factory=dict)


def build_patches(workspace: Workspace, *, workers: Workers, dry_run: bool, progress: Progress) -> PatchReport:
    """Cut and score the patches of all aligned pairs that have none of this kind yet; assign shots to splits.

    Raises:
        CorpusError: there are no aligned pairs.
        StorageError: the disk is full; what was finished stays.
    """
    report = PatchReport()
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        pairs = corpus.pairs()
        aligned = pairs[pairs["status"] == "aligned"]
        if aligned.empty:
            raise CorpusError("no aligned pairs to cut patches from", "align some first: `dpedkit align`")
        todo = _jobs(workspace, corpus, aligned)
        report.done_before = len(aligned) - len(todo)
        if dry_run:
            report.pairs = len(todo)
            return report
        progress.start("build-patches", len(todo))
        for outcome in run_parallel(cut_files, todo, workers=workers):
            if isinstance(outcome.error, StorageError):
                raise outcome.error  # a full disk is no fault of the pair: the next would end the same way
            if outcome.value is None:
                report.failures[outcome.item.pair] = outcome.error.cause if outcome.error else "no result"
            else:
                _store(corpus, outcome.item, outcome.value, report)
            progress.advance(note=f"{report.kept} kept")
        progress.done(f"{report.kept} of {report.patches} patches kept")
        split = workspace.settings.split
        corpus.store.assign_splits(split.seed, {"train": split.train, "val": split.val, "test": split.test})
        report.splits = corpus.counts().splits
    return report


def cut_files(job: CutJob) -> Cut:
    """Read one pair, cut its patches and write them to a shard; the rows are for the caller to record."""
    phone = read_rgb(job.phone, limit_px=job.limit_px)
    dslr = read_rgb(job.dslr, limit_px=job.limit_px)
    patches = cut_patches(phone, dslr, Alignment.from_dict(job.model), job.options)
    if not len(patches):
        return Cut("", ())
    return Cut(write_shard(job.shards, patches.phone, patches.dslr), _records(job, patches))


def _jobs(workspace: Workspace, corpus: Corpus, aligned: pd.DataFrame) -> list[CutJob]:
    wanted = workspace.settings.patches
    options = PatchOptions(size=wanted.size_px, stride=wanted.stride_px)
    kind = f"{ALGORITHM_VERSION} {sorted(asdict(options).items())!r}"
    patches_key = hashlib.sha256(kind.encode()).hexdigest()
    broken = corpus.broken_shards()
    return [
        CutJob(
            pair=f"{pair.shot} {pair.phone}",
            alignment=pair.alignment,
            patches_key=patches_key,
            phone=workspace.root / pair.phone_path,
            dslr=workspace.root / pair.dslr_path,
            model=corpus.alignment_model(pair.alignment),
            options=options,
            shards=corpus.shard_folder,
            limit_px=int(workspace.settings.images.limit_mp * 1e6),
        )
        for pair in rows(aligned)
        if pair.patches_key != patches_key or pair.shard in broken
    ]


def _records(job: CutJob, patches: PatchSet) -> tuple[PatchRecord, ...]:
    scores = patches.scores
    return tuple(
        PatchRecord(
            key=hashlib.sha256(f"{job.alignment} {job.patches_key} {x} {y}".encode()).hexdigest(),
            row=row,
            x=x,
            y=y,
            size=job.options.size,
            ncc=float(scores.ncc[row]),
            crlb_px=float(scores.crlb_px[row]),
            shift_px=float(scores.shift_px[row]),
            rotation_deg=float(scores.rotation_deg[row]),
            sharpness_phone=float(scores.sharpness_phone[row]),
            sharpness_dslr=float(scores.sharpness_dslr[row]),
            clipped=float(scores.clipped[row]),
            std=float(scores.std[row]),
            keep=bool(patches.keep[row]),
            reason=str(patches.reason[row]),
        )
        for row, (x, y) in enumerate(patches.xy.tolist())
    )


def _store(corpus: Corpus, job: CutJob, cut: Cut, report: PatchReport) -> None:
    corpus.store.replace_patches(job.alignment, job.patches_key, cut.shard, cut.patches)
    report.pairs += 1
    report.patches += len(cut.patches)
    for patch in cut.patches:
        report.kept += patch.keep
        if not patch.keep:
            report.reasons[patch.reason] = report.reasons.get(patch.reason, 0) + 1
