"""A run's whole state in one safetensors file, so that it can go on as if it had never stopped. Nothing is pickled.

Tensors are named "generator.<weight>", "generator_adam.<weight>.exp_avg" and so on; the metadata is JSON. It holds more
than what `weights.save_generator` writes, so a state can be loaded as a generator too. Random numbers have no place in
it: every step draws its own from (seed, step).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from dpedkit.errors import TrainError, WeightsError
from dpedkit.files import write_atomic
from dpedkit.settings import leaves
from dpedkit.train.networks import Discriminator, Enhancer
from dpedkit.train.weights import EMA, describe, parse_meta
from dpedkit.types import Json

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class Trainee(Generic[Network]):
    """A network and the Adam that trains it."""

    network: Network
    adam: torch.optim.Adam


@dataclass
class State:
    """What changes during a run.

    discriminator  None where no term of the loss asks for one
    ema            the running mean of the generator's weights, where the recipe asks for it
    step           iterations finished
    best_psnr_db   the best validation so far; None before the first
    best_step      the step it belongs to
    """

    generator: Trainee[Enhancer]
    discriminator: Trainee[Discriminator] | None
    ema: Enhancer | None = None
    step: int = 0
    best_psnr_db: float | None = None
    best_step: int = 0

    @property
    def result(self) -> Enhancer:
        """The generator that counts: the running mean where there is one."""
        return self.generator.network if self.ema is None else self.ema

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Let the running mean, if there is one, keep `decay` of itself and take the rest from the weights of now."""
        if self.ema is not None:
            for mean, weight in zip(self.ema.parameters(), self.generator.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)

    def trainees(self) -> Iterator[tuple[str, Trainee[Any]]]:
        """Yield ("generator", ...), and ("discriminator", ...) if there is one."""
        yield "generator", self.generator
        if self.discriminator is not None:
            yield "discriminator", self.discriminator


def save_state(path: Path, state: State, config: Json) -> None:
    """Write a run's state, and the config that it belongs to, whole or not at all.

    Raises:
        TrainError: a weight is no longer a finite number; the file is left as it was.
        StorageError: the disk is full, or the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for role, trainee in state.trainees():
        for name, weight in trainee.network.named_parameters():
            if not torch.isfinite(weight).all():
                raise TrainError(f"{role}.{name} is not finite after step {state.step}", f"{path} is kept as it was")
            tensors[f"{role}.{name}"] = weight.detach()
            for moment, value in trainee.adam.state.get(weight, {}).items():
                tensors[f"{role}_adam.{name}.{moment}"] = value
    if state.ema is not None:
        tensors |= {f"{EMA}{name}": weight for name, weight in state.ema.named_parameters()}
    progress = {"step": state.step, "best_psnr_db": state.best_psnr_db, "best_step": state.best_step}
    meta = {**describe(state.generator.network), **progress, "config": config}
    write_atomic(path, save({name: t.contiguous() for name, t in tensors.items()}, {"dpedkit": json.dumps(meta)}))


def load_state(path: Path, state: State, config: Json) -> None:
    """Fill a fresh state, built from the same config, from a file.

    Raises:
        TrainError: there is no such file, or it belongs to another config; the message names what differs.
        WeightsError: the file is truncated, corrupt or foreign.
    """
    if not path.is_file():
        raise TrainError(f"nothing to resume: no {path}", "start the run without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            meta = parse_meta(file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        _refuse_differences(meta["config"], config, path)
        for role, trainee in state.trainees():
            _fill(role, trainee, tensors)
        if state.ema is not None:
            state.ema.load_state_dict({name: tensors[f"{EMA}{name}"] for name, _ in state.ema.named_parameters()})
        state.step, state.best_step = int(meta["step"]), int(meta["best_step"])
        state.best_psnr_db = meta["best_psnr_db"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path} is not a whole training checkpoint: {str(error).splitlines()[0]}",
            "start the run again, in another folder",
        ) from error


def _fill(role: str, trainee: Trainee[Any], tensors: dict[str, Tensor]) -> None:
    """Copy weights and moments into a trainee, each in the memory layout that it has there."""
    network: nn.Module = trainee.network
    network.load_state_dict({name: tensors[f"{role}.{name}"] for name, _ in network.named_parameters()})
    for name, weight in network.named_parameters():
        prefix = f"{role}_adam.{name}."
        moments = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        trainee.adam.state[weight] = {
            moment: torch.zeros_like(weight).copy_(value) if value.ndim else value for moment, value in moments.items()
        }


def _refuse_differences(saved: Json, asked: Json, path: Path) -> None:
    """Compare all of two configs that decides the next step."""
    before, now = dict(leaves(saved)), dict(leaves(asked))
    differing = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    free = {
        "dpedkit",
        "torch",
        "device",
        "fast",
        "compute",
        "stamp",
        "recipe.summary",
        "recipe.eval_every",
        "recipe.patience",
        "recipe.validation_patches",
    }
    if now.get("recipe.schedule") == "constant":
        free.add("recipe.iterations")  # the learning rate does not depend on it: a run may be made longer
    differing = [key for key in differing if key not in free]
    if differing:
        found = "; ".join(f"{key} was {before.get(key)}, is {now.get(key)}" for key in differing)
        raise TrainError(
            f"{path} belongs to another run: {found}", "resume with what the run began with, or start a new run"
        )
