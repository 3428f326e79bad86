"""The training loop of DPED: a generator step on one batch, a discriminator step on another, and so on.

A run's folder: config.json (what decides the run), log.jsonl (a line per step), pictures/ (validation patches by step),
last.safetensors (to go on from), best.safetensors (the generator to use: see the recipe's schedule).
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from dpedkit.errors import TrainError
from dpedkit.files import storage_error, write_atomic
from dpedkit.images import encode_png
from dpedkit.train.baselines import fit_matrix
from dpedkit.train.batches import Batches
from dpedkit.train.checkpoint import State, Trainee, load_state, save_state
from dpedkit.train.device import pick_device
from dpedkit.train.losses import LossWeights
from dpedkit.train.networks import ENHANCERS, Discriminator, Generator, mix_colours, start_from_photo
from dpedkit.train.recipe import Recipe
from dpedkit.train.runlog import RunLog
from dpedkit.train.stamp import stamp
from dpedkit.train.steps import iterate
from dpedkit.train.stopping import StopSignals
from dpedkit.train.validation import picture, validate
from dpedkit.train.vgg import Vgg19, load_vgg
from dpedkit.train.weights import save_generator
from dpedkit.types import Json, PairSource


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one iteration brought.

    step           iterations finished, of `iterations`
    losses         by name: total, the generator's terms that count (unweighted), discriminator
    validation_db  mean PSNR over the validation patches, where this step was followed by a validation
    took_s         how long it took, validation left out
    waited_s       how much of that the loop waited for its batch
    """

    step: int
    iterations: int
    losses: Mapping[str, float]
    validation_db: float | None
    took_s: float
    waited_s: float


@dataclass(frozen=True, slots=True)
class Trained:
    """How a run ended.

    best_psnr_db, best_step  of best.safetensors; None and 0 without a validation split
    """

    run: Path
    step: int
    best_psnr_db: float | None
    best_step: int


def train(
    recipe: Recipe,
    pairs: PairSource,
    validation: PairSource | None,
    run: Path,
    *,
    device: str = "auto",
    vgg: str = "torchvision",
    resume: bool = False,
    report: Callable[[StepReport], None] = lambda _: None,
    seed: int = 0,
) -> Trained:
    """Train a generator on `pairs` and leave it in the folder `run`.

    validation  pairs to choose the best checkpoint by; without them there is only the last
    vgg         see `load_vgg`; not looked at when the recipe has no content loss
    resume      go on from the run's last checkpoint; on a CPU with the same number of threads, bit for bit

    SIGINT and SIGTERM end the current step, save, and then take their course.

    Raises:
        TrainError: no pairs, a folder that already holds a run, nothing to resume or something else than asked for,
            no such device, or a loss that is no longer finite; the last good checkpoint is kept.
        WeightsError: the VGG weights or the checkpoint to resume from are missing or corrupt.
        StorageError: the disk is full, or the folder cannot be written.
    """
    _refuse_empty(pairs, validation)
    place = pick_device(device)
    features = load_vgg(vgg).to(place) if recipe.losses.content else None
    weights = LossWeights(**recipe.losses.model_dump())
    config = _config(recipe, pairs, validation, features, place, seed)
    state = fresh_state(recipe, pairs.patch_px, place, seed)
    last = run / "last.safetensors"
    if resume:
        load_state(last, state, config)
    else:
        if isinstance(state.generator.network, Generator) and _starts_from_photo(recipe):
            mix_colours(state.generator.network, *fit_matrix(pairs))
        _open_run(run, config)
        save_state(last, state, config)

    exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    log = RunLog(run / "log.jsonl", after_step=state.step)
    with exact, StopSignals() as stop, Batches(pairs, recipe, seed, first_step=state.step) as batches:
        for batch in batches:
            begun_s = time.monotonic()
            set_learning_rate(state, recipe)
            losses = iterate(state, weights, features, batch.to(place))
            state.follow(recipe.ema)
            state.step += 1
            _refuse_nan(losses, state.step, last)
            took_s = batches.waited_s + time.monotonic() - begun_s

            validation_db = None
            evaluate = state.step % recipe.eval_every == 0 or state.step == recipe.iterations
            if evaluate and validation is not None:
                validation_db = validate(state.result, validation, recipe.validation_patches, place)
                _save_picture(run, state, validation, place, config["stamp"])
            log.append({"step": state.step, **losses} | ({} if validation_db is None else {"psnr_db": validation_db}))
            if validation_db is not None and _is_better(validation_db, state, recipe):
                state.best_psnr_db, state.best_step = validation_db, state.step
                meta = {"config": config, "step": state.step, "validation_psnr_db": validation_db}
                save_generator(run / "best.safetensors", state.result, meta)
            if evaluate:
                save_state(last, state, config)
            try:
                report(StepReport(state.step, recipe.iterations, losses, validation_db, took_s, batches.waited_s))
            except KeyboardInterrupt:
                save_state(last, state, config)
                raise
            if stop.received is not None or _has_stalled(state, recipe):
                break
        if stop.received is not None:
            save_state(last, state, config)
    return Trained(run, state.step, state.best_psnr_db, state.best_step)


