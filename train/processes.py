"""The processes that train one network together, each on its part of every batch, as torchrun starts them.

Every process holds the same weights. What each adds to the gradients is summed, and all take the same step: the
losses' terms are made to add up (`losses.generator_loss`), so there is no mean of DistributedDataParallel's to undo,
and the sum is that of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from dpedkit.errors import TrainError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process, and how many there are.

    rank    which one this is, from 0; that one alone writes
    count   how many there are
    device  where this one computes; alone, "": wherever it likes
    """

    rank: int = 0
    count: int = 1
    device: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def part_of(self, size: int) -> slice:
        """Return which of `size` rows are this process's."""
        return slice(self.rank * size // self.count, (self.rank + 1) * size // self.count)

    def add_up(self, values: Tensor) -> Tensor:
        """Return the sum of what every process has here.

        Raises:
            TrainError: another process has ended.
        """
        if self.count > 1:
            with _others_there():
                distributed.all_reduce(values)
        return values

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the sum of every process's gradients in place of this one's."""
        if self.count > 1:
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            together = self.add_up(torch.cat([gradient.flatten() for gradient in gradients]))
            summed = torch.split(together, [gradient.numel() for gradient in gradients])
            for gradient, values in zip(gradients, summed, strict=True):
                gradient.copy_(values.view_as(gradient))

    def any_has(self, here: bool) -> bool:
        """Return whether something is so in any of the processes."""
        return bool(self.add_up(torch.tensor(float(here), device=self.device or "cpu")))

    def told(self, value: Any) -> Any:
        """Return what the first process has here; raises as `add_up` does."""
        if self.count == 1:
            return value
        box = [value]
        with _others_there():
            distributed.broadcast_object_list(box)
        return box[0]


ALONE = Processes()


@contextmanager
def _others_there() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # a backend's own words are of sockets
        raise TrainError("another of the processes has ended", "see what it said") from error


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started; without torchrun this one is alone.

    Raises:
        TrainError: the processes do not find one another.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    on_gpus = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpus else "cpu"
    try:
        if on_gpus:
            torch.cuda.set_device(own)
        distributed.init_process_group("nccl" if on_gpus else "gloo")
    except (RuntimeError, ValueError) as error:
        raise TrainError(f"the processes do not find one another: {error}", "start them with torchrun") from error
    try:
        yield Processes(distributed.get_rank(), count, own)
    finally:
        distributed.destroy_process_group()
