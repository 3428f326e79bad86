"""The training loop of DPED: a generator step on one batch, a discriminator step on another, and so on.

A run's folder: config.json (what decides the run), log.jsonl (a line per step), last.safetensors (to go on from),
best.safetensors (the generator to use: see the recipe's schedule).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dpedkit.errors import TrainError
from dpedkit.files import storage_error, write_atomic
from dpedkit.train.baselines import fit_matrix
from dpedkit.train.checkpoint import State, Trainee, load_state, save_state
from dpedkit.train.device import pick_device
from dpedkit.train.losses import LossWeights, discriminator_loss, generator_loss
from dpedkit.train.metrics import psnr_per_image
from dpedkit.train.networks import ENHANCERS, Discriminator, Enhancer, Generator, mix_colours, start_from_photo, to_gray
from dpedkit.train.recipe import Recipe
from dpedkit.train.runlog import RunLog
from dpedkit.train.stopping import StopSignals
from dpedkit.train.vgg import Vgg19, load_vgg
from dpedkit.train.weights import save_generator
from dpedkit.types import U8, Json, PairSource

_VALIDATION_BATCH = 16


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one iteration brought.

    step           iterations finished, of `iterations`
    losses         by name: total, the generator's terms that count (unweighted), discriminator
    validation_db  mean PSNR over the validation patches, where this step was followed by a validation
    """

    step: int
    iterations: int
    losses: Mapping[str, float]
    validation_db: float | None


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
    with exact, StopSignals() as stop:
        while state.step < recipe.iterations and stop.received is None:
            rng = np.random.default_rng([seed, state.step])
            set_learning_rate(state, recipe)
            losses = generator_step(state, weights, features, *_draw(pairs, recipe.batch, rng, place))
            if state.discriminator is not None:
                batch = _draw(pairs, recipe.batch, rng, place)
                is_dslr = torch.from_numpy(rng.random(recipe.batch) < 0.5).to(place)
                losses["discriminator"] = discriminator_step(state, *batch, is_dslr)
            state.step += 1
            _refuse_nan(losses, state.step, last)

            validation_db = None
            evaluate = state.step % recipe.eval_every == 0 or state.step == recipe.iterations
            if evaluate and validation is not None:
                validation_db = validate(state.generator.network, validation, recipe.validation_patches, place)
            log.append({"step": state.step, **losses} | ({} if validation_db is None else {"psnr_db": validation_db}))
            if validation_db is not None and _is_better(validation_db, state, recipe):
                state.best_psnr_db, state.best_step = validation_db, state.step
                meta = {"config": config, "step": state.step, "validation_psnr_db": validation_db}
                save_generator(run / "best.safetensors", state.generator.network, meta)
            if evaluate:
                save_state(last, state, config)
            try:
                report(StepReport(state.step, recipe.iterations, losses, validation_db))
            except KeyboardInterrupt:
                save_state(last, state, config)
                raise
        if stop.received is not None:
            save_state(last, state, config)
    return Trained(run, state.step, state.best_psnr_db, state.best_step)


def generator_step(
    state: State, weights: LossWeights, vgg: Vgg19 | None, phone: Tensor, dslr: Tensor
) -> dict[str, float]:
    """Improve the generator on a batch [B, 3, S, S] each; return its loss and the terms that count, before the step."""
    enhanced = state.generator.network(phone)
    features = dslr_features = probabilities = None
    if weights.content and vgg is not None:
        with torch.no_grad():
            dslr_features = vgg(dslr)
        features = vgg(enhanced)
    if weights.texture and state.discriminator is not None:
        probabilities = state.discriminator.network(to_gray(enhanced))
    loss = generator_loss(
        enhanced, dslr, weights, features=features, dslr_features=dslr_features, probabilities=probabilities
    )
    _descend(state.generator, loss.total, state.step)
    counting = [name for name, weight in asdict(weights).items() if weight]
    return {name: float(getattr(loss, name).detach()) for name in ["total", *counting]}


def discriminator_step(state: State, phone: Tensor, dslr: Tensor, is_dslr: Tensor) -> float:
    """Improve the discriminator on a batch; return its loss before the step.

    phone, dslr  [B, 3, S, S]
    is_dslr      [B] bool, which patches it is shown as the DSLR took them; the others it sees enhanced
    """
    if state.discriminator is None:
        raise ValueError("this state has no discriminator: its recipe has no texture loss")
    with torch.no_grad():
        enhanced = state.generator.network(phone)
    shown = torch.where(is_dslr[:, None, None, None], dslr, enhanced)
    loss = discriminator_loss(state.discriminator.network(to_gray(shown)), is_dslr)
    _descend(state.discriminator, loss, state.step)
    return float(loss.detach())


def _descend(trainee: Trainee[Enhancer] | Trainee[Discriminator], loss: Tensor, step: int) -> None:
    """Take one step of Adam, with epsilon where TensorFlow has it: beside the second moment before its correction."""
    for group in trainee.adam.param_groups:
        group["eps"] = 1e-8 / math.sqrt(1 - group["betas"][1] ** (step + 1))
    trainee.adam.zero_grad()
    torch.autograd.backward(loss, inputs=list(trainee.network.parameters()))
    trainee.adam.step()


def _is_better(validation_db: float, state: State, recipe: Recipe) -> bool:
    """Tell whether the weights of now take the place of the best so far; on a cosine the latest always do."""
    return recipe.schedule == "cosine" or validation_db > (
        -math.inf if state.best_psnr_db is None else state.best_psnr_db
    )


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
    return State(Trainee(generator, _adam(generator, recipe)), discriminator)


def _adam(network: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), recipe.lr, recipe.betas)


def _starts_from_photo(recipe: Recipe) -> bool:
    return recipe.generator.kind == "dped" and recipe.generator.start == "matrix"


@torch.no_grad()
def validate(generator: Enhancer, pairs: PairSource, limit: int, device: torch.device) -> float:
    """Return the mean PSNR, dB, of up to `limit` enhanced patches, clipped to [0, 1], against the DSLR's."""
    rows = np.unique(np.linspace(0, len(pairs) - 1, min(limit, len(pairs))).astype(np.int64))
    scores: list[float] = []
    for start in range(0, len(rows), _VALIDATION_BATCH):
        phone, dslr = pairs.read_batch(rows[start : start + _VALIDATION_BATCH])
        enhanced = generator(_to_tensor(phone, device)).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        scores.extend(psnr_per_image(enhanced, dslr))
    return float(np.mean(scores))


def _draw(pairs: PairSource, count: int, rng: np.random.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a random batch, drawn with replacement: phone and DSLR, [B, 3, S, S] in [0, 1]."""
    phone, dslr = pairs.read_batch(rng.integers(len(pairs), size=count))
    return _to_tensor(phone, device), _to_tensor(dslr, device)


def _to_tensor(rgb: U8, device: torch.device) -> Tensor:
    """Return bytes [B, S, S, 3] as [B, 3, S, S] in [0, 1], channels last in memory."""
    return torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float() / 255


def _config(
    recipe: Recipe,
    pairs: PairSource,
    validation: PairSource | None,
    vgg: Vgg19 | None,
    device: torch.device,
    seed: int,
) -> Json:
    """Return what decides a run, and whether its pictures and numbers may be taken for results."""
    return {
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


def _open_run(run: Path, config: Json) -> None:
    """Make a new run's folder."""
    if (run / "last.safetensors").exists():
        raise TrainError(f"{run} already holds a run", "go on with --resume, or choose another folder")
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, run) from error
    write_atomic(run / "config.json", f"{json.dumps(config, indent=2)}\n".encode())


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
