"""Shutters of a calibrated rig whose lags jitter: Gaussian, sd 20 ms on every device.

The spread that this alone implies is the median range of four such numbers, computed by drawing a million. Cards are
written within 150 ms, so that 400 shots do not take an hour.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from measure import Figure, Findings
from rig_bench import Bench, timing

SHOTS, JITTER_MS = 400, 20


def run() -> Findings:
    """Calibrate, fire, and compare every shot with the truth."""
    implied_ms = implied_spread_ms(JITTER_MS)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "ws", timing(jitter_ms=JITTER_MS, write_ms=150, cycle_ms=300))
        bench.calibrate()
        figures = bench.skews(SHOTS, spread=(f"<= {1.2 * implied_ms:.1f}", ""))
    return Findings([*figures, Figure("spread that the jitter alone implies, median", [implied_ms], "ms")])


def implied_spread_ms(sd_ms: float) -> float:
    """Return the median range of four Gaussian numbers."""
    drawn = np.random.default_rng(0).normal(0, sd_ms, (1_000_000, 4))
    return float(np.median(np.ptp(drawn, axis=1)))
