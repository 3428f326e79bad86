"""NAFNet over strips.

A block's attention is a mean over the picture, so each block passes over its map twice: to take that mean, and to
compute the block. What was computed in the first pass is computed again, which takes less time than keeping it.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.inference.layers import Layers
from dpedkit.train.inference.maps import Map, Maps, Photo, Result
from dpedkit.train.inference.strips import Moments, Strip, convolve, strips, to_planes, to_rows
from dpedkit.train.networks import Nafnet
from dpedkit.train.networks.nafnet import NafBlock, gate


def enhance(network: Nafnet, photo: Photo, result: Result, maps: Maps, layers: Layers) -> None:
    """Write the enhanced photo to `result`."""
    rows = layers.rows
    step = 2 ** len(network.downs)
    padded = _Padded(photo, step)
    width, channels = photo.width + -photo.width % step, network.sizes["width"]
    x = maps.new(padded.height, width, channels)
    convolve(network.intro, padded, x, layers)
    skips: list[Map] = []
    for encoder, down in zip(
        cast("list[NafBlock]", network.encoders), cast("list[nn.Conv2d]", network.downs), strict=True
    ):
        _run_block(encoder, x, layers)
        skips.append(x)
        width, channels = width // 2, 2 * channels
        x = maps.new(x.height // 2, width, channels)
        for strip in strips(skips[-1], 2 * rows):
            x.write(strip.start // 2, to_rows(layers.run(down, strip.x)))
    for block in cast("list[NafBlock]", network.middle):
        _run_block(block, x, layers)
    for up, decoder in zip(cast("list[nn.Conv2d]", network.ups), cast("list[NafBlock]", network.decoders), strict=True):
        skip = skips.pop()
        for strip in strips(x, rows):
            start = 2 * strip.start
            kept = skip.read(start, 2 * strip.stop)
            skip.write(start, to_rows(functional.pixel_shuffle(layers.run(up, strip.x), 2) + to_planes(kept)))
        x = skip
        _run_block(decoder, x, layers)
    for strip in strips(x, rows, 1):
        last = min(strip.stop, photo.height)
        if strip.start < last:
            made = layers.run_last(network.ending, strip.framed(strip.x))
            rgb = to_rows(made)[: last - strip.start, : photo.width]
            result.write(strip.start, rgb + photo.read(strip.start, last))


class _Padded:
    """A photo with zeros to the right and below, until its sides can be halved so often."""

    def __init__(self, photo: Photo, step: int) -> None:
        self.height = photo.height + -photo.height % step
        self._photo, self._right = photo, -photo.width % step

    def read(self, start: int, stop: int) -> Tensor:
        """Return rows."""
        rows = self._photo.read(start, min(stop, self._photo.height))
        return functional.pad(rows, (0, 0, 0, self._right, 0, stop - start - len(rows)))


def _run_block(block: NafBlock, x: Map, layers: Layers) -> None:
    mean = Moments(x.height)
    for strip in strips(x, layers.rows, 1):
        mean.gather(_first_half(block, strip, layers))
    attention = block.attend(mean.mean[None, :, None, None])
    for strip in strips(x, layers.rows, 1):
        attended = _first_half(block, strip, layers) * attention
        x.write(strip.start, to_rows(block.finish(strip.inner(strip.x).float(), attended, layers.run)))


def _first_half(block: NafBlock, strip: Strip, layers: Layers) -> Tensor:
    """Return what attention weighs."""
    widened = layers.run(block.widen1, block.norm1(strip.x.float()))
    return gate(layers.run(block.depthwise, strip.framed(widened)))
