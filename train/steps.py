"""One step of each of DPED's two networks."""

from __future__ import annotations

import math
from dataclasses import asdict

import torch
from torch import Tensor

from dpedkit.train.batches import Batch
from dpedkit.train.checkpoint import State, Trainee
from dpedkit.train.losses import LossWeights, discriminator_loss, generator_loss
from dpedkit.train.networks import Discriminator, Enhancer, to_gray
from dpedkit.train.vgg import Vgg19


def iterate(state: State, weights: LossWeights, vgg: Vgg19 | None, batch: Batch[Tensor]) -> dict[str, float]:
    """Improve the generator, then the discriminator if there is one; return their losses, each before its step."""
    losses = generator_step(state, weights, vgg, batch.phone, batch.dslr)
    if state.discriminator is not None:
        losses["discriminator"] = discriminator_step(state, batch.other_phone, batch.other_dslr, batch.is_dslr)
    return losses


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
