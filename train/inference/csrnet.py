"""CSRNet over strips: first the whole photo is looked at, then every pixel is retouched by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.inference.layers import Layers
from dpedkit.train.inference.maps import Maps, Photo, Result
from dpedkit.train.inference.strips import Moments, strips, to_planes, to_rows
from dpedkit.train.networks import Csrnet

_LEAST_ROWS = 8  # of what is looked at, at a time: each strip takes eighteen rows of the photo twice


def enhance(network: Csrnet, photo: Photo, result: Result, maps: Maps, layers: Layers) -> None:  # noqa: ARG001
    """Write the enhanced photo to `result`."""
    told = _look(network, photo, layers)
    retouches = cast("Sequence[nn.Conv2d]", network.retouches)
    for strip in strips(photo, layers.rows):
        x = strip.x
        for layer, conv in enumerate(retouches):
            run = layers.run_last if conv is retouches[-1] else layers.run
            x = network.modulate(layer, run(conv, x), told)
        result.write(strip.start, to_rows(x))


def _look(network: Csrnet, photo: Photo, layers: Layers) -> Tensor:
    """Return what the network tells of the whole photo, [1, condition]."""
    convs = cast("Sequence[nn.Conv2d]", network.looks)
    if min(photo.height, photo.width) < convs[0].kernel_size[0]:
        return network.look(to_planes(photo.read(0, photo.height)))
    heights = [photo.height]
    for conv in convs:
        heights.append((heights[-1] + 2 * int(conv.padding[0]) - conv.kernel_size[0]) // conv.stride[0] + 1)
    rows = max(_LEAST_ROWS, layers.rows // 8)
    mean = Moments(heights[-1])
    for start in range(0, heights[-1], rows):
        mean.gather(_seen(convs, photo, layers, heights, start, min(start + rows, heights[-1])))
    return mean.mean[None]


def _seen(
    convs: Sequence[nn.Conv2d], photo: Photo, layers: Layers, heights: Sequence[int], start: int, stop: int
) -> Tensor:
    """Return rows start to stop [1, C, rows, W] after these convolutions, each with its ReLU.

    heights  of the photo, and after each convolution
    """
    if not convs:
        return to_planes(photo.read(start, stop))
    *before, conv = convs
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    first, last = start * stride - padding, (stop - 1) * stride - padding + kernel
    above, below = max(0, -first), max(0, last - heights[len(before)])
    x = functional.pad(_seen(before, photo, layers, heights, first + above, last - below), (0, 0, above, below))
    return functional.relu_(layers.run(conv, x))
