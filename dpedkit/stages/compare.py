"""Field mode and the paper's on the same photos, side by side; the corpus stays as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dpedkit.align import AlignOptions, Gates, Mode, PairRejected, PatchOptions, align_pair, cut_patches, phase_offsets
from dpedkit.db import open_corpus
from dpedkit.errors import CorpusError
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages import given
from dpedkit.stages.frames import rows
from dpedkit.stages.policies import load_policy
from dpedkit.workspace import Workspace

MODES: tuple[Mode, ...] = ("field", "paper")
_OFF_PX = 0.5
ALL_PHONES = "all"


@dataclass(frozen=True, slots=True)
class CompareJob:
    """One pair in one mode, for a worker process; its patches are judged by `gates`."""

    pair: str
    phone_name: str
    mode: Mode
    phone: Path
    dslr: Path
    size: int
    gates: Gates
    limit_px: int

    def __str__(self) -> str:
        return f"{self.pair} ({self.mode})"


@dataclass(frozen=True, slots=True)
class PairOutcome:
    """What one mode made of one pair.

    refused  the reason, "" where the pair was aligned
    patches  candidates
    off_px   how far each kept patch's two pictures lie apart, by phase correlation
    ncc      of each kept patch
    cpu_s    for aligning and cutting, decoding left out
    """

    refused: str
    patches: int
    off_px: tuple[float, ...]
    ncc: tuple[float, ...]
    cpu_s: float


@dataclass(frozen=True, slots=True)
class ModeRow:
    """One line of the table: a mode on all pairs of a phone. What cannot be said of no patches is None.

    kept_share  of all candidates
    off_px, off_p95_px  how far kept patches lie apart, by phase correlation: median and 95th percentile
    misplaced   share of the kept that lie more than half a px apart
    """

    phone: str
    mode: str
    aligned: int
    refused: int
    patches: int
    kept: int
    kept_share: float | None
    off_px: float | None
    off_p95_px: float | None
    misplaced: float | None
    ncc: float | None
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table, and what could not be compared, by pair."""

    rows: Sequence[ModeRow]
    failures: dict[str, str]


def compare_modes(workspace: Workspace, *, workers: Workers, limit: int | None, progress: Progress) -> Comparison:
    """Align and cut the same photos in both modes, each judged by its own gates, and measure what each kept.

    limit  at most so many pairs, spread over all of them; None: every pair

    Raises:
        CorpusError: there are no pairs.
    """
    jobs = _jobs(workspace, limit)
    progress.start("compare", len(jobs))
    found: dict[tuple[str, str], list[PairOutcome]] = {}
    failures = {}
    for outcome in run_parallel(compare_files, jobs, workers=workers, folder=workspace.root, say=progress.say):
        if outcome.value is None:
            failures[str(outcome.item)] = outcome.error.cause if outcome.error else "no result"
        else:
            for phone in (outcome.item.phone_name, ALL_PHONES):
                found.setdefault((phone, outcome.item.mode), []).append(outcome.value)
        progress.advance()
    progress.done(f"{len(jobs) // len(MODES)} pairs")
    phones = sorted({phone for phone, _ in found} - {ALL_PHONES})
    wanted = [*phones, ALL_PHONES] if len(phones) > 1 else phones
    table = [_row(phone, mode, found[phone, mode]) for phone in wanted for mode in MODES if (phone, mode) in found]
    return Comparison(table, failures)


def compare_files(job: CompareJob) -> PairOutcome:
    """Align and cut one pair in one mode."""
    phone = read_rgb(job.phone, limit_px=job.limit_px)
    dslr = read_rgb(job.dslr, limit_px=job.limit_px)
    began = time.process_time()
    try:
        alignment = align_pair(phone, dslr, AlignOptions(mode=job.mode))
        patches = cut_patches(phone, dslr, alignment, PatchOptions(size=job.size, gates=job.gates))
    except PairRejected as refusal:
        return PairOutcome(refusal.reason, 0, (), (), time.process_time() - began)
    cpu_s = time.process_time() - began
    kept = patches.kept()
    off_px = tuple(phase_offsets(kept.phone, kept.dslr).tolist())
    return PairOutcome("", len(patches), off_px, tuple(kept.scores.ncc.tolist()), cpu_s)


def _jobs(workspace: Workspace, limit: int | None) -> list[CompareJob]:
    with open_corpus(workspace.root, workspace.settings.database) as corpus:
        pairs = list(rows(given.with_photos(corpus.pairs())))
    if not pairs:
        raise CorpusError("no pairs to compare", "bring photos in: `dpedkit capture` or `dpedkit import folder`")
    if limit is not None and limit < len(pairs):
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, limit).round().astype(int)]
    gates = {
        "field": load_policy(workspace, workspace.settings.patches.gates).gates,
        "paper": load_policy(workspace, "paper").gates,
    }
    return [
        CompareJob(
            pair=f"{pair.shot} {pair.phone}",
            phone_name=pair.phone,
            mode=mode,
            phone=workspace.root / pair.phone_path,
            dslr=workspace.root / pair.dslr_path,
            size=workspace.settings.patches.size_px,
            gates=gates[mode],
            limit_px=int(workspace.settings.images.limit_mp * 1e6),
        )
        for pair in pairs
        for mode in MODES
    ]


def _row(phone: str, mode: str, outcomes: list[PairOutcome]) -> ModeRow:
    off = np.array([px for outcome in outcomes for px in outcome.off_px])
    ncc = [value for outcome in outcomes for value in outcome.ncc]
    patches = sum(outcome.patches for outcome in outcomes)
    refused = sum(outcome.refused != "" for outcome in outcomes)
    return ModeRow(
        phone=phone,
        mode=mode,
        aligned=len(outcomes) - refused,
        refused=refused,
        patches=patches,
        kept=len(off),
        kept_share=len(off) / patches if patches else None,
        off_px=float(np.median(off)) if len(off) else None,
        off_p95_px=float(np.quantile(off, 0.95)) if len(off) else None,
        misplaced=float((off > _OFF_PX).mean()) if len(off) else None,
        ncc=float(np.median(ncc)) if ncc else None,
        cpu_s=float(np.mean([outcome.cpu_s for outcome in outcomes])),
    )
