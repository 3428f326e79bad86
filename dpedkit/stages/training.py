"""Train a recipe on one phone's patches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dpedkit.db import Corpus, RunRecord, open_corpus, using_shards
from dpedkit.errors import CorpusError, UsageError
from dpedkit.progress import Progress
from dpedkit.stages.snapshots import find_snapshot
from dpedkit.train import load_recipe, train
from dpedkit.train.loop import StepReport
from dpedkit.train.stamp import stamp
from dpedkit.types import Json
from dpedkit.workspace import Workspace, unused_name


@dataclass(frozen=True, slots=True)
class TrainReport:
    """A finished run; psnr_db is the best of the validation patches, None where there were none."""

    run: str
    folder: Path
    phone: str
    recipe: str
    patches: int
    snapshot: str
    psnr_db: float | None
    stamp: str


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What would be trained."""

    run: str
    phone: str
    recipe: str
    patches: int
    iterations: int


def train_phone(
    workspace: Workspace,
    *,
    phone: str,
    recipe_name: str,
    overrides: Mapping[str, str],
    vgg: str,
    device: str,
    seed: int,
    resume: bool,
    dry_run: bool,
    progress: Progress,
    named: str = "",
) -> TrainReport | TrainPlan:
    """Freeze the phone's training patches and train a recipe on them; `resume` goes on with the newest unfinished run.

    named  the snapshot to train on, by its name; left out: what is in use now

    Raises:
        RecipeError: no such recipe, or a wrong override.
        CorpusError: no training patches of this phone.
        TrainError: the run cannot start or has gone wrong.
    """
    recipe = load_recipe(recipe_name, overrides)
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        _check_phone(corpus, phone)
        name = unused_name(workspace.runs, f"{phone}-{recipe.name}")
        if dry_run:
            source = (
                corpus.pair_source(_named(corpus, named, phone)[0]) if named else corpus.pair_source(phone, "train")
            )
            return TrainPlan(name, phone, recipe.name, len(source), recipe.iterations)
        if resume:
            name = _unfinished(workspace, corpus, phone, recipe.name)
        if resume:
            snapshot, held_out = _frozen_before(workspace, name)
        else:
            snapshot, held_out = _named(corpus, named, phone) if named else _freeze(corpus, phone)
        pairs = corpus.pair_source(snapshot)
        validation = corpus.pair_source(held_out) if held_out else None
        record = RunRecord(name, phone, recipe.name, snapshot)
        corpus.store.add_run(record)
        progress.start(f"train {name}", recipe.iterations)
        try:
            result = train(
                recipe,
                pairs,
                validation,
                workspace.runs / name,
                device=device,
                vgg=vgg,
                seed=seed,
                resume=resume,
                report=_Reporter(progress, recipe.batch),
            )
        except BaseException:
            corpus.store.update_run(name, "stopped" if _can_resume(workspace, name) else "failed")
            raise
        config = _config(workspace, name)
        corpus.store.add_run(replace(record, status="done", config=config | {"stamp": stamp(config)}))
        best = (
            f"validation {result.best_psnr_db:.2f} dB" if result.best_psnr_db is not None else "no validation patches"
        )
        progress.done(best)
    return TrainReport(
        name, workspace.runs / name, phone, recipe.name, len(pairs), snapshot, result.best_psnr_db, stamp(config)
    )


class _Reporter:
    """Turns the loop's reports into progress."""

    def __init__(self, progress: Progress, batch: int) -> None:
        self._progress, self._batch = progress, batch
        self._step = self._images = 0
        self._took_s = self._waited_s = 0.0

    def __call__(self, report: StepReport) -> None:
        self._images += self._batch
        self._took_s += report.took_s
        self._waited_s += report.waited_s
        losses = ", ".join(f"{name} {loss:.4g}" for name, loss in report.losses.items())
        waited = self._waited_s / self._took_s
        note = f"{losses}; {self._images / self._took_s:.1f} images/s, waits for data {waited:.1%}"
        self._progress.advance(report.step - self._step, note=note)
        self._step = report.step


def _check_phone(corpus: Corpus, phone: str) -> None:
    photos = corpus.photos()
    phones = sorted(set(photos[photos["role"] == "phone"]["device"]))
    if phone not in phones:
        raise UsageError(f"no phone {phone!r} in the corpus", f"phones: {', '.join(phones) or 'none'}")


def _freeze(corpus: Corpus, phone: str) -> tuple[str, str | None]:
    """Freeze the phone's patches; return the hashes of the training and, where there are any, the validation list."""
    train_hash = corpus.store.freeze(phone, "train").hash
    try:
        return train_hash, corpus.store.freeze(phone, "val").hash
    except CorpusError:
        return train_hash, None


def _named(corpus: Corpus, name: str, phone: str) -> tuple[str, str | None]:
    """Return the same of a named snapshot."""
    lists = find_snapshot(corpus, name).lists.get(phone, {})
    if "train" not in lists:
        raise CorpusError(f"snapshot {name!r} holds no training patches of {phone!r}", "`dpedkit snapshot show` tells")
    return lists["train"], lists.get("val")


def _frozen_before(workspace: Workspace, run: str) -> tuple[str, str | None]:
    """Return the same of a run that was started before: shots that have come since are not for it."""
    config = _config(workspace, run)
    return config["pairs"]["content_hash"], (config["validation"] or {}).get("content_hash")


def _config(workspace: Workspace, run: str) -> Json:
    config: Json = json.loads((workspace.runs / run / "config.json").read_text())
    return config


def _unfinished(workspace: Workspace, corpus: Corpus, phone: str, recipe: str) -> str:
    runs = corpus.runs()
    mine = runs[(runs["phone"] == phone) & (runs["recipe"] == recipe) & (runs["status"] != "done")]
    resumable = [str(name) for name in mine["run"] if _can_resume(workspace, str(name))]
    if not resumable:
        raise UsageError(f"no unfinished {recipe} run of {phone} to go on with", "start one without --resume")
    return resumable[-1]


def _can_resume(workspace: Workspace, run: str) -> bool:
    return (workspace.runs / run / "last.safetensors").is_file()
