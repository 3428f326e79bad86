"""Long sessions of the simulated rig: time per shot, and 500 shots in one process.

The time per shot, with photos pulled behind, against the slowest device's own cycle: the same rig file with that device
(and the DSLR that a rig must have) alone. Cards are written as slowly as the real cameras' specifications say; for the
500 shots within 60 ms. Memory is what the process holds for itself (USS), from its 20th shot to its end.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from measure import Figure, Findings
from rig_bench import DPEDKIT, LAGS_MS, Bench, timing

from dpedkit.db import open_corpus

CYCLE_SHOTS, LONG_SHOTS = 40, 500


def run() -> Findings:
    """Fire, and count."""
    with tempfile.TemporaryDirectory() as folder:
        return Findings([*cycle(Path(folder)), *endurance(Path(folder))])


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
