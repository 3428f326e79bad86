"""What the benches of the capture room share: a workspace with a simulated rig, fired through the command line.

Skew is the time from the first shutter to the last. "True" is the simulator's truth, which no command reads. Photos
are small (scale 0.02), so that drawing them does not disturb the clock; a clock is photographed at 0.15.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from measure import Figure

from dpedkit.capture.rig import rig_template
from dpedkit.capture.simulate.truth import load_truth
from dpedkit.db import open_corpus
from dpedkit.workspace import create_workspace

DPEDKIT = Path(sys.executable).with_name("dpedkit")
LAGS_MS = {"dslr": 60, "sony": 150, "blackberry": 270, "iphone": 400}
SCALE, CLOCK_SCALE = 0.02, 0.15
CALIBRATION_SHOTS = 40


def timing(**same: float) -> str:
    """Return rig file tables that give every device its lag and the same rest."""
    rest = "".join(f"{key} = {value}\n" for key, value in same.items())
    return "".join(f"[simulated.timing.{name}]\nlag_ms = {lag_ms}\n{rest}" for name, lag_ms in LAGS_MS.items())


@dataclass
class Bench:
    """A workspace with a simulated rig.

    more     what stands at the end of its rig file
    devices  those that the rig has
    """

    root: Path
    more: str = ""
    devices: tuple[str, ...] = tuple(LAGS_MS)

    def __post_init__(self) -> None:
        head, *tables = rig_template("simulated").replace("scale = 0.25", f"scale = {SCALE}").split("[[device]]")
        kept = [table for table in tables if any(f'name = "{name}"' in table for name in self.devices)]
        create_workspace(self.root, {"tripod": "[[device]]".join([head, *kept]) + f"\n{self.more}"})

    def calibrate(self) -> None:
        """Run `dpedkit calibrate` with photos that are large enough to read a clock in."""
        file = self.root / "rigs" / "tripod.toml"
        text = file.read_text()
        file.write_text(text.replace(f"scale = {SCALE}", f"scale = {CLOCK_SCALE}"))
        self.run("calibrate", "--shots", CALIBRATION_SHOTS, "--yes")
        file.write_text(text)

    def run(self, *words: object) -> list[dict[str, object]]:
        """Run a command; return its events."""
        command = [str(DPEDKIT), "-C", str(self.root), *map(str, words), "--json", "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 4):
            raise RuntimeError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()] if words[0] == "capture" else []

    def skews(self, shots: int, spread: tuple[str, str]) -> list[Figure]:
        """Fire, and return true and measured spreads; the targets are on the median and the 95th percentile, ms."""
        self.run("capture", "--shots", shots)
        with open_corpus(self.root) as corpus:
            photos, fired = corpus.photos(), corpus.shots()
        photos = photos.merge(fired[["shot", "status", "skew_ns", "skew_bound_ns"]], on="shot")
        photos = photos[photos["status"] == "complete"]
        truth = self.root / ".simulated" / "tripod" / "truth"
        photos["true_ns"] = [load_truth(truth, sha256).shutter_ns for sha256 in photos["sha256"]]
        by_shot = photos.groupby("shot")
        true_ms = (by_shot["true_ns"].max() - by_shot["true_ns"].min()) / 1e6
        error_ms = (by_shot["skew_ns"].first() / 1e6 - true_ms).abs()
        bound_ms = by_shot["skew_bound_ns"].first() / 1e6
        return [
            Figure("complete shots", [len(true_ms)], target=f">= {shots}"),
            Figure("true spread, median", [true_ms.median()], "ms", target=spread[0]),
            Figure("true spread, p95", [true_ms.quantile(0.95)], "ms", target=spread[1]),
            Figure("skew within its stated bound, share", [(error_ms <= bound_ms).mean()], target=">= 0.99"),
            Figure("stated bound of the skew, median", [bound_ms.median()], "ms"),
            *[
                Figure(f"stated bound of the {role}'s shutter, median", [bound], "ms", target=target)
                for role, bound, target in _shutter_bounds(photos)
            ],
        ]


def _shutter_bounds(photos: pd.DataFrame) -> list[tuple[str, float, str]]:
    bounds = photos.groupby("role")["shutter_bound_ns"].median() / 1e6
    return [("phone", float(bounds["phone"]), "<= 5"), ("dslr", float(bounds["dslr"]), "<= 10")]
