"""Train a recipe on one phone's patches."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dpedkit.db import Corpus, RunRecord, open_corpus, using_shards
from dpedkit.errors import CorpusError, UsageError
from dpedkit.files import locked, storage_error
from dpedkit.progress import Progress
from dpedkit.stages.run_facts import read_config
from dpedkit.stages.snapshots import find_snapshot
from dpedkit.train import load_recipe, train
from dpedkit.train.board import Board
from dpedkit.train.compute import pick_compute
from dpedkit.train.loop import StepReport
from dpedkit.train.processes import joined
from dpedkit.train.stamp import advice, stamp
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
    fast: bool = False,
    micro_batch: int = 0,
    tensorboard: bool = False,
) -> TrainReport | TrainPlan | None:
    """Freeze the phone's training patches and train a recipe on them; `resume` goes on with the newest unfinished run.

    Under torchrun the processes share every batch; the first one writes and reports, the others return None.

    named              the snapshot to train on, by its name; left out: what is in use now
    fast, micro_batch  see `pick_compute`
    tensorboard        write event files for it, too

    Raises:
        RecipeError: no such recipe, or a wrong override.
        CorpusError: no training patches of this phone.
        StorageError: another process trains the run that is to go on.
        TrainError: the run cannot start or has gone wrong.
    """
    recipe = load_recipe(recipe_name, overrides)
    with (
        joined(device) as processes,
        using_shards(workspace.patches),
        open_corpus(workspace.root, workspace.settings.database) as corpus,
        ExitStack() as held,
    ):
        _check_phone(corpus, phone)
        if dry_run:
            name = unused_name(workspace.runs, f"{phone}-{recipe.name}")
            chosen = _named(corpus, named, phone)[0] if named else ""
            source = corpus.pair_source(chosen) if named else corpus.pair_source(phone, "train")
            return TrainPlan(name, phone, recipe.name, len(source), recipe.iterations)
        own = None
        if processes.is_first:
            own = _begin(workspace, corpus, phone, recipe.name, named, resume=resume)
            held.enter_context(_alone(workspace.runs / own[0]))
        name, snapshot, held_out = processes.told(own)
        run = workspace.runs / name
        compute = pick_compute(
            processes.device or device,
            fast=fast,
            micro_batch=micro_batch,
            processes=processes,
            with_vgg=bool(recipe.losses.content),
        )
        pairs = corpus.pair_source(snapshot)
        validation = corpus.pair_source(held_out) if held_out else None
        learn = partial(train, recipe, pairs, validation, run, compute=compute, vgg=vgg, seed=seed, resume=resume)
        if not processes.is_first:
            learn()
            return None

        for note in filter(None, (*compute.notes, advice(recipe.losses, vgg))):
            progress.say(note)
        reports: list[Callable[[StepReport], None]] = [_Reporter(progress, recipe.batch)]
        reports += [Board(run, recipe.batch)] if tensorboard else []
        record = RunRecord(name, phone, recipe.name, snapshot)
        corpus.store.add_run(record)
        progress.start(f"train {name} ({compute.words})", recipe.iterations)
        try:
            result = learn(report=partial(_tell, reports))
        except BaseException:
            corpus.store.update_run(name, "stopped" if _can_resume(workspace, name) else "failed")
            raise
        config = read_config(run)
        corpus.store.add_run(replace(record, status="done", config=config | {"stamp": stamp(config)}))
        best = result.best_psnr_db
        progress.done("no validation patches" if best is None else f"validation {best:.2f} dB")
    return TrainReport(name, run, phone, recipe.name, len(pairs), snapshot, best, stamp(config))


def _tell(reports: Sequence[Callable[[StepReport], None]], step: StepReport) -> None:
    for report in reports:
        report(step)


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


def _begin(
    workspace: Workspace, corpus: Corpus, phone: str, recipe: str, named: str, *, resume: bool
) -> tuple[str, str, str | None]:
    """Return a run's name and the hashes of its training and, where there are any, its validation list."""
    if resume:
        name = _unfinished(workspace, corpus, phone, recipe)
        return name, *_frozen_before(workspace, name)
    lists = _named(corpus, named, phone) if named else _freeze(corpus, phone)
    return _new_folder(workspace.runs, f"{phone}-{recipe}"), *lists


def _new_folder(runs: Path, wanted: str) -> str:
    """Make a run's folder, so that nobody else takes its name; return that."""
    while True:
        name = unused_name(runs, wanted)
        try:
            (runs / name).mkdir(parents=True)
        except FileExistsError:  # another process was faster
            continue
        except OSError as error:
            raise storage_error(error, runs) from error
        return name


@contextmanager
def _alone(run: Path) -> Iterator[None]:
    """Keep other processes from training a run; the folder of one that did not come to begin is gone at the end."""
    lock = run / ".lock"
    with locked(lock, f"training {run.name}"):
        try:
            yield
        finally:
            if list(run.iterdir()) == [lock]:
                shutil.rmtree(run, ignore_errors=True)


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
    config = read_config(workspace.runs / run)
    return config["pairs"]["content_hash"], (config["validation"] or {}).get("content_hash")


def _unfinished(workspace: Workspace, corpus: Corpus, phone: str, recipe: str) -> str:
    runs = corpus.runs()
    mine = runs[(runs["phone"] == phone) & (runs["recipe"] == recipe) & (runs["status"] != "done")]
    resumable = [str(name) for name in mine["run"] if _can_resume(workspace, str(name))]
    if not resumable:
        raise UsageError(f"no unfinished {recipe} run of {phone} to go on with", "start one without --resume")
    return resumable[-1]


def _can_resume(workspace: Workspace, run: str) -> bool:
    return (workspace.runs / run / "last.safetensors").is_file()
