"""The training loop of DPED: a generator step on one batch, a discriminator step on another, and so on."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from dpedkit.train.baselines import fit_matrix
from dpedkit.train.batches import Batches
from dpedkit.train.checkpoint import State, Trainee
from dpedkit.train.compute import Compute, pick_compute
from dpedkit.train.keeping import Keeper
from dpedkit.train.losses import LossWeights
from dpedkit.train.networks import ENHANCERS, Discriminator, Generator, mix_colours, start_from_photo
from dpedkit.train.preflight import Watch, refuse_full_disk, refuse_what_cannot_be
from dpedkit.train.recipe import Recipe
from dpedkit.train.stamp import stamp
from dpedkit.train.steps import Steps
from dpedkit.train.stopping import StopSignals
from dpedkit.train.validation import validate
from dpedkit.train.vgg import Vgg19, load_vgg
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
    compute: Compute | None = None,
    vgg: str = "torchvision",
    resume: bool = False,
    report: Callable[[StepReport], None] = lambda _: None,
    seed: int = 0,
) -> Trained:
    """Train a generator on `pairs` and leave it in the folder `run`.

    compute     where and how; None: on the fastest device, as exactly as it goes
    validation  pairs to choose the best checkpoint by; without them there is only the last
    vgg         see `load_vgg`; not looked at when the recipe has no content loss
    resume      go on from the run's last checkpoint; on a CPU with the same number of threads, bit for bit

    SIGINT and SIGTERM end the current step, save, and then take their course. Where several processes share the work,
    the first one writes.

    Raises:
        TrainError: what `refuse_what_cannot_be` and `refuse_full_disk` name, a folder that already holds a run, nothing
            to resume or something else than asked for, or what a `Watch` sees; the last good checkpoint is kept.
        WeightsError: the VGG weights or the checkpoint to resume from are missing or corrupt.
        StorageError: the disk is full, or the folder cannot be written.
    """
    compute = pick_compute() if compute is None else compute
    place, group = compute.device, compute.processes
    refuse_what_cannot_be(recipe, pairs, validation, group)
    features = load_vgg(vgg).to(place) if recipe.losses.content else None
    weights = LossWeights(**recipe.losses.model_dump())
    config = _config(recipe, pairs, validation, features, compute, seed)
    state = fresh_state(recipe, pairs.patch_px, place, seed)
    refuse_full_disk(run, state)
    keeper = Keeper(run, state, config, compute)
    if resume:
        keeper.go_on()
    else:
        if isinstance(state.generator.network, Generator) and _starts_from_photo(recipe):
            mix_colours(state.generator.network, *fit_matrix(pairs))
        keeper.begin()

    steps = Steps(state, weights, features, compute, batch=recipe.batch, patches=len(pairs))
    batches = Batches(pairs, recipe, seed, first_step=state.step, part=group.part_of(recipe.batch))
    watch, stopping = Watch(recipe, keeper.last), False
    with compute.settings(), StopSignals() as stop, batches:
        for batch in batches:
            begun_s = time.monotonic()
            set_learning_rate(state, recipe)
            losses = steps.iterate(batch.to(place))
            state.follow(recipe.ema)
            state.step += 1
            watch.look(losses, state.step)
            took_s = batches.waited_s + time.monotonic() - begun_s

            validation_db = None
            evaluate = state.step % recipe.eval_every == 0 or state.step == recipe.iterations
            if evaluate and validation is not None:
                validation_db = group.told(validate(state.result, validation, recipe.validation_patches, place))
                keeper.show(validation)
            keeper.note(losses, validation_db)
            if validation_db is not None and _is_better(validation_db, state, recipe):
                state.best_psnr_db, state.best_step = validation_db, state.step
                keeper.save_best(validation_db)
            if evaluate:
                keeper.save()
            try:
                report(StepReport(state.step, recipe.iterations, losses, validation_db, took_s, batches.waited_s))
            except KeyboardInterrupt:
                keeper.save()
                raise
            stopping = group.any_has(stop.received is not None)
            if stopping or _has_stalled(state, recipe):
                break
        if stopping:
            keeper.save()
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
    compute: Compute,
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
        "device": str(compute.device),
        "fast": compute.fast,
        "compute": compute.words,
        "dpedkit": version("dpedkit"),
        "torch": torch.__version__,
    }
    return config | {"stamp": stamp(config)}
