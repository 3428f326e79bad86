"""Align every pair of photos that is not aligned yet."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dpedkit.align import (
    ALGORITHM_VERSION,
    UNKNOWN_LENS,
    Alignment,
    AlignOptions,
    Lens,
    Mode,
    PairRejected,
    align_pair,
    refit,
)
from dpedkit.db import AlignmentRecord, Corpus, open_corpus
from dpedkit.errors import CorpusError, DpedError, ImageError, OutOfMemory, WorkerDied
from dpedkit.executor import Outcome, Workers, run_parallel
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages import given
from dpedkit.stages.frames import rows
from dpedkit.stages.lenses import LearntLens, known_lenses, learn_lenses
from dpedkit.types import Json
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class AlignJob:
    """One pair, for a worker process.

    lens   what the session's pairs told of the two lenses; None: not enough yet
    model  the pair's alignment without that knowledge, if there is one: only the fit is to be done again
    """

    pair: str
    key: str
    phone: Path
    dslr: Path
    phone_sha256: str
    dslr_sha256: str
    limit_px: int
    options: AlignOptions
    lens: Lens | None
    model: Json | None = None

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
    lenses: list[LearntLens] = field(default_factory=list)

    def with_status(self, status: str) -> list[PairResult]:
        """Return the pairs that ended with `status`: aligned, rejected or failed."""
        return [result for result in self.results if result.status == status]


def align_pairs(
    workspace: Workspace, *, workers: Workers, mode: Mode | None = None, dry_run: bool, progress: Progress
) -> AlignReport:
    """Align all pairs whose photos, options or algorithm are new; record each as soon as it is done.

    mode  "field" or "paper"; None: as the workspace's settings say

    Raises:
        CorpusError: there are no pairs at all.
    """
    report = AlignReport()
    options = AlignOptions(mode=mode or workspace.settings.align.mode)
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        pairs = corpus.pairs()
        if pairs.empty:
            raise CorpusError("no pairs to align", "bring photos in: `dpedkit capture` or `dpedkit import folder`")
        todo = _jobs(workspace, corpus, options)
        report.done_before = len(pairs) - len(todo)
        if dry_run:
            report.results = [PairResult(job.pair, "to do", "", "", None) for job in todo]
            return report
        _run(corpus, todo, workers, progress, report)
        report.lenses = learn_lenses(corpus) if options.mode == "field" else []
        if report.lenses:
            again = _jobs(workspace, corpus, options)
            names = {job.pair for job in again}
            report.results = [result for result in report.results if result.pair not in names]
            _run(corpus, again, workers, progress, report)
        report.results.sort(key=lambda result: result.pair)
    return report


def _run(corpus: Corpus, todo: list[AlignJob], workers: Workers, progress: Progress, report: AlignReport) -> None:
    progress.start("align", len(todo))
    for outcome in run_parallel(align_files, todo, workers=workers, folder=corpus.root, say=progress.say):
        record, detail = _record(outcome)
        corpus.store.add_alignment(record)
        report.results.append(PairResult(outcome.item.pair, record.status, record.reason, detail, record.residual_px))
        progress.advance(note=f"{len(report.with_status('rejected'))} rejected")
    progress.done(_summary(report))


def align_files(job: AlignJob) -> AlignmentRecord:
    """Read and align one pair of files; a pair that does not match is a result, not an error."""
    mode = job.options.mode
    record = AlignmentRecord(job.key, job.phone_sha256, job.dslr_sha256, str(ALGORITHM_VERSION), "aligned", mode=mode)
    try:
        alignment = _align(job)
    except PairRejected as refusal:
        return replace(record, status="rejected", reason=refusal.reason, model=_told(refusal))
    return replace(
        record,
        model=alignment.to_dict(),
        residual_px=alignment.residual_px,
        residual_p95_px=alignment.residual_p95_px,
        inliers=alignment.inliers,
        overlap=alignment.overlap_share,
        trusted_share=alignment.trusted_share,
    )


def _align(job: AlignJob) -> Alignment:
    lens = job.lens or UNKNOWN_LENS
    if job.model is not None:
        return refit(Alignment.from_dict(job.model), lens)
    phone = read_rgb(job.phone, limit_px=job.limit_px)
    dslr = read_rgb(job.dslr, limit_px=job.limit_px)
    return align_pair(phone, dslr, job.options, lens)


def _jobs(workspace: Workspace, corpus: Corpus, options: AlignOptions) -> list[AlignJob]:
    limit_px = int(workspace.settings.images.limit_mp * 1e6)
    lenses = known_lenses(corpus) if options.mode == "field" else {}
    todo = []
    for pair in rows(corpus.pairs()):
        lens = lenses.get((pair.session, pair.phone, pair.dslr))
        plain, key = _key(pair, options, None), _key(pair, options, lens)
        done = {"aligned": (key,), "rejected": (key, plain)}.get(pair.status, ())  # what failed may have been mended
        if pair.alignment in done or pair.version in (given.ALIGNED, given.CUT):
            continue
        refitted = pair.status == "aligned" and pair.alignment == plain
        job = AlignJob(
            pair=f"{pair.shot} {pair.phone}",
            key=key,
            phone=workspace.root / pair.phone_path,
            dslr=workspace.root / pair.dslr_path,
            phone_sha256=pair.phone_sha256,
            dslr_sha256=pair.dslr_sha256,
            limit_px=limit_px,
            options=options,
            lens=lens,
            model=corpus.alignment_model(plain) if refitted else None,
        )
        todo.append(job)
    return todo


def _key(pair: Any, options: AlignOptions, lens: Lens | None) -> str:
    """Return the hash of all that an alignment depends on."""
    chosen = repr(sorted(asdict(options).items()))
    known = json.dumps(lens.to_dict()) if lens else ""
    words = (str(ALGORITHM_VERSION), chosen, pair.phone_sha256, pair.dslr_sha256, known)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def _record(outcome: Outcome[AlignJob, AlignmentRecord]) -> tuple[AlignmentRecord, str]:
    job = outcome.item
    if outcome.value is not None:
        return outcome.value, outcome.value.model.get("detail", "")
    error = outcome.error or DpedError("no result")
    reasons = {OutOfMemory: "out_of_memory", ImageError: "unreadable", WorkerDied: "worker_died"}
    reason = next((word for kind, word in reasons.items() if isinstance(error, kind)), "failed")
    record = AlignmentRecord(
        job.key, job.phone_sha256, job.dslr_sha256, str(ALGORITHM_VERSION), "failed", reason, _told(error)
    )
    return record, error.cause


def _told(error: DpedError) -> Json:
    return {"detail": error.cause, "remedy": error.remedy}


def _summary(report: AlignReport) -> str:
    counts = [
        f"{len(found)} {status}"
        for status in ("aligned", "rejected", "failed")
        if (found := report.with_status(status))
    ]
    return ", ".join(counts) or "nothing to do"
