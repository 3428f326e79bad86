"""What a run cannot succeed with, found before its first step or as soon as it shows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from dpedkit.errors import TrainError
from dpedkit.train.checkpoint import State
from dpedkit.train.processes import Processes
from dpedkit.train.recipe import Recipe
from dpedkit.types import PairSource

_CERTAIN = 1e-3  # the discriminator's loss per patch: it gives the right answer 99.9%
_CERTAIN_STEPS = 500  # in a row; in fewer, a generator that is learning may still catch up
_PER_WEIGHT = 3 * 4  # bytes in a checkpoint: itself and Adam's two means


def refuse_what_cannot_be(
    recipe: Recipe, pairs: PairSource, validation: PairSource | None, processes: Processes
) -> None:
    """Look at what is to be learnt from.

    Raises:
        TrainError: no pairs, patches of two sizes, or a batch that is smaller than the number of processes.
    """
    if not len(pairs):
        raise TrainError("there are no training pairs", "build patches first, or choose another phone or split")
    if validation is not None and not len(validation):
        raise TrainError("the validation split is empty", "build more patches, or train without validation")
    if validation is not None and validation.patch_px != pairs.patch_px:
        sizes = f"training patches have {pairs.patch_px} px, validation patches {validation.patch_px}"
        raise TrainError(sizes, "build them again with one size: `dpedkit build-patches`")
    if recipe.batch < processes.count:
        cause = f"a batch of {recipe.batch} cannot be shared by {processes.count} processes"
        raise TrainError(cause, f"start fewer, or raise it: --set batch={processes.count}")


def refuse_full_disk(run: Path, state: State) -> None:
    """See that the run's checkpoints will fit, two of each: a new one is whole before the old one goes.

    Raises:
        TrainError: they will not.
    """
    networks: list[nn.Module] = [trainee.network for _, trainee in state.trainees()]
    all_of_them = sum(_weights(network) for network in networks) * _PER_WEIGHT
    needed = 2 * (all_of_them + 2 * 4 * _weights(state.generator.network))  # the running mean, and best.safetensors
    there = next(folder for folder in (run, *run.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        cause = f"the checkpoints need {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free at {there}"
        raise TrainError(cause, "free some space, then start again")


class Watch:
    """Looks at the losses of each step, and ends a run that has gone wrong.

    last  the checkpoint that is kept
    """

    def __init__(self, recipe: Recipe, last: Path) -> None:
        self._certain, self._last = _CERTAIN * recipe.batch, last
        self._certain_steps = 0

    def look(self, losses: Mapping[str, float], step: int) -> None:
        """Look at one step's losses.

        Raises:
            TrainError: a loss is no longer finite, or the discriminator has won.
        """
        wrong = [f"{name} = {value}" for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            raise TrainError(
                f"training went wrong at step {step}: {', '.join(wrong)}",
                f"the last good checkpoint is {self._last}; start a new run with a lower rate, such as --set lr=1e-4",
            )
        won = losses.get("discriminator", math.inf) < self._certain
        self._certain_steps = self._certain_steps + 1 if won else 0
        if self._certain_steps == _CERTAIN_STEPS:
            raise TrainError(
                f"the discriminator has won: for {_CERTAIN_STEPS} steps up to {step} it was certain of every patch, "
                "which teaches nothing",
                f"the last good checkpoint is {self._last}; start a new run with a weaker one, such as --set "
                "discriminator.scale=0.25, or without it, --set losses.texture=0",
            )


def _weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
