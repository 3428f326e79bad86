"""Shutters of a calibrated rig with constant lags of 60, 150, 270 and 400 ms: whatever spread is left is dpedkit's own.

`dpedkit calibrate --shots 40`, then `dpedkit capture --shots 100` on the simulated rig. "True" is the simulator's
truth; the stated bounds are those of the measured skew and of each shutter's time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import Findings
from rig_bench import Bench, timing

SHOTS = 100


def run() -> Findings:
    """Calibrate, fire, and compare every shot with the truth."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "ws", timing(jitter_ms=0))
        bench.calibrate()
        return Findings(bench.skews(SHOTS, spread=("<= 3", "<= 10")))
