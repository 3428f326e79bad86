"""Layers over strips of rows. Tensors are [1, C, h, W], channels last in memory; maps are [H, W, C]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.inference.layers import Layer, Layers
from dpedkit.train.inference.maps import Source, Target

_CACHED = 1 << 17  # float32 values that stay in a processor's own cache


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
    """Yield strips of a map, each good until the next.

    The map may be overwritten up to `stop` meanwhile: what is needed of it is copied, always into the same memory,
    since new memory costs more time than the copying.
    """
    held: Tensor | None = None
    above = 0
    for start in range(0, source.height, rows):
        stop = min(start + rows, source.height)
        below = min(stop + halo, source.height)
        strip = source.read(start, below)
        if halo:
            if held is None:
                held = strip.new_empty(rows + 2 * halo, *strip.shape[1:])
            held[above : above + len(strip)] = strip
            strip = held[: above + len(strip)]
        yield Strip(start, stop, to_planes(strip), above, below - stop, halo)
        if held is not None:
            end = above + stop - start
            above = min(halo, end)
            held[:above] = held[end - above : end].clone()


def convolve(
    conv: nn.Conv2d,
    source: Source,
    target: Target,
    layers: Layers,
    *,
    before: Layer = lambda x: x,
    after: Layer = lambda x: x,
    last: bool = False,
) -> None:
    """Write after(conv(before(source))) to `target`, which may be `source`; the convolution keeps the size.

    last  whether it is the network's last one
    """
    halo = conv.kernel_size[0] // 2
    run = layers.run_last if last else layers.run
    for strip in strips(source, layers.rows, halo):
        x = strip.framed(before(strip.x))
        target.write(strip.start, to_rows(after(run(conv, x))))


class Moments:
    """Mean and variance of each channel over a whole map of so many rows, gathered strip by strip in float64."""

    def __init__(self, height: int) -> None:
        self._height, self._width, self._at = height, 0, 0
        self._means = self._squares = torch.empty(0)

    def gather(self, x: Tensor) -> Tensor:
        """Take in [1, C, h, W] and return it as it is.

        Each row by itself (Chan, Golub, LeVeque 1983), so that the digits depend neither on how high a strip is nor on
        how many threads there are.
        """
        rows = to_rows(x)
        height, self._width, channels = rows.shape
        if not self._at:  # all at once: small blocks that stay, between strips that go, would scatter the free memory
            self._means, self._squares = x.new_empty(2, self._height, channels, dtype=torch.float64)
        few = max(1, _CACHED // rows[0].numel()) if x.device.type == "cpu" else height
        for start in range(0, height, few):
            values = rows[start : start + few].float()
            mean = values.mean(dim=1, keepdim=True)
            part = slice(self._at, self._at + len(values))
            self._means[part] = mean[:, 0]
            self._squares[part] = (values - mean).square_().sum(dim=1)  # torch.var_mean takes twice as long
            self._at = part.stop
        return x

    @cached_property
    def mean(self) -> Tensor:
        """[C], float32; no more is gathered after that."""
        return self._merged[0].float()

    @cached_property
    def variance(self) -> Tensor:
        """[C], float32; biased."""
        return self._merged[1].float()

    @cached_property
    def _merged(self) -> tuple[Tensor, Tensor]:
        mean = self._means.mean(dim=0)
        return mean, (self._means - mean).square_().mean(dim=0) + self._squares.mean(dim=0) / self._width


def to_planes(rows: Tensor) -> Tensor:
    """View [h, W, C] as [1, C, h, W], channels last in memory.

    In this order: by the strides that rows.permute(2, 0, 1)[None] has, PyTorch does not know it, and copies.
    """
    return rows[None].permute(0, 3, 1, 2)


def to_rows(planes: Tensor) -> Tensor:
    """View [1, C, h, W] as [h, W, C]."""
    return planes[0].permute(1, 2, 0)
