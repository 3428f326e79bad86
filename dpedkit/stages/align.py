"""Align every pair of photos that is not aligned yet."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from dpedkit.align import ALGORITHM_VERSION, AlignOptions, PairRejected, align_pair
from dpedkit.db import AlignmentRecord, open_corpus
from dpedkit.errors import CorpusError, DpedError, ImageError, WorkerDied
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages.frames import rows
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class AlignJob:
    """One pair, for a worker process."""

    pair: str
    key: str
    phone: Path
    dslr: Path
    phone_sha256: str
    dslr_sha256: str
    limit_px: int

    def __str__(self) -> str:
        return self.pair


@dataclass(frozen=True, slots=True)
class PairResult:
    """One pair as the command line shows it; residual in px of the phone's photo."""

    pair: str
    status: str
    reason: str
    detail: str
    residual_px: float | None


@dataclass(slots=True)
class AlignReport:
    """What was done now, and how many pairs had been done before."""

    results: list[PairResult] = field(default_factory=list)
    done_before: int = 0

    def with_status(self, status: str) -> list[PairResult]:
        """Return the pairs that ended with `status`: aligned, rejected or failed."""
        return [result for result in self.results if result.status == status]


def align_pairs(workspace: Workspace, *, workers: Workers, dry_run: bool, progress: Progress) -> AlignReport:
    """Align all pairs whose photos, options or algorithm are new; record each as soon as it is done.

    Raises:
        CorpusError: there are no pairs at all.
    """
    report = AlignReport()
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        pairs = corpus.pairs()
        if pairs.empty:
            raise CorpusError("no pairs to align", "bring photos in: `dpedkit capture` or `dpedkit import folder`")
        todo = _jobs(workspace, pairs)
        report.done_before = len(pairs) - len(todo)
        if dry_run:
            report.results = [PairResult(job.pair, "to do", "", "", None) for job in todo]
            return report
        progress.start("align", len(todo))
        for outcome in run_parallel(align_files, todo, workers=workers):
            record, detail = _record(outcome)
            corpus.store.add_alignment(record)
            result = PairResult(outcome.item.pair, record.status, record.reason, detail, record.residual_px)
            report.results.append(result)
            progress.advance(note=f"{len(report.with_status('rejected'))} rejected")
        progress.done(_summary(report))
    return report


def align_files(job: AlignJob) -> AlignmentRecord:
    """Read and align one pair of files; a pair that does not match is a result, not an error."""
    phone = read_rgb(job.phone, limit_px=job.limit_px)
    dslr = read_rgb(job.dslr, limit_px=job.limit_px)
    record = AlignmentRecord(job.key, job.phone_sha256, job.dslr_sha256, str(ALGORITHM_VERSION), "aligned")
    try:
        alignment = align_pair(phone, dslr)
    except PairRejected as refusal:
        return replace(record, status="rejected", reason=refusal.reason, model={"detail": refusal.cause})
    return replace(
        record,
        model=alignment.to_dict(),
        residual_px=alignment.residual_px,
        residual_p95_px=alignment.residual_p95_px,
        inliers=alignment.inliers,
        overlap=alignment.overlap_share,
    )


def _jobs(workspace: Workspace, pairs: pd.DataFrame) -> list[AlignJob]:
    options = repr(sorted(asdict(AlignOptions()).items()))
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    todo = []
    for pair in rows(pairs):
        words = (str(ALGORITHM_VERSION), options, pair.phone_sha256, pair.dslr_sha256)
        key = hashlib.sha256("\n".join(words).encode()).hexdigest()
        if pair.alignment != key or pair.status == "failed":  # what failed may have been mended since
            phone, dslr = workspace.root / pair.phone_path, workspace.root / pair.dslr_path
            job = AlignJob(f"{pair.shot} {pair.phone}", key, phone, dslr, pair.phone_sha256, pair.dslr_sha256, limit_px)
            todo.append(job)
    return todo


def _record(outcome: Outcome[AlignJob, AlignmentRecord]) -> tuple[AlignmentRecord, str]:
    job = outcome.item
    if outcome.value is not None:
        return outcome.value, outcome.value.model.get("detail", "")
    error = outcome.error or DpedError("no result")
    reasons = {ImageError: "unreadable", WorkerDied: "worker_died"}
    reason = next((word for kind, word in reasons.items() if isinstance(error, kind)), "failed")
    record = AlignmentRecord(
        job.key, job.phone_sha256, job.dslr_sha256, str(ALGORITHM_VERSION), "failed", reason, {"detail": error.cause}
    )
    return record, error.cause


def _summary(report: AlignReport) -> str:
    counts = [
        f"{len(found)} {status}"
        for status in ("aligned", "rejected", "failed")
        if (found := report.with_status(status))
    ]
    return ", ".join(counts) or "nothing to do"
