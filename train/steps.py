"""One iteration of DPED: a step of the generator on one batch, then one of the discriminator on another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from dpedkit.train.batches import Batch
from dpedkit.train.checkpoint import State, Trainee
from dpedkit.train.compute import Compute
from dpedkit.train.content import Features
from dpedkit.train.losses import LossWeights, discriminator_loss, generator_loss
from dpedkit.train.networks import Discriminator, Enhancer, to_gray
from dpedkit.train.vgg import Vgg19
from dpedkit.types import I64


class Steps:
    """Takes steps that change a state.

    vgg      only needed where content counts
    batch    patches in all processes' batches together; 0: the others have none
    patches  how many there are to draw from
    """

    def __init__(
        self,
        state: State,
        weights: LossWeights,
        vgg: Vgg19 | None,
        compute: Compute,
        *,
        batch: int = 0,
        patches: int = 0,
    ) -> None:
        self._state, self._weights, self._compute, self._batch = state, weights, compute, batch
        self._counting = [name for name, weight in asdict(weights).items() if weight]
        self._enhance = compute.forward(state.generator.network)
        self._judge = None if state.discriminator is None else compute.forward(state.discriminator.network)
        self._features = None if vgg is None or not weights.content else Features(vgg, compute, patches)

    def iterate(self, batch: Batch[Tensor]) -> dict[str, float]:
        """Improve the generator, then the discriminator if there is one; return their losses, each before its step."""
        losses = self.improve_generator(batch.phone, batch.dslr, batch.rows)
        if self._judge is not None:
            losses["discriminator"] = self.improve_discriminator(batch.other_phone, batch.other_dslr, batch.is_dslr)
        whole = self._compute.processes.add_up(torch.stack(list(losses.values())))
        return dict(zip(losses, whole.tolist(), strict=True))  # all at once: a GPU is waited for once

    def improve_generator(self, phone: Tensor, dslr: Tensor, rows: I64 | None = None) -> dict[str, Tensor]:
        """Improve the generator on a batch; return this process's share of its loss and of the terms that count.

        phone, dslr  [B, 3, S, S]
        rows         [B] which patches they are, for features to be kept
        """
        trainee = self._state.generator
        names = ["total", *self._counting]
        sums = phone.new_zeros(len(names))
        trainee.adam.zero_grad()
        for part in self._parts(len(phone)):
            enhanced = self._enhance(phone[part]).float()
            features = dslr_features = probabilities = None
            if self._features is not None:
                dslr_features = self._features.of_dslr(dslr[part], None if rows is None else rows[part])
                features = self._features.of(enhanced)
            if self._weights.texture and self._judge is not None:
                probabilities = self._judge(to_gray(enhanced))
            loss = generator_loss(
                enhanced,
                dslr[part],
                self._weights,
                features=features,
                dslr_features=dslr_features,
                probabilities=probabilities,
                share=len(enhanced) / (self._batch or len(phone)),
            )
            torch.autograd.backward(loss.total, inputs=list(trainee.network.parameters()))
            sums += torch.stack([getattr(loss, name).detach() for name in names])
        self._descend(trainee)
        return dict(zip(names, sums, strict=True))

    def improve_discriminator(self, phone: Tensor, dslr: Tensor, is_dslr: Tensor) -> Tensor:
        """Improve the discriminator on a batch; return this process's share of its loss before the step.

        phone, dslr  [B, 3, S, S]
        is_dslr      [B] bool, which patches it is shown as the DSLR took them; the others it sees enhanced
        """
        trainee = self._state.discriminator
        if trainee is None or self._judge is None:
            raise ValueError("this state has no discriminator: its recipe has no texture loss")
        trainee.adam.zero_grad()
        summed = phone.new_zeros(())
        for part in self._parts(len(phone)):
            with torch.no_grad():
                enhanced = self._enhance(phone[part]).float()
            shown = torch.where(is_dslr[part, None, None, None], dslr[part], enhanced)
            loss = discriminator_loss(self._judge(to_gray(shown)), is_dslr[part])
            torch.autograd.backward(loss, inputs=list(trainee.network.parameters()))
            summed += loss.detach()
        self._descend(trainee)
        return summed

    def _parts(self, size: int) -> Iterator[slice]:
        step = self._compute.micro_batch or size
        for start in range(0, size, step):
            yield slice(start, min(start + step, size))

    def _descend(self, trainee: Trainee[Enhancer] | Trainee[Discriminator]) -> None:
        """Take a step of Adam, with epsilon where TensorFlow has it: beside the second moment before its correction."""
        self._compute.processes.add_up_gradients(trainee.network.parameters())
        for group in trainee.adam.param_groups:
            group["eps"] = 1e-8 / math.sqrt(1 - group["betas"][1] ** (self._state.step + 1))
        trainee.adam.step()
