"""Where tensors are computed."""

from __future__ import annotations

import torch

from dpedkit.errors import TrainError


def pick_device(name: str) -> torch.device:
    """Return the device called "cpu", "cuda" (or "cuda:N") or "mps"; "auto" takes the fastest that is there.

    Raises:
        TrainError: PyTorch knows no such device, or it is not on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    kind, _, number = name.partition(":")
    here = present.get(kind, False) and (not number or (number.isdecimal() and int(number) < _count(kind)))
    if not here:
        found = ", ".join(kind for kind, here in present.items() if here)
        raise TrainError(f"no device {name!r} here; found: {found}", "use --device auto")
    return torch.device(name)


def has_bfloat16(place: torch.device) -> bool:
    """Tell whether bfloat16 is faster than float32 there: where it is emulated, it is slower."""
    if place.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if place.type == "cpu":
        here = torch.cpu.get_capabilities()
        return bool(here.get("amx_bf16") or here.get("avx512_bf16"))
    return False


def use_threads(count: int) -> None:
    """Let this process compute with so many threads, whatever its environment says."""
    torch.set_num_threads(count)


def _count(kind: str) -> int:
    return torch.cuda.device_count() if kind == "cuda" else 1
