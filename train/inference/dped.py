"""DPED's generator over strips.

A convolution writes its raw output and gathers mean and variance on the way; whoever reads that map normalises what it
reads. Two maps are enough, since a map may be overwritten while it is read.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor
from torch.nn import functional

from dpedkit.train.inference.layers import Layers
from dpedkit.train.inference.maps import Map, Maps, Photo, Result
from dpedkit.train.inference.strips import Moments, convolve, strips, to_rows
from dpedkit.train.networks import Block, Generator, InstanceNorm


def enhance(generator: Generator, photo: Photo, result: Result, maps: Maps, layers: Layers) -> None:
    """Write the enhanced photo to `result`."""
    skip, work = (maps.new(photo.height, photo.width, generator.sizes["width"]) for _ in range(2))
    convolve(generator.head, photo, skip, layers, after=functional.relu_)
    for block in cast("list[Block]", generator.blocks):
        _run_block(block, skip, work, layers)
    convolve(generator.refine1, skip, work, layers, after=functional.relu_)
    convolve(generator.refine2, work, work, layers, after=functional.relu_)
    convolve(generator.to_rgb, work, result, layers, after=generator.squash, last=True)


def _run_block(block: Block, skip: Map, work: Map, layers: Layers) -> None:
    """Add a residual block's output to `skip`; `work` is overwritten."""
    first, second = Moments(work.height), Moments(work.height)
    convolve(block.conv1, skip, work, layers, after=first.gather)
    convolve(block.conv2, work, work, layers, before=partial(_normalised, block.norm1, first), after=second.gather)
    for strip in strips(work, layers.rows):
        added = to_rows(_normalised(block.norm2, second, strip.x))
        skip.write(strip.start, added.add_(skip.read(strip.start, strip.stop)))


def _normalised(norm: InstanceNorm, over: Moments, x: Tensor) -> Tensor:
    """Return relu(norm(x)), by statistics of the whole map."""
    normal = functional.batch_norm(x, over.mean, over.variance, norm.scale, norm.shift, eps=norm.eps)
    return functional.relu_(normal)
