"""A photo enhanced by DPED's generator, against a plain port to eager PyTorch that takes it whole; one thread.

Each call has a process of its own, so its peak memory is that of Python, libraries, photo and maps. The photo of 20 MP
is for ours alone: the port would need 15 GB. Ours has the default of `--memory`, 1 GB, and its scratch file where
temporary files go. Every backend computes in float32, as the port does; --fast is bfloat16, forced here: a note says
whether this processor has arithmetic for it. The network's weights are random, and so large that every layer shows in
the picture, which changes no cost.
"""

from __future__ import annotations

import numpy as np
import torch
from baselines import train_eager
from bench_train import copied
from measure import Figure, Findings, Timed, alone, costs, timed

from dpedkit.train import enhance
from dpedkit.train.device import has_bfloat16
from dpedkit.train.networks import Generator
from dpedkit.types import U8

ONE_MP = (864, 1152)
TWENTY_MP = (3648, 5472)
REPEATS = 3
OURS = {  # name -> backend, half, the target
    "torch": ("torch", False, ">= 1.3x"),
    "onnxruntime": ("onnxruntime", False, ">= 1.3x"),
    "openvino": ("openvino", False, ">= 1.3x"),
    "torch --fast": ("torch", True, ">= 2.5x"),
    "openvino --fast": ("openvino", True, ">= 5x"),
}
_FLAGS = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")


def run() -> Findings:
    """Enhance with ours and with the port, in turn, and a large photo with ours."""
    calls: dict[str, list[Timed]] = {name: [] for name in ("port", *OURS)}
    for _ in range(REPEATS):
        for name, done in calls.items():
            done.append(alone(enhanced, name, ONE_MP, "cpu"))
    port = calls["port"]
    figures = []
    for name, (_, half, target) in OURS.items():
        levels = np.abs(calls[name][0].value.astype(int) - port[0].value)
        figures += costs(f"1 MP, {name}", calls[name], port, target)
        limit = "<= 4" if half else "<= 1"
        figures.append(
            Figure(f"1 MP, {name}: against the port's, at most", [float(levels.max())], "levels", target=limit)
        )
        figures.append(Figure(f"1 MP, {name}: against the port's, mean", [float(levels.mean())], "levels"))
    for name in ("torch", "torch --fast"):
        large = alone(enhanced, name, TWENTY_MP, "cpu")
        figures += [
            Figure(f"20 MP, {name}: peak memory", [large.peak_mb], "MB", target="<= 1200"),
            Figure(f"20 MP, {name}: CPU time", [large.cpu_s], "s"),
            Figure(f"20 MP, {name}: wall time", [large.wall_s], "s"),
        ]
    return Findings(figures, [alone(arithmetic)])


def arithmetic() -> str:
    """Say what this processor has for bfloat16."""
    here = torch.cpu.get_capabilities()
    has = "has" if has_bfloat16(torch.device("cpu")) else "has no"
    flags = ", ".join(flag for flag in _FLAGS if here.get(flag))
    return f"This processor {has} bfloat16 arithmetic: {flags or 'none of ' + ', '.join(_FLAGS)}."


def enhanced(which: str, shape: tuple[int, int], place: str) -> Timed:
    """Enhance a photo of noise; which: "port", or one of OURS."""
    generator = strong().to(place)
    photo: U8 = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    if which == "port":
        return timed(train_eager.enhance, copied(generator, train_eager.Generator()).to(place), photo, place)
    backend, half, _ = OURS[which]
    return timed(lambda: enhance(generator, photo, device=place, backend=backend, half=half))


@torch.no_grad()
def strong() -> Generator:
    """Return a generator whose layers all show in the picture."""
    rng = torch.Generator().manual_seed(3)
    generator = Generator()
    for weight in generator.parameters():
        if weight.ndim == 4:
            share = 0.3 if weight is generator.to_rgb.weight else 0.7
            weight.normal_(0, share * (2 / weight[0].numel()) ** 0.5, generator=rng)
    return generator
