"""`dped` at its full batch of 50, and a photo of 20 MP enhanced, on a GPU where there is one; absolute times too.

Against the plain port of the bench `train`, on the same GPU, float32. It needs about 48 GB of GPU memory.
"""

from __future__ import annotations

import os
import statistics

import torch
from bench_train import enhanced, iterations
from measure import Figure, Findings, Timed, alone

from dpedkit.train import load_recipe

ITERATIONS = 20
PHOTOS = 4
PHOTO_PX = (3648, 5472)


def run() -> Findings:
    """Train and enhance on the GPU."""
    if not torch.cuda.is_available():
        return Findings([], ["No GPU was there: nothing was measured."])
    recipe = load_recipe("dped")
    (ours, ours_gb), (port, port_gb) = (on_gpu("iterations", which, recipe.batch) for which in ("ours", "port"))
    (photo, photo_gb), (whole, whole_gb) = (on_gpu("enhanced", which, recipe.batch) for which in ("ours", "port"))
    projected = statistics.median(ours) * recipe.iterations / 60
    figures = [
        Figure(f"an iteration, batch {recipe.batch}", ours, "s", port),
        Figure("its memory on the GPU", [ours_gb], "GB", [port_gb]),
        Figure(f"all {recipe.iterations:,} iterations, projected", [projected], "min"),
        Figure("enhancing 20 MP", photo, "s", whole, target="<= 0.3"),
        Figure("its memory on the GPU", [photo_gb], "GB", [whole_gb]),
    ]
    return Findings(figures, [f"GPU: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}."])


def on_gpu(what: str, which: str, batch: int) -> tuple[list[float], float]:
    """Return the seconds of each repeat but the first, and the GPU memory that they took, GB."""
    return alone(measure, what, which, batch, threads=os.cpu_count())


def measure(what: str, which: str, batch: int) -> tuple[list[float], float]:
    """Do `on_gpu` in this process."""
    calls: list[Timed]
    if what == "iterations":
        calls = iterations(which, batch, ITERATIONS, "cuda")[1:]
    else:
        calls = [enhanced(which, PHOTO_PX, "cuda") for _ in range(PHOTOS + 1)][1:]
    return [call.wall_s for call in calls], torch.cuda.max_memory_allocated() / 1e9
