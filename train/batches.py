"""Random batches, read while the step before them computes."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dpedkit.train.recipe import Recipe
from dpedkit.types import I64, U8, PairSource

Array: TypeAlias = npt.NDArray[Any]
Data = TypeVar("Data")

ALL = slice(None)


@dataclass(frozen=True)
class Batch(Generic[Data]):
    """What one iteration looks at: as read, bytes [B, S, S, 3], or where it computes, [B, 3, S, S] in [0, 1].

    phone, dslr              for the generator
    other_phone, other_dslr  for the discriminator
    is_dslr                  [B] bool, which patches that one is shown as the DSLR took them
    rows                     [B] which patches the first ones are
    """

    phone: Data
    dslr: Data
    other_phone: Data
    other_dslr: Data
    is_dslr: Data
    rows: I64

    def to(self: Batch[Array], device: torch.device) -> Batch[Tensor]:
        """Return the batch as tensors."""
        phone, dslr, other_phone, other_dslr = (
            to_tensor(rgb, device) for rgb in (self.phone, self.dslr, self.other_phone, self.other_dslr)
        )
        return Batch(phone, dslr, other_phone, other_dslr, torch.from_numpy(self.is_dslr).to(device), self.rows)


class Batches:
    """Yields the batch of one step after the other, each drawn with replacement by (seed, step) alone.

    A thread reads the next one meanwhile. A context manager.

    part      which rows of every batch are read: those of this process
    waited_s  how long the last batch was waited for
    """

    def __init__(self, pairs: PairSource, recipe: Recipe, seed: int, *, first_step: int, part: slice = ALL) -> None:
        self.waited_s = 0.0
        self._pairs, self._size, self._seed, self._part = pairs, recipe.batch, seed, part
        self._adversarial = bool(recipe.losses.texture)
        self._steps_left = iter(range(first_step, recipe.iterations))
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: Future[Batch[Array]] | None = None

    def __enter__(self) -> Self:
        self._begin_next()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch[Array]:
        if self._next is None:
            raise StopIteration
        begun_s = time.monotonic()
        batch = self._next.result()
        self.waited_s = time.monotonic() - begun_s
        self._begin_next()
        return batch

    def _begin_next(self) -> None:
        step = next(self._steps_left, None)
        self._next = None if step is None else self._reader.submit(self._read, step)

    def _read(self, step: int) -> Batch[Array]:
        rng = np.random.default_rng([self._seed, step])
        rows = self._draw(rng)
        others = self._draw(rng) if self._adversarial else rows
        is_dslr = rng.random(self._size)[self._part] < 0.5
        first = self._pairs.read_batch(rows)
        second = self._pairs.read_batch(others) if self._adversarial else first
        return Batch(*first, *second, is_dslr, rows)

    def _draw(self, rng: np.random.Generator) -> I64:
        return rng.integers(len(self._pairs), size=self._size)[self._part]


def to_tensor(rgb: U8, device: torch.device) -> Tensor:
    """Return bytes [B, S, S, 3] as [B, 3, S, S] in [0, 1], channels last in memory."""
    return torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float() / 255
