"""A photo enhanced by DPED's generator, against a plain port to eager PyTorch that takes it whole; float32, one thread.

Each call has a process of its own, so its peak memory is that of Python, PyTorch, photo and maps. The photo of 20 MP is
for ours alone: the port would need 15 GB. Ours has the default of `--memory`, 1 GB, and its scratch file where
temporary files go. The network's weights are random, which changes no cost.
"""

from __future__ import annotations

import numpy as np
from baselines import train_eager
from bench_train import copied
from measure import Figure, Findings, Timed, alone, costs, timed

from dpedkit.train import enhance
from dpedkit.train.networks import Generator
from dpedkit.types import U8

ONE_MP = (864, 1152)
TWENTY_MP = (3648, 5472)
REPEATS = 3


def run() -> Findings:
    """Enhance with ours and with the port, in turn, and a large photo with ours."""
    pairs = [[alone(enhanced, which, ONE_MP, "cpu") for which in ("ours", "port")] for _ in range(REPEATS)]
    ours, port = ([pair[which] for pair in pairs] for which in (0, 1))
    levels = np.abs(ours[0].value.astype(int) - port[0].value).max()
    large = alone(enhanced, "ours", TWENTY_MP, "cpu")
    return Findings(
        [
            *costs("1 MP", ours, port, ">= 1.3x"),
            Figure("1 MP: against the port's, at most", [float(levels)], "grey levels", target="<= 1"),
            Figure("20 MP: peak memory", [large.peak_mb], "MB", target="<= 1200"),
            Figure("20 MP: CPU time", [large.cpu_s], "s"),
            Figure("20 MP: wall time", [large.wall_s], "s"),
        ]
    )


def enhanced(which: str, shape: tuple[int, int], place: str) -> Timed:
    """Enhance a photo of noise."""
    generator = Generator().to(place)
    photo: U8 = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    if which == "ours":
        return timed(lambda: enhance(generator, photo, device=place))
    return timed(train_eager.enhance, copied(generator, train_eager.Generator()).to(place), photo, place)
