"""DPED's generator over strips.

A convolution writes its raw output and gathers mean and variance on the way; whoever reads that map normalises what it
reads. Two maps are enough, since a map may be overwritten while it is read.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor
from torch.nn import functional

from dpedkit.train.inference.maps import Map, Maps, Photo, Result
from dpedkit.train.inference.strips import Moments, convolve, strips, to_rows
from dpedkit.train.networks import Block, Generator, InstanceNorm


def enhance(generator: Generator, photo: Photo, result: Result, maps: Maps, rows: int) -> None:
    """Write the enhanced photo to `result`, so many rows at a time."""
    skip, work = (maps.new(photo.height, photo.width, generator.sizes["width"]) for _ in range(2))
    convolve(generator.head, photo, skip, rows, after=functional.relu)
    for block in cast("list[Block]", generator.blocks):
        _run_block(block, skip, work, rows)
    convolve(generator.refine1, skip, work, rows, after=functional.relu)
    convolve(generator.refine2, work, work, rows, after=functional.relu)
    convolve(generator.to_rgb, work, result, rows, after=generator.squash)


def _run_block(block: Block, skip: Map, work: Map, rows: int) -> None:
    """Add a residual block's output to `skip`; `work` is overwritten."""
    first, second = Moments(), Moments()
    convolve(block.conv1, skip, work, rows, after=first.gather)
    convolve(block.conv2, work, work, rows, before=partial(_normalised, block.norm1, first), after=second.gather)
    for strip in strips(work, rows):
        added = to_rows(_normalised(block.norm2, second, strip.x))
        skip.write(strip.start, added.add_(skip.read(strip.start, strip.stop)))


def _normalised(norm: InstanceNorm, over: Moments, x: Tensor) -> Tensor:
    """Return relu(norm(x)), by statistics of the whole map."""
    normal = functional.batch_norm(x, over.mean, over.variance, norm.scale, norm.shift, eps=norm.eps)
    return functional.relu_(normal)
