"""The programs that run networks over strips, by the networks' kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from dpedkit.train.inference import csrnet, dped, nafnet, srcnn
from dpedkit.train.inference.layers import Backend, Layers
from dpedkit.train.inference.maps import Maps, Photo, Result, Wrote
from dpedkit.train.networks import Enhancer
from dpedkit.types import U8

_STRIP_BYTES = 8_000_000  # a strip of a map; larger ones leave the processor's caches, and malloc asks the kernel
_GPU_SHARE = 64  # of a GPU's free memory a strip takes a 64th: small ones would be over before the next is launched
_STRIPS_SHARE = 0.4  # of the memory, for all strips of a moment

_BY_KIND: Mapping[str, Callable[[Any, Photo, Result, Maps, Layers], None]] = {
    "dped": dped.enhance,
    "srcnn": srcnn.enhance,
    "nafnet": nafnet.enhance,
    "csrnet": csrnet.enhance,
}


def run(generator: Enhancer, rgb: U8, layers: Layers, maps: Maps, place: torch.device, wrote: Wrote) -> U8:
    """Return the enhanced photo; all sizes are as in `enhance`, whose body this is."""
    result = Result(rgb.shape[0], rgb.shape[1], wrote)
    _BY_KIND[generator.kind](generator, Photo(rgb, place), result, maps, layers)
    return result.rgb.numpy()


def strip_size(
    generator: Enhancer, width: int, backend: Backend, memory_bytes: int, place: torch.device
) -> tuple[int, int]:
    """Return how many rows of a photo of this width to take at a time, and what all strips of a moment take, bytes."""
    row_bytes = backend.dtype.itemsize * width * generator.sizes.get("width", 64)
    most = min(_STRIP_BYTES, int(_STRIPS_SHARE * memory_bytes) // backend.strips)
    if place.type == "cuda":
        most = torch.cuda.mem_get_info(place)[0] // _GPU_SHARE
    rows = max(1, most // row_bytes)
    return rows, backend.strips * rows * row_bytes
