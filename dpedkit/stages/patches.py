"""Cut the patches of every aligned pair, judge them, and say which shots are for training and which for the test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from dpedkit.align import ALGORITHM_VERSION, Alignment, PatchOptions, PatchSet, cut_patches
from dpedkit.db import Corpus, PatchRecord, open_corpus, using_shards, write_shard
from dpedkit.errors import CorpusError, PairRejected, SettingsError, StorageError, UsageError
from dpedkit.executor import Workers, run_parallel
from dpedkit.images import read_rgb
from dpedkit.progress import Progress
from dpedkit.stages import given
from dpedkit.stages.frames import rows
from dpedkit.stages.judging import Tally, judge_again
from dpedkit.stages.policies import Policy, load_policy
from dpedkit.stages.scores import columns_of
from dpedkit.stages.splitting import assign, hash_photos
from dpedkit.types import Json
from dpedkit.workspace import PatchSettings, Workspace


@dataclass(frozen=True, slots=True)
class CutJob:
    """One aligned pair, for a worker process."""

    pair: str
    alignment: str
    patches_key: str
    again: bool
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
    """What a worker gives back.

    shard    the shard it wrote; "" if it found no patches
    patches  the rows to record
    tone     what was done to the DSLR's tone, or why nothing could be
    refused  why the pair has no patches of the kind that was wanted
    """

    shard: str
    patches: tuple[PatchRecord, ...]
    tone: Json | None
    refused: str = ""


@dataclass(slots=True, kw_only=True)
class PatchReport(Tally):
    """What was done now, with the patches of the pairs that were cut or judged; in a dry run, what would be done.

    gates        NAME@VERSION#HASH of the policy
    limits       its limits
    pairs        that were cut, of which cut_again had been cut with another size, stride, count, match or version
    judged       pairs whose patches were there and got the policy's verdict
    done_before  pairs that were as they should be
    failures     by pair
    splits       shots, by split
    """

    gates: str
    limits: dict[str, float]
    pairs: int = 0
    cut_again: int = 0
    judged: int = 0
    done_before: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)


def build_patches(
    workspace: Workspace,
    *,
    wanted: PatchSettings | None = None,
    workers: Workers,
    dry_run: bool,
    progress: Progress,
) -> PatchReport:
    """Cut, score and judge the patches of all aligned pairs that have none of this kind yet; assign shots to splits.

    Patches that are as wanted but for their verdict are judged again from their scores.

    wanted  how to cut and judge; None: as dpedkit.toml says; `gates` may be the path of a .toml file here

    Raises:
        CorpusError: there are no aligned pairs.
        SettingsError: no such gates, or gates whose limits changed while their version did not.
        StorageError: the disk is full; what was finished stays.
    """
    wanted = wanted or workspace.settings.patches
    policy = load_policy(workspace, wanted.gates)
    report = PatchReport(gates=policy.identity, limits=policy.limits)
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        pairs = given.with_photos(corpus.pairs())
        aligned = pairs[pairs["status"] == "aligned"]
        if aligned.empty:
            raise CorpusError("no aligned pairs to cut patches from", "align some first: `dpedkit align`")
        overlapping = wanted.stride_px is not None and wanted.stride_px < wanted.size_px
        if overlapping and (aligned["mode"] == "paper").any():
            raise UsageError(
                f"patches of {wanted.size_px} px every {wanted.stride_px} px overlap, and paper mode's windows do not",
                "leave --stride out, or align with `dpedkit align --mode field`",
            )
        if policy.clashes(aligned["gates"].dropna()):
            raise SettingsError(
                f"gates {policy.name!r}: the limits changed, but the version is still {policy.version}",
                f"set `version = {policy.version + 1}` in the file: verdicts can then be told apart",
            )
        as_wanted = (aligned["patches_key"] == _key(wanted)) & ~aligned["shard"].isin(list(corpus.broken_shards()))
        to_cut, to_judge = aligned[~as_wanted], aligned[as_wanted & (aligned["gates"] != policy.identity)]
        report.done_before = len(aligned) - len(to_cut) - len(to_judge)
        jobs = _jobs(workspace, corpus, to_cut, wanted, policy)
        if dry_run:
            report.pairs, report.cut_again, report.judged = len(jobs), sum(job.again for job in jobs), len(to_judge)
            return report
        _judge(corpus, to_judge, policy, report, progress)
        _cut(corpus, jobs, policy, report, workers, progress)
        hash_photos(workspace, corpus)
        report.splits = assign(workspace, corpus).splits
    return report


def cut_files(job: CutJob) -> Cut:
    """Read one pair, cut its patches and write them to a shard; the rows are for the caller to record."""
    phone = read_rgb(job.phone, limit_px=job.limit_px)
    dslr = read_rgb(job.dslr, limit_px=job.limit_px)
    try:
        patches = cut_patches(phone, dslr, Alignment.from_dict(job.model), job.options)
    except PairRejected as refusal:
        return Cut("", (), {"refused": refusal.cause}, refusal.cause)
    tone = patches.tone.to_dict() if patches.tone else None
    if not len(patches):
        return Cut("", (), tone)
    return Cut(write_shard(job.shards, patches.phone, patches.dslr), _records(job, patches), tone)


def _judge(corpus: Corpus, pairs: pd.DataFrame, policy: Policy, report: PatchReport, progress: Progress) -> None:
    if pairs.empty:
        return
    progress.start("judge patches", len(pairs))
    for reasons in judge_again(corpus, pairs, policy):
        report.judged += 1
        report.add(reasons)
        progress.advance(note=_kept(report))
    progress.done(_kept(report))


def _cut(
    corpus: Corpus, jobs: list[CutJob], policy: Policy, report: PatchReport, workers: Workers, progress: Progress
) -> None:
    if not jobs:
        return
    progress.start("build-patches", len(jobs))
    for outcome in run_parallel(cut_files, jobs, workers=workers, folder=corpus.root, say=progress.say):
        job, cut = outcome.item, outcome.value
        if isinstance(outcome.error, StorageError):
            raise outcome.error  # a full disk is no fault of the pair: the next would end the same way
        if cut is None:
            report.failures[job.pair] = outcome.error.cause if outcome.error else "no result"
        else:
            corpus.store.replace_patches(
                job.alignment, job.patches_key, cut.shard, cut.patches, gates=policy.identity, tone=cut.tone
            )
            report.pairs += 1
            report.cut_again += job.again
            report.add([patch.reason for patch in cut.patches])
            if cut.refused:
                report.failures[job.pair] = cut.refused
        progress.advance(note=_kept(report))
    progress.done(_kept(report))


def _kept(report: PatchReport) -> str:
    return f"{report.kept} of {report.patches} patches kept"


def _key(wanted: PatchSettings) -> str:
    """Return what stands for the pixels that would be cut: all settings but the gates, which judge them afterwards."""
    kind = (ALGORITHM_VERSION, wanted.size_px, wanted.stride_px or wanted.size_px, wanted.count, wanted.match)
    return hashlib.sha256(repr(kind).encode()).hexdigest()


def _jobs(
    workspace: Workspace, corpus: Corpus, pairs: pd.DataFrame, wanted: PatchSettings, policy: Policy
) -> list[CutJob]:
    patches_key = _key(wanted)
    options = PatchOptions(
        size=wanted.size_px, stride=wanted.stride_px, count=wanted.count, match=wanted.match, gates=policy.gates
    )
    return [
        CutJob(
            pair=f"{pair.shot} {pair.phone}",
            alignment=pair.alignment,
            patches_key=patches_key,
            again=pd.notna(pair.patches_key) and pair.patches_key != patches_key,
            phone=workspace.root / pair.phone_path,
            dslr=workspace.root / pair.dslr_path,
            model=corpus.alignment_model(pair.alignment),
            options=options,
            shards=corpus.shard_folder,
            limit_px=int(workspace.settings.images.limit_mp * 1e6),
        )
        for pair in rows(pairs)
    ]


def _records(job: CutJob, patches: PatchSet) -> tuple[PatchRecord, ...]:
    columns = {name: column.tolist() for name, column in columns_of(patches.scores).items()}
    reasons = patches.reason.tolist()
    return tuple(
        PatchRecord(
            key=hashlib.sha256(f"{job.alignment} {job.patches_key} {x} {y}".encode()).hexdigest(),
            row=row,
            x=x,
            y=y,
            size=job.options.size,
            match=job.options.match,
            keep=not reasons[row],
            reason=reasons[row],
            **{name: column[row] for name, column in columns.items()},
        )
        for row, (x, y) in enumerate(patches.xy.tolist())
    )
