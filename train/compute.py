"""How a step is computed: what changes its speed, its memory and its last digits, but not what is learnt."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from dpedkit.memory import available_bytes
from dpedkit.train.device import has_bfloat16, pick_device
from dpedkit.train.processes import ALONE, Processes

Forward: TypeAlias = Callable[[Tensor], Tensor]

_KEPT_SHARE = 4  # of the memory that is free, a quarter is for features


@dataclass(frozen=True, slots=True)
class Compute:
    """Where and how a step is computed; as it is by default, so that a run can be repeated to the bit.

    device       where
    half         hidden layers in bfloat16; the last layer of each network and the losses stay in float32
    compiled     networks go through torch.compile
    kept_bytes   how much of the DSLR patches' VGG features may be kept for when the patch is drawn again
    micro_batch  patches at a time, whose gradients add up to the batch's; 0: all at once
    processes    that share the batch
    notes        what is to be known of it: what was asked for and cannot be, and why
    """

    device: torch.device
    half: bool = False
    compiled: bool = False
    kept_bytes: int = 0
    micro_batch: int = 0
    processes: Processes = ALONE
    notes: tuple[str, ...] = ()

    @property
    def fast(self) -> bool:
        """Whether `--fast` was asked for, as far as it can be had."""
        return self.half or self.compiled or self.kept_bytes > 0

    @property
    def words(self) -> str:
        """The same in words."""
        parts = [str(self.device), "bfloat16" if self.half else "float32"]
        parts += ["compiled"] if self.compiled else []
        parts += [f"target features kept, up to {self.kept_bytes / 1e9:.1f} GB"] if self.kept_bytes else []
        parts += [f"{self.micro_batch} patches at a time"] if self.micro_batch else []
        parts += [f"{self.processes.count} processes"] if self.processes.count > 1 else []
        return ", ".join(parts)

    def forward(self, network: nn.Module) -> Forward:
        """Return a network's forward pass, as it is to be computed."""
        if self.compiled:
            with _compilers_warnings_left_out():
                return self.in_precision(torch.compile(network))
        return self.in_precision(network)

    def in_precision(self, network: Forward) -> Forward:
        """Return a forward pass in this precision, not compiled: for what sees batches of many sizes."""
        if not self.half:
            return network

        def forward(x: Tensor) -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16):
                return network(x)

        return forward

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Set what PyTorch knows for all of a process: TF32 has half the digits of float32's, so it is not that."""
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=self.half, allow_tf32=self.half)
        with exact, _compilers_warnings_left_out():
            yield


def pick_compute(
    device: str = "auto",
    *,
    fast: bool = False,
    micro_batch: int = 0,
    processes: Processes = ALONE,
    with_vgg: bool = True,
) -> Compute:
    """Return how to compute on a device; where `fast` cannot have all of it, `notes` say what and why.

    device    see `pick_device`
    with_vgg  whether there are VGG's features to keep

    Raises:
        TrainError: no such device.
    """
    place = pick_device(device)
    if not fast:
        return Compute(place, micro_batch=micro_batch, processes=processes)
    half, compile_problem = has_bfloat16(place), _why_not_compile(place)
    notes = []
    if not half:
        notes.append("float32 stays: this processor has no bfloat16 arithmetic (avx512_bf16 or amx_bf16)")
    notes.append(
        f"not compiled: {compile_problem}" if compile_problem else "the first step compiles, in a minute or two"
    )
    return Compute(
        place,
        half=half,
        compiled=not compile_problem,
        kept_bytes=_free_bytes(place) // _KEPT_SHARE if with_vgg else 0,
        micro_batch=micro_batch,
        processes=processes,
        notes=tuple(notes),
    )


def _why_not_compile(place: torch.device) -> str:
    """Return why torch.compile does not work here, "" where it does: a compiler and headers must be there."""
    try:
        with _compilers_warnings_left_out():
            torch.compile(torch.nn.functional.silu)(torch.ones(8, device=place))
    except Exception as error:  # whatever its backend raises where something is missing
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"torch.compile needs a C++ compiler and Python's headers ({reason})"
    return ""


@contextmanager
def _compilers_warnings_left_out() -> Iterator[None]:
    """Keep to itself what torch.compile says of PyTorch's own code: nobody here can mend that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _free_bytes(place: torch.device) -> int:
    if place.type == "cuda":
        return torch.cuda.mem_get_info(place)[0]
    return available_bytes() or 0
