"""One iteration of `dped`: generator and discriminator step, batch 10, random VGG.

Against a plain port to eager PyTorch that does the same arithmetic from the same weights; float32, one CPU thread, each
in a process of its own. `--fast` is what it turns on here (a note says it), with the DSLR patches' features kept, as
they are once every patch was drawn. The first iteration warms up and is left out. Such a port stood at 0.57x of the
TensorFlow reference; the networks' weights are random, which changes no cost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from baselines import train_eager
from measure import Figure, Findings, Timed, alone, costs, timed
from torch import Tensor, nn

from dpedkit.train import load_recipe, pick_compute
from dpedkit.train.batches import Batch
from dpedkit.train.checkpoint import State
from dpedkit.train.loop import fresh_state
from dpedkit.train.losses import LossWeights
from dpedkit.train.steps import Steps
from dpedkit.train.vgg import Vgg19, load_vgg

BATCH = 10
WHOLE_BATCH = 50  # the recipe's
MICRO_BATCH = 10
ITERATIONS = 3

Iterate = Callable[[Tensor, Tensor, Tensor], tuple[float, float]]


def run() -> Findings:
    """Train with ours and with the port."""
    ours, fast, port = (alone(iterations, which, BATCH, ITERATIONS, "cpu") for which in ("ours", "fast", "port"))
    whole, parts = (alone(iterations, which, WHOLE_BATCH, 1, "cpu") for which in ("port", "parts"))
    loss, port_loss = ours[0].value[0], port[0].value[0]
    fast_loss = fast[0].value[0]
    memory = f"an iteration, batch {WHOLE_BATCH}, --micro-batch {MICRO_BATCH}: peak memory"
    figures = [
        *costs(f"an iteration, batch {BATCH}", ours[1:], port[1:], ">= 1.75x"),
        *costs(f"an iteration, batch {BATCH}, --fast", fast[1:], port[1:], ">= 6x"),
        Figure(memory, [parts[-1].peak_mb], "MB", [whole[-1].peak_mb], target=">= 2x"),
        Figure("first generator loss against the port's, relative", [abs(loss / port_loss - 1)], target="<= 1e-5"),
        Figure("first generator loss of --fast, the same", [abs(fast_loss / port_loss - 1)]),
    ]
    return Findings(figures, [f"--fast is here: {alone(fast_words)}."])


def fast_words() -> str:
    """Return what `--fast` is on this machine, and what it is not."""
    compute = pick_compute("cpu", fast=True)
    return "; ".join([compute.words, *compute.notes])


def iterations(which: str, batch: int, count: int, place: str) -> list[Timed]:
    """Return `count` iterations after a first one; each call's value is the generator's and discriminator's loss."""
    iterate = port_iterations(place) if which == "port" else our_iterations(which, place)
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.random((2, batch, 100, 100, 3), dtype=np.float32)).to(place)
    phone, dslr = pixels.permute(0, 1, 4, 2, 3)  # as the loop draws them
    is_dslr = torch.from_numpy(rng.random(batch) < 0.5).to(place)
    return [timed(iterate, phone, dslr, is_dslr) for _ in range(count + 1)]


def our_iterations(which: str, place: str) -> Iterate:
    """Return what the loop does in each iteration; which: "ours", "fast" or "parts"."""
    state, vgg = fresh(place)
    compute = pick_compute(place, fast=which == "fast", micro_batch=MICRO_BATCH if which == "parts" else 0)
    steps = Steps(state, LossWeights(), vgg, compute, patches=WHOLE_BATCH)

    def iterate(phone: Tensor, dslr: Tensor, is_dslr: Tensor) -> tuple[float, float]:
        batch = Batch(phone, dslr, phone, dslr, is_dslr, np.arange(len(phone)))
        with compute.settings():
            losses = steps.iterate(batch)
        state.step += 1
        return losses["total"], losses["discriminator"]

    return iterate


def port_iterations(place: str) -> Iterate:
    """Return the port's iteration, from the same weights."""
    state, vgg = fresh(place)
    trainer = train_eager.Trainer(
        copied(state.generator.network, train_eager.Generator()),
        copied(state.discriminator.network, train_eager.Discriminator()),
        copied(vgg, train_eager.Vgg()),
        place,
    )
    return lambda phone, dslr, is_dslr: trainer.iterate(phone.contiguous(), dslr.contiguous(), is_dslr)


def fresh(place: str) -> tuple[State, Vgg19]:
    """Return the state before the first step of `dped`, and a random VGG."""
    return fresh_state(load_recipe("dped"), 100, torch.device(place), 0), load_vgg("random:0").to(place)


@torch.no_grad()
def copied(source: nn.Module, target: nn.Module) -> nn.Module:
    """Return `target` with the parameters of `source`, which it registers in the same order."""
    for weight, copy in zip(source.parameters(), target.parameters(), strict=True):
        copy.copy_(weight)
    return target
