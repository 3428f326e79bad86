"""SRCNN over strips: three convolutions that know no more than six rows above and below, so there are no maps."""

from __future__ import annotations

from torch.nn import functional

from dpedkit.train.inference.maps import Maps, Photo, Result
from dpedkit.train.inference.strips import run, to_planes, to_rows
from dpedkit.train.networks import Srcnn


def enhance(network: Srcnn, photo: Photo, result: Result, maps: Maps, rows: int) -> None:  # noqa: ARG001
    """Write the enhanced photo to `result`, so many rows at a time."""
    reach = network.rebuild.kernel_size[0] // 2
    outer = network.extract.kernel_size[0] // 2
    for start in range(0, photo.height, rows):
        stop = min(start + rows, photo.height)
        top, bottom = max(0, start - reach), min(photo.height, stop + reach)  # where features are that exist
        first, last = max(0, top - outer), min(photo.height, bottom + outer)
        x = functional.pad(to_planes(photo.read(first, last)), (0, 0, outer - (top - first), outer - (last - bottom)))
        x = functional.relu(network.map(functional.relu(run(network.extract, x))))
        x = functional.pad(x, (0, 0, reach - (start - top), reach - (bottom - stop)))
        result.write(start, to_rows(run(network.rebuild, x)))
