"""Whole photos through a generator, exactly, in bounded memory.

Instance normalisation, attention and CSRNet's look take their statistics over the whole picture, so tiles would change
it. Instead each layer runs over strips of rows before the next one starts. What lies between two layers is a map: in
memory where there is room for it, else in a scratch file.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch

from dpedkit.memory import resident_bytes
from dpedkit.train.inference.backends import BACKENDS, load_backend
from dpedkit.train.inference.layers import Layers, TorchBackend
from dpedkit.train.inference.maps import Maps
from dpedkit.train.inference.programs import run, strip_size
from dpedkit.train.networks import Enhancer
from dpedkit.types import U8

__all__ = ["BACKENDS", "MEMORY_BYTES", "enhance"]

MEMORY_BYTES = 1_000_000_000
_TRIED_ROWS = 16


def enhance(
    generator: Enhancer,
    rgb: U8,
    *,
    device: str | torch.device = "cpu",
    backend: str = "torch",
    half: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    scratch: Path | None = None,
    strip_rows: int | None = None,
    tell: Callable[[float], None] = lambda _: None,
) -> U8:
    """Return the enhanced photo: what the generator makes of the whole picture at once, whatever its size.

    rgb           uint8 [H, W, 3], at least 1 x 1 px
    device        where to compute; on a GPU maps lie in its own memory while half of what is free there has room
    backend       who computes the layers, one of BACKENDS; all but "torch" compute on the CPU
    half          hidden layers and maps in bfloat16, statistics and the last layer not: half the memory, a few grey
                  levels off, and faster where there is arithmetic for it (`has_bfloat16`)
    memory_bytes  what this process may take all in all; maps for which there is no room go to a scratch file
    scratch       folder of that file, which has no name and goes with the process; None: where temporary files go
    strip_rows    rows at a time: changes speed and memory, not the result; None: as many as the memory suggests
    tell          gets the share that is done, 0 to 1, now and then; what it raises stops the work
    ->            uint8 [H, W, 3]

    Raises:
        ValueError: `rgb` is no such array, `strip_rows` is not positive, or there is no such backend there.
        ModuleNotFoundError: the backend is not installed.
        StorageError: the disk has no room for the scratch file.
    """
    if rgb.dtype != "uint8" or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(f"expected an uint8 [H, W, 3] of at least one pixel, got {rgb.dtype} {list(rgb.shape)}")
    if strip_rows is not None and strip_rows < 1:
        raise ValueError(f"strips need at least 1 row, got {strip_rows}")
    place = torch.device(device)
    if backend != "torch" and place.type != "cpu":
        raise ValueError(f"{backend} computes on the CPU, not on {device}")
    generator = copy.deepcopy(generator).to(place).eval()
    hidden = load_backend(backend, half=half)
    exact = load_backend(backend) if hidden.half else hidden
    rows, strips_bytes = strip_size(generator, rgb.shape[1], hidden, memory_bytes, place)
    room = _room(place, memory_bytes, strips_bytes)
    meter = _Meter(tell)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=hidden.half):
        few, plain = rgb[:_TRIED_ROWS, :1], TorchBackend()  # which has nothing to compile
        with Maps(place, room, scratch, meter.count) as maps:
            run(generator, few, Layers(plain, plain, _TRIED_ROWS), maps, place, meter.count)
        meter.expect(len(rgb) / len(few))
        with Maps(place, room, scratch, meter.count, hidden.dtype) as maps:
            return run(generator, rgb, Layers(hidden, exact, strip_rows or rows), maps, place, meter.count)


class _Meter:
    """Tells the share of all rows of all layers that were written; how many there are, a few rows of the photo show."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell, self._rows, self._all = tell, 0.0, 0.0

    def count(self, rows: int) -> None:
        self._rows += rows
        if self._all:
            self._tell(min(self._rows / self._all, 1.0))

    def expect(self, times: float) -> None:
        """Take what was counted for one of so many parts of what is to come."""
        self._rows, self._all = 0.0, self._rows * times


def _room(place: torch.device, memory_bytes: int, strips_bytes: int) -> int:
    """Return how many bytes maps may take where they are computed."""
    if place.type == "cuda":
        return torch.cuda.mem_get_info(place)[0] // 2
    return memory_bytes - resident_bytes() - strips_bytes
