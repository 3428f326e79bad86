"""A session of the simulated rig: four cameras fired together before a new scene each time, with the shipped rig file.

The time per shot includes drawing and rendering the next scene on this machine's cores, which a real rig does not have
to do. Skew is the time from the first shutter to the last: as it was (the simulator's truth; the lags of the rig file
are the cameras' means, so this is their jitter and what firing adds), and as dpedkit measured it, from the photos' own
time stamps. Cameras stamp a photo some constant time before or after their shutter, which nothing here corrects yet;
the stated bound allows 50 ms per camera for it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from measure import Figure, Findings, timed

from dpedkit.capture.connect import connect
from dpedkit.capture.rig import load_rig, rig_template
from dpedkit.capture.session import Session
from dpedkit.capture.shot import ShotResult
from dpedkit.capture.simulate.truth import load_truth

SHOTS = 10


def run() -> Findings:
    """Fire, and compare every shot with the truth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rig_file = folder / "tripod.toml"
        rig_file.write_text(rig_template("simulated"))
        rig, state, keys = load_rig(rig_file), folder / "state", folder / "keys"
        shots = []
        with (
            connect(rig, state, keys) as connection,
            Session(rig, connection.addresses, folder / "photos", "bench", keys) as session,
        ):
            for number in range(1, SHOTS + 1):
                shots.append(timed(session.shoot, number))
                connection.next_scene()
        whole = [shot for shot in shots if shot.value.status == "complete"]
        figures = [
            Figure("complete shots, share", [len(whole) / len(shots)], target=">= 1"),
            Figure("time per shot", [shot.wall_s for shot in shots], "s"),
            *skews([shot.value for shot in whole], state / "truth"),
        ]
    return Findings(figures)


def skews(shots: list[ShotResult], truth: Path) -> list[Figure]:
    """Return true and measured spread of the shutters, ms."""
    opened = [[load_truth(truth, photo.sha256).shutter_ns for photo in shot.photos] for shot in shots]
    true = np.array([max(times) - min(times) for times in opened]) / 1e6
    measured, bound = (np.array([getattr(shot.skew, key) for shot in shots]) / 1e6 for key in ("spread_ns", "bound_ns"))
    error = np.abs(measured - true)
    return [
        Figure("skew, true", true.tolist(), "ms"),
        Figure("skew, as measured", measured.tolist(), "ms"),
        Figure("skew, error of the measurement", error.tolist(), "ms"),
        Figure("skew, stated bound", bound.tolist(), "ms"),
        Figure("skew within the stated bound, share", [float(np.mean(error <= bound))], target=">= 0.99"),
    ]
