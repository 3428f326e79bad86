"""Layers over strips of rows. Tensors are [1, C, h, W], channels last in memory; maps are [H, W, C]."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.inference.maps import Source, Target

Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows start to stop of a map, and as many above and below as there are of those asked for.

    x      [1, C, h, W], the rows above and below included
    above  how many of x lie above `start`
    below  how many lie below `stop`
    halo   how many were asked for
    """

    start: int
    stop: int
    x: Tensor
    above: int
    below: int
    halo: int

    def framed(self, x: Tensor) -> Tensor:
        """Put rows of zeros where the picture has none above or below."""
        missing = self.halo - self.above, self.halo - self.below
        return functional.pad(x, (0, 0, *missing)) if any(missing) else x  # of nothing it would still make a copy

    def inner(self, x: Tensor) -> Tensor:
        """Return the rows start to stop of what was computed of x."""
        return x[:, :, self.above : self.above + self.stop - self.start]


def strips(source: Source, rows: int, halo: int = 0) -> Iterator[Strip]:
    """Yield strips of a map, which may be overwritten up to `stop` meanwhile: the rows still needed are set aside."""
    aside: list[Tensor] = []
    above = 0
    for start in range(0, source.height, rows):
        stop = min(start + rows, source.height)
        below = min(stop + halo, source.height)
        strip = source.read(start, below)
        if halo:
            strip = torch.cat([*aside, strip])
            aside = [strip[: above + stop - start][-halo:]]
        yield Strip(start, stop, to_planes(strip), above, below - stop, halo)
        above = len(aside[0]) if halo else 0


def convolve(
    conv: nn.Conv2d,
    source: Source,
    target: Target,
    rows: int,
    *,
    before: Layer = lambda x: x,
    after: Layer = lambda x: x,
) -> None:
    """Write after(conv(before(source))) to `target`, which may be `source`; the convolution keeps the size."""
    halo = conv.kernel_size[0] // 2
    for strip in strips(source, rows, halo):
        x = strip.framed(before(strip.x))
        target.write(strip.start, to_rows(after(run(conv, x))))


def run(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Run a convolution on rows that have all that it needs above and below."""
    padding = (0, conv.kernel_size[1] // 2)
    return functional.conv2d(x, conv.weight, conv.bias, padding=padding, groups=conv.groups)


class Moments:
    """Mean and variance of each channel over a whole map, gathered strip by strip in float64."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._squares = torch.zeros(1, dtype=torch.float64)

    def gather(self, x: Tensor) -> Tensor:
        """Take in [1, C, h, W] (Chan, Golub, LeVeque 1983) and return it as it is."""
        pixels = to_rows(x).reshape(-1, x.shape[1])
        mean = pixels.mean(dim=0)
        squares = (pixels - mean).square_().sum(dim=0)  # torch.var_mean takes twice as long over channels last
        count = len(pixels)
        if not self.count:
            self._mean = self._squares = torch.zeros_like(mean, dtype=torch.float64)
        total, step = self.count + count, mean.double() - self._mean
        self._squares = self._squares + squares.double() + step.square() * (self.count * count / total)
        self._mean = self._mean + step * (count / total)
        self.count = total
        return x

    @property
    def mean(self) -> Tensor:
        """[C], float32."""
        return self._mean.float()

    @property
    def variance(self) -> Tensor:
        """[C], float32; biased."""
        return (self._squares / self.count).float()


def to_planes(rows: Tensor) -> Tensor:
    """View [h, W, C] as [1, C, h, W], channels last in memory.

    In this order: by the strides that rows.permute(2, 0, 1)[None] has, PyTorch does not know it, and copies.
    """
    return rows[None].permute(0, 3, 1, 2)


def to_rows(planes: Tensor) -> Tensor:
    """View [1, C, h, W] as [h, W, C]."""
    return planes[0].permute(1, 2, 0)
