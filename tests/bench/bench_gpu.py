"""`dped` at its full batch of 50, and a photo of 20 MP enhanced, on a GPU where there is one; absolute times too.

Against the plain port of the bench `train`, on the same GPU, float32. It needs about 48 GB of GPU memory. The share of
the matrix peak: of what the product of two bfloat16 matrices of 8192 reaches there in the same run. The share of the
memory's bandwidth: of what copying reaches there, for what the algorithm must move: its maps, each time that a layer
reads or writes one.
"""

from __future__ import annotations

import os
import statistics
import time

import torch
from bench_enhance import enhanced
from bench_train import iterations
from measure import Figure, Findings, Timed, alone
from torch.utils.flop_counter import FlopCounterMode

from dpedkit.train import load_recipe

ITERATIONS = 20
PHOTOS = 4
PHOTO_PX = (3648, 5472)
_MATRIX, _PRODUCTS = 8192, 20
_COPIED_BYTES = 4 << 30
_MAP_PASSES = 1 + 4 * 7 + 5  # head writes; a block reads 4 times and writes 3 times; refining and the last layer


def run() -> Findings:
    """Train and enhance on the GPU."""
    if not torch.cuda.is_available():
        return Findings([], ["No GPU was there: nothing was measured."])
    recipe = load_recipe("dped")
    (ours, ours_gb), (fast, fast_gb), (port, port_gb) = (
        on_gpu("iterations", which, recipe.batch) for which in ("ours", "fast", "port")
    )
    (photo, photo_gb), (fast_photo, fast_photo_gb), (whole, whole_gb) = (
        on_gpu("enhanced", which, recipe.batch) for which in ("torch", "torch --fast", "port")
    )
    projected, fast_projected = (statistics.median(each) * recipe.iterations / 60 for each in (ours, fast))
    flops, peak = alone(flops_of_an_iteration, recipe.batch), alone(matrix_peak)
    reached = flops / statistics.median(fast)
    moved = _MAP_PASSES * 64 * 2 * PHOTO_PX[0] * PHOTO_PX[1] / statistics.median(fast_photo)
    figures = [
        Figure(f"an iteration, batch {recipe.batch}", ours, "s", port),
        Figure("its memory on the GPU", [ours_gb], "GB", [port_gb]),
        Figure(f"all {recipe.iterations:,} iterations, projected", [projected], "min"),
        Figure(f"an iteration, batch {recipe.batch}, --fast", fast, "s", port),
        Figure("its memory on the GPU", [fast_gb], "GB", [port_gb]),
        Figure(f"all {recipe.iterations:,} iterations, --fast, projected", [fast_projected], "min", target="<= 10"),
        Figure("reached by --fast", [reached / 1e12], "TFLOP/s", better="more"),
        Figure("its share of the matrix peak", [reached / peak], better="more"),
        Figure("enhancing 20 MP", photo, "s", whole),
        Figure("its memory on the GPU", [photo_gb], "GB", [whole_gb]),
        Figure("enhancing 20 MP, --fast", fast_photo, "s", whole, target="<= 0.3"),
        Figure("its memory on the GPU", [fast_photo_gb], "GB", [whole_gb]),
        Figure("moved by --fast", [moved / 1e12], "TB/s", better="more"),
        Figure("its share of the bandwidth of copying", [moved / alone(copy_bandwidth)], better="more"),
    ]
    return Findings(figures, [f"GPU: {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}."])


def flops_of_an_iteration(batch: int) -> float:
    """Return the floating point operations of convolutions and matrices in one iteration, nothing kept."""
    with FlopCounterMode(display=False) as counter:
        iterations("ours", batch, 0, "cuda")
    return float(counter.get_total_flops())


def matrix_peak() -> float:
    """Return the floating point operations per second of a large matrix product in bfloat16."""
    one = torch.randn(_MATRIX, _MATRIX, device="cuda", dtype=torch.bfloat16)
    best_s = float("inf")
    for _ in range(_PRODUCTS):
        torch.cuda.synchronize()
        begun_s = time.perf_counter()
        torch.matmul(one, one)
        torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - begun_s)
    return 2 * _MATRIX**3 / best_s


def copy_bandwidth() -> float:
    """Return the bytes per second that copying reads and writes."""
    one = torch.empty(_COPIED_BYTES, device="cuda", dtype=torch.uint8)
    other = torch.empty_like(one)
    best_s = float("inf")
    for _ in range(_PRODUCTS):
        torch.cuda.synchronize()
        begun_s = time.perf_counter()
        other.copy_(one)
        torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - begun_s)
    return 2 * _COPIED_BYTES / best_s


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