def _is_better(validation_db: float, state: State, recipe: Recipe) -> bool:
    """Tell whether the weights of now take the place of the best so far; on a cosine the latest always do."""
    return recipe.schedule == "cosine" or validation_db > (
        -math.inf if state.best_psnr_db is None else state.best_psnr_db
    )


def _has_stalled(state: State, recipe: Recipe) -> bool:
    """Tell whether so many validations have brought nothing better that the run may end."""
    waited = state.step - state.best_step
    return bool(recipe.patience) and state.best_psnr_db is not None and waited >= recipe.patience * recipe.eval_every


def set_learning_rate(state: State, recipe: Recipe) -> None:
    """Set the learning rate of the step to come."""
    fraction = 1.0
    if recipe.schedule == "cosine":
        fraction = (1 + math.cos(math.pi * state.step / recipe.iterations)) / 2
    for _, trainee in state.trainees():
        for group in trainee.adam.param_groups:
            group["lr"] = recipe.lr * fraction


def fresh_state(recipe: Recipe, patch_px: int, device: torch.device, seed: int) -> State:
    """Return the state before the first step, the same for the same seed on every machine."""
    rng = torch.Generator().manual_seed(seed)
    sizes = recipe.generator.model_dump(exclude={"kind", "start"})
    generator = ENHANCERS[recipe.generator.kind](**sizes, rng=rng)
    if isinstance(generator, Generator) and _starts_from_photo(recipe):
        start_from_photo(generator, rng)
    generator = generator.to(device)
    discriminator = None
    if recipe.losses.texture:
        network = Discriminator(patch_px, recipe.discriminator.scale, rng=rng).to(device)
        discriminator = Trainee(network, _adam(network, recipe))
    ema = copy.deepcopy(generator).requires_grad_(requires_grad=False) if recipe.ema else None
    return State(Trainee(generator, _adam(generator, recipe)), discriminator, ema)


def _adam(network: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), recipe.lr, recipe.betas)


def _starts_from_photo(recipe: Recipe) -> bool:
    return recipe.generator.kind == "dped" and recipe.generator.start == "matrix"


def _config(
    recipe: Recipe,
    pairs: PairSource,
    validation: PairSource | None,
    vgg: Vgg19 | None,
    device: torch.device,
    seed: int,
) -> Json:
    """Return what decides a run, and whether its pictures and numbers may be taken for results."""
    config: Json = {
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
        "pairs": {"content_hash": pairs.content_hash, "count": len(pairs), "patch_px": pairs.patch_px},
        "validation": None
        if validation is None
        else {"content_hash": validation.content_hash, "count": len(validation)},
        "vgg": "no VGG" if vgg is None else vgg.name,
        "vgg_sha256": None if vgg is None else vgg.sha256,
        "for_results": vgg is None or vgg.for_results,
        "device": str(device),
        "dpedkit": version("dpedkit"),
        "torch": torch.__version__,
    }
    return config | {"stamp": stamp(config)}


def _open_run(run: Path, config: Json) -> None:
    """Make a new run's folder."""
    if (run / "last.safetensors").exists():
        raise TrainError(f"{run} already holds a run", "go on with --resume, or choose another folder")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, run) from error
    write_atomic(run / "config.json", f"{json.dumps(config, indent=2)}\n".encode())


def _save_picture(run: Path, state: State, validation: PairSource, place: torch.device, caption: str) -> None:
    folder = run / "pictures"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    write_atomic(folder / f"{state.step:06d}.png", encode_png(picture(state.result, validation, place, caption)))


def _refuse_empty(pairs: PairSource, validation: PairSource | None) -> None:
    if not len(pairs):
        raise TrainError("there are no training pairs", "build patches first, or choose another phone or split")
    if validation is not None and not len(validation):
        raise TrainError("the validation split is empty", "build more patches, or train without validation")


def _refuse_nan(losses: Mapping[str, float], step: int, last: Path) -> None:
    wrong = [f"{name} = {value}" for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        raise TrainError(
            f"training went wrong at step {step}: {', '.join(wrong)}",
            f"the last good checkpoint is {last}; start a new run with a lower rate, such as --set lr=1e-4",
        )
