"""All runs of a workspace, in brief."""

from __future__ import annotations

from dataclasses import dataclass

from dpedkit.db import Corpus
from dpedkit.stages.frames import rows
from dpedkit.train.runlog import read_log
from dpedkit.train.stamp import stamp
from dpedkit.train.weights import RUN_CHECKPOINTS
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class RunInBrief:
    """One run.

    steps, of       steps that were made, of how many; of is 0 where nobody knows
    validation_db   best PSNR of validation patches; None where there was no validation
    scores          split and protocol -> held-out PSNR, dB, as `evaluate` stored them
    stamp           what must be said beside its results
    shown           whether there is something to look at: a checkpoint
    """

    name: str
    phone: str
    recipe: str
    status: str
    steps: int
    of: int
    validation_db: float | None
    scores: dict[str, float]
    stamp: str
    shown: bool


def list_runs(workspace: Workspace, corpus: Corpus) -> list[RunInBrief]:
    """Return all runs, newest first."""
    scores: dict[str, dict[str, float]] = {}
    for score in rows(corpus.scores()):
        scores.setdefault(score.name, {})[f"{score.split}, {score.protocol}"] = score.psnr
    found = []
    for run in rows(corpus.runs()):
        folder, config = workspace.runs / run.run, run.config or {}
        log = folder / "log.jsonl"
        records = read_log(log) if log.is_file() else []
        found.append(
            RunInBrief(
                name=run.run,
                phone=run.phone,
                recipe=run.recipe,
                status=run.status,
                steps=int(records[-1]["step"]) if records else 0,
                of=int(config.get("recipe", {}).get("iterations", 0)),
                validation_db=max((record["psnr_db"] for record in records if "psnr_db" in record), default=None),
                scores=scores.get(run.run, {}),
                stamp=stamp(config),
                shown=any((folder / name).is_file() for name in RUN_CHECKPOINTS),
            )
        )
    return found[::-1]
