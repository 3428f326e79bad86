"""SRCNN over strips: three convolutions that know no more than six rows above and below, so there are no maps."""

from __future__ import annotations

from torch.nn import functional

from dpedkit.train.inference.layers import Layers
from dpedkit.train.inference.maps import Maps, Photo, Result
from dpedkit.train.inference.strips import to_planes, to_rows
from dpedkit.train.networks import Srcnn


def enhance(network: Srcnn, photo: Photo, result: Result, maps: Maps, layers: Layers) -> None:  # noqa: ARG001
    """Write the enhanced photo to `result`."""
    reach = network.rebuild.kernel_size[0] // 2
    outer = network.extract.kernel_size[0] // 2
    for start in range(0, photo.height, layers.rows):
        stop = min(start + layers.rows, photo.height)
        top, bottom = max(0, start - reach), min(photo.height, stop + reach)  # where features are that exist
        first, last = max(0, top - outer), min(photo.height, bottom + outer)
        x = functional.pad(to_planes(photo.read(first, last)), (0, 0, outer - (top - first), outer - (last - bottom)))
        for conv in (network.extract, network.map):
            x = functional.relu_(layers.run(conv, x))
        x = functional.pad(x, (0, 0, reach - (start - top), reach - (bottom - stop)))
        result.write(start, to_rows(layers.run_last(network.rebuild, x)))
