"""The simulated rig through the command line: calibrated with `dpedkit calibrate`, then fired with `dpedkit capture`.

Skew is the time from the first shutter to the last. "True" is the simulator's truth, which no command reads; "measured"
is what dpedkit says from the photos' own time stamps, each with its stated bound. Photos are small (scale 0.02), so
that drawing them does not disturb the clock; the cards are written as slowly as the real cameras' specifications say,
but where a figure's name says otherwise.

- Constant lags: 60, 150, 270 and 400 ms, no jitter. Whatever spread is left is dpedkit's own.
- Jitter: Gaussian, sd 20 ms on every device. The spread that this alone implies is the median range of four such
  numbers, computed by drawing a million; about 40 ms.
- Time per shot: of a session with photos pulled behind, against the slowest device's own cycle: the same rig file with
  that device (and the DSLR that a rig must have) alone.
- Endurance: 500 shots in one process, its memory before and after.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from measure import Figure, Findings

from dpedkit.capture.rig import rig_template
from dpedkit.capture.simulate.truth import load_truth
from dpedkit.db import open_corpus
from dpedkit.workspace import create_workspace

DPEDKIT = Path(sys.executable).with_name("dpedkit")
LAGS_MS = {"dslr": 60, "sony": 150, "blackberry": 270, "iphone": 400}
JITTER_MS = 20
SCALE, CLOCK_SCALE = 0.02, 0.15
CALIBRATION_SHOTS, CONSTANT_SHOTS, JITTER_SHOTS, CYCLE_SHOTS, LONG_SHOTS = 40, 100, 400, 40, 500


def run() -> Findings:
    """Calibrate, fire, and compare every shot with the truth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        constant = Bench(folder / "constant", timing(jitter_ms=0))
        constant.calibrate()
        figures = constant.skews(CONSTANT_SHOTS, "constant lags", spread=("<= 3", "<= 10"))
        jitter = Bench(folder / "jitter", timing(jitter_ms=JITTER_MS, write_ms=150, cycle_ms=300))
        jitter.calibrate()
        implied_ms = implied_spread_ms(JITTER_MS)
        figures += jitter.skews(JITTER_SHOTS, "jitter of 20 ms", spread=(f"<= {1.2 * implied_ms:.1f}", ""))
        figures.append(Figure("jitter of 20 ms: spread that the jitter alone implies, median", [implied_ms], "ms"))
        figures += cycle(folder)
        figures += endurance(folder)
    return Findings(figures)


def timing(**same: float) -> str:
    """Return rig file tables that give every device its lag and the same rest."""
    rest = "".join(f"{key} = {value}\n" for key, value in same.items())
    return "".join(f"[simulated.timing.{name}]\nlag_ms = {lag_ms}\n{rest}" for name, lag_ms in LAGS_MS.items())


def implied_spread_ms(sd_ms: float) -> float:
    """Return the median range of four Gaussian numbers."""
    drawn = np.random.default_rng(0).normal(0, sd_ms, (1_000_000, 4))
    return float(np.median(np.ptp(drawn, axis=1)))


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

    def skews(self, shots: int, name: str, spread: tuple[str, str]) -> list[Figure]:
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
            Figure(f"{name}: complete shots", [len(true_ms)], target=f">= {shots}"),
            Figure(f"{name}: true spread, median", [true_ms.median()], "ms", target=spread[0]),
            Figure(f"{name}: true spread, p95", [true_ms.quantile(0.95)], "ms", target=spread[1]),
            Figure(f"{name}: skew within its stated bound, share", [(error_ms <= bound_ms).mean()], target=">= 0.99"),
            Figure(f"{name}: stated bound of the skew, median", [bound_ms.median()], "ms"),
            *[
                Figure(f"{name}: stated bound of the {role}'s shutter, median", [bound], "ms", target=target)
                for role, bound, target in _shutter_bounds(photos)
            ],
        ]


def _shutter_bounds(photos: pd.DataFrame) -> list[tuple[str, float, str]]:
    bounds = photos.groupby("role")["shutter_bound_ns"].median() / 1e6
    return [("phone", float(bounds["phone"]), "<= 5"), ("dslr", float(bounds["dslr"]), "<= 10")]


def cycle(folder: Path) -> list[Figure]:
    """Return the time per shot of the whole rig, and of its slowest device alone."""
    whole_s = _per_shot_s(Bench(folder / "whole"))
    slowest_s = _per_shot_s(Bench(folder / "slowest", devices=("dslr", "iphone")))
    ratio = whole_s / slowest_s
    return [
        Figure("time per shot", [whole_s], "s"),
        Figure("time per shot, slowest device alone", [slowest_s], "s"),
        Figure("time per shot against the slowest device's own", [ratio], target="<= 1.1"),
    ]


def _per_shot_s(bench: Bench) -> float:
    events = bench.run("capture", "--shots", CYCLE_SHOTS)
    planned_s = [float(str(event["at_ns"])) / 1e9 for event in events if event["event"] == "planned"]
    return float(np.median(np.diff(planned_s)))


def endurance(folder: Path) -> list[Figure]:
    """Return what 500 shots in one session lose and cost in memory."""
    bench = Bench(folder / "long", timing(jitter_ms=2, write_ms=60, cycle_ms=120))
    command = [str(DPEDKIT), "-C", str(bench.root), "capture", "--shots", str(LONG_SHOTS), "-q"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ) as process:
        memory_mb = _memory_mb(process, bench)
    with open_corpus(bench.root) as corpus:
        complete = int((corpus.shots()["status"] == "complete").sum())
        photos = len(corpus.photos())
    on_cards = sum(
        path.is_file() for name in LAGS_MS for path in (bench.root / f".simulated/tripod/{name}/card").rglob("*")
    )
    return [
        Figure("500 shots: complete", [complete], target=f">= {LONG_SHOTS}"),
        Figure("500 shots: photos on the cards that are not here", [on_cards - photos], target="<= 0"),
        Figure("500 shots: memory growth from shot 20 to the end", [memory_mb], "MB", target="<= 20"),
    ]


def _memory_mb(process: subprocess.Popen[bytes], bench: Bench) -> float:
    """Return by how much the process grew between its 20th shot and its end, MB of unique memory."""
    seen: list[float] = []
    own = psutil.Process(process.pid)
    photos = bench.root / "photos"
    while process.poll() is None:
        try:
            if len(list(photos.glob("*/*_dslr.jpg"))) >= 20:
                seen.append(own.memory_full_info().uss / 1e6)
        except psutil.Error:
            break
        time.sleep(1)
    return max(seen[-5:]) - seen[0]
