"""Whole photos through a generator, exactly, in bounded memory.

DPED's instance normalisation takes its statistics over the whole picture, so tiles would change it. Instead each layer
runs over strips of rows before the next one starts: a convolution writes its raw output and gathers mean and variance
strip by strip, and whoever reads that map normalises what it reads. Two maps are enough, because a map may be
overwritten while it is read: the few rows that the next strip needs again are set aside. Other networks take the whole
picture at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from dpedkit.train.networks import Block, Enhancer, Generator, InstanceNorm, SameConv
from dpedkit.types import U8


def enhance(generator: Enhancer, rgb: U8, *, device: str | torch.device = "cpu", strip_rows: int = 16) -> U8:
    """Return the enhanced photo: what the generator makes of the whole picture at once, whatever its size.

    rgb         uint8 [H, W, 3], at least 1 x 1 px
    device      where to compute; it holds two feature maps, 8 * width bytes per pixel (10 GB for 20 MP at width 64)
    strip_rows  of DPED's generator, rows at a time: changes speed and memory, not the result
    ->          uint8 [H, W, 3]

    Raises:
        ValueError: `rgb` is no such array, or `strip_rows` is not positive.
    """
    if rgb.dtype != "uint8" or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(f"expected an uint8 [H, W, 3] of at least one pixel, got {rgb.dtype} {list(rgb.shape)}")
    if strip_rows < 1:
        raise ValueError(f"strips need at least 1 row, got {strip_rows}")
    generator = copy.deepcopy(generator).to(device).eval()
    photo = torch.from_numpy(rgb.copy())  # which may be mirrored or read-only
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        if isinstance(generator, Generator):
            return _by_strips(generator, photo, torch.device(device), strip_rows).numpy()
        enhanced = generator(_to_planes(photo.to(device).float() / 255))
        return _to_rows(_to_pixels(enhanced)).to("cpu", torch.uint8).contiguous().numpy()


def _by_strips(generator: Generator, photo: Tensor, device: torch.device, strip_rows: int) -> Tensor:
    result = torch.empty_like(photo)
    height, width = photo.shape[:2]
    skip, work = (torch.empty(height, width, generator.sizes["width"], device=device) for _ in range(2))
    strips = _Strips(strip_rows)
    strips.convolve(generator.head, photo, skip, before=lambda x: x.to(device).float() / 255, after=functional.relu)
    for block in cast("list[Block]", generator.blocks):
        strips.run_block(block, skip, work)
    strips.convolve(generator.refine1, skip, work, after=functional.relu)
    strips.convolve(generator.refine2, work, work, after=functional.relu)
    strips.convolve(generator.to_rgb, work, result, after=lambda x: _to_pixels(generator.squash(x)))
    return result


class _Strips:
    """Runs layers over maps [H, W, C], which are only ever read and written by whole rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def run_block(self, block: Block, skip: Tensor, work: Tensor) -> None:
        """Add a residual block's output to `skip`; `work` is overwritten."""
        first, second = _Moments(block.norm1), _Moments(block.norm2)
        self.convolve(block.conv1, skip, work, after=first.gather)
        self.convolve(
            block.conv2, work, work, before=lambda x: functional.relu(first.normalise(x)), after=second.gather
        )
        for start in range(0, len(skip), self.rows):
            rows = slice(start, start + self.rows)
            skip[rows] += _to_rows(functional.relu(second.normalise(_to_planes(work[rows]))))

    def convolve(
        self,
        conv: SameConv,
        source: Tensor,
        target: Tensor,
        *,
        before: Callable[[Tensor], Tensor] = lambda x: x,
        after: Callable[[Tensor], Tensor],
    ) -> None:
        """Write after(conv(before(source))) to `target`, which may be `source`."""
        halo = conv.kernel_size[0] // 2
        above = source[:0]  # the rows before this strip, as they were
        for start in range(0, len(source), self.rows):
            stop = min(start + self.rows, len(source))
            strip = torch.cat([above, source[start : stop + halo]])
            missing_above, missing_below = halo - len(above), stop + halo - min(stop + halo, len(source))
            above = strip[: len(above) + stop - start][-halo:]
            x = functional.pad(before(_to_planes(strip)), (0, 0, missing_above, missing_below))
            target[start:stop] = _to_rows(after(functional.conv2d(x, conv.weight, conv.bias, padding=(0, halo))))


class _Moments:
    """Mean and variance of each channel over a whole map, gathered strip by strip in float64."""

    def __init__(self, norm: InstanceNorm) -> None:
        self.norm = norm
        self.count = 0
        self.mean = torch.zeros_like(norm.scale, dtype=torch.float64)
        self.squares = torch.zeros_like(self.mean)  # summed squared distance from the mean

    def gather(self, x: Tensor) -> Tensor:
        """Take in [1, C, h, W] (Chan, Golub, LeVeque 1983) and return it as it is."""
        count = x[0, 0].numel()
        variance, mean = torch.var_mean(x[0], dim=(1, 2), correction=0)
        total, step = self.count + count, mean.double() - self.mean
        self.squares += variance.double() * count + step.square() * (self.count * count / total)
        self.mean += step * (count / total)
        self.count = total
        return x

    def normalise(self, x: Tensor) -> Tensor:
        """Normalise [1, C, h, W] by what was gathered."""
        mean, variance = self.mean.float(), (self.squares / self.count).float()
        return self.norm.normalise(x, mean[:, None, None], variance[:, None, None])


def _to_planes(rows: Tensor) -> Tensor:
    """View [h, W, C] as [1, C, h, W], channels last in memory."""
    return rows.permute(2, 0, 1)[None]


def _to_rows(planes: Tensor) -> Tensor:
    return planes[0].permute(1, 2, 0)


def _to_pixels(rgb: Tensor) -> Tensor:
    """Return [0, 1] as [0, 255], clipped and rounded."""
    return (rgb.clamp(0, 1) * 255).round()
