"""Which backend computes, and how exactly; by a trial where that is left open."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from dpedkit.errors import TrainError
from dpedkit.train.device import has_bfloat16
from dpedkit.train.inference.backends import installed, load_backend
from dpedkit.train.inference.layers import Layers, TorchBackend
from dpedkit.train.inference.maps import Maps
from dpedkit.train.inference.programs import run, strip_size
from dpedkit.train.networks import Enhancer
from dpedkit.types import U8

_STRIPS = 2  # of the photo that a trial computes
_TRIES = 2  # after a first one, which compiles
_WORTH = 0.95  # of PyTorch's time: who is no faster than that does not take its place
_MEMORY_BYTES = 1_000_000_000  # suggests the strips of a trial


@dataclass(frozen=True, slots=True)
class Choice:
    """Who computes the layers.

    backend  one of BACKENDS
    half     whether in bfloat16, as in `enhance`
    notes    what was asked for and cannot be, and why
    trial_s  backend -> the time that it took for the same strips, where there was a trial
    """

    backend: str
    half: bool
    notes: tuple[str, ...] = ()
    trial_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        """What hidden layers are computed in."""
        return "bfloat16" if self.half else "float32"


def choose_backend(
    name: str, place: torch.device, *, fast: bool = False, generator: Enhancer | None = None, rgb: U8 | None = None
) -> Choice:
    """Return who computes.

    name            one of BACKENDS, or "auto": the fastest of those installed at a trial on the photo `rgb` with
                    `generator`; PyTorch where these are left out, and on a GPU
    fast            in bfloat16, where there is arithmetic for it
    rgb             uint8 [H, W, 3]

    Raises:
        TrainError: the backend does not compute there.
        ModuleNotFoundError: it is not installed.
    """
    if place.type != "cpu" and name not in ("auto", "torch"):
        raise TrainError(f"{name} computes on the CPU, not on {place}", "use --device cpu, or --backend torch")
    half = fast and has_bfloat16(place)
    trial_s: dict[str, float] = {}
    if name == "auto":
        name, names = "torch", installed()
        if place.type == "cpu" and len(names) > 1 and generator is not None and rgb is not None:
            trial_s = _trial(names, generator, rgb, half=half)
            name = min(names, key=lambda each: trial_s[each] * (_WORTH if each == "torch" else 1))
    notes = []
    if fast and not half:
        notes.append(
            f"--fast changes nothing: {place} has no bfloat16 arithmetic (avx512_bf16 or amx_bf16) to be faster"
        )
    half = load_backend(name, half=half).half
    if fast and not notes and not half:
        notes.append(f"--fast changes nothing: {name} has no bfloat16 convolution on CPUs")
    return Choice(name, half, tuple(notes), trial_s)


def _trial(names: Sequence[str], generator: Enhancer, rgb: U8, *, half: bool) -> dict[str, float]:
    """Return the seconds that each backend takes for the photo's first strips."""
    cpu = torch.device("cpu")
    rows, _ = strip_size(generator, rgb.shape[1], TorchBackend(), _MEMORY_BYTES, cpu)
    took_s = {}
    for name in names:
        hidden = load_backend(name, half=half)
        layers = Layers(hidden, load_backend(name), rows)
        tries_s = []
        for _ in range(1 + _TRIES):
            begun_s = time.perf_counter()
            with torch.inference_mode(), Maps(cpu, _MEMORY_BYTES, None, lambda _: None, hidden.dtype) as maps:
                run(generator, rgb[: _STRIPS * rows], layers, maps, cpu, lambda _: None)
            tries_s.append(time.perf_counter() - begun_s)
        took_s[name] = min(tries_s[1:])
    return took_s
