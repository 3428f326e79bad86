"""What each recipe has learnt after the same CPU-seconds, on held-out shots of the simulated rig.

Every run has one CPU thread and batches of 4 instead of its recipe's, which for `dped` would make a handful of steps. A
few steps, measured before, tell how many fit into the CPU-seconds; a falling rate falls to the end of these. VGG's
weights are random, which is not for results: others cannot be had without a network.

PSNR is over the test split's patches, each enhanced by itself. Differences are paired by photo: the mean PSNR of a
photo's patches, minus the same photo's as the phone made it, or as a colour baseline makes it that was fitted on the
training patches; then the mean over photos, with its 95% interval (10,000 bootstrap resamples of photos). What is
finished stays in .bench/learning, and a bench that was interrupted goes on there.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from measure import Findings, Table, processes

from dpedkit.db import open_corpus, using_shards
from dpedkit.stages.score_table import estimate_mean
from dpedkit.train import StepReport, load_recipe, pick_compute, recipe_names, train
from dpedkit.workspace import find_workspace

SHOTS = 48  # about ten of them are held out
BUDGET_S = 300
BATCH = 4
PROBED_S, MOST_PROBED = 10, 200  # CPU-seconds and steps that tell what a step takes; the first warms up
PHONES = ("sony", "blackberry", "iphone")

FOLDER = Path(__file__).resolve().parents[2] / ".bench" / "learning"
_WORKSPACE = FOLDER / "ws"
_COSTS = FOLDER / "costs"

Score = dict[str, Any]


class EnoughSeenError(Exception):
    """The steps so far tell what one takes."""


def run() -> Findings:
    """Photograph, train as many at a time as there are processors, and judge."""
    if not _COSTS.exists():  # so the patches are not all there
        prepare()
    names = [(phone, recipe) for recipe in recipe_names() for phone in PHONES]
    with processes(os.cpu_count() or 1) as pool:
        costs = dict(zip(names, pool.map(learn, *zip(*names, strict=True)), strict=True))
    judged = json.loads(command("evaluate", "--json"))
    tables = [table([row for row in judged["scores"] if row["phone"] == phone], costs, phone) for phone in PHONES]
    photos = {row["phone"]: row["photos"] for row in judged["scores"]}
    shots = ", ".join(f"{phone} {photos[phone]}" for phone in PHONES)
    return Findings([], [f"Held-out photos of {SHOTS}: {shots}. Every patch enhanced by itself."], tables)


def prepare() -> None:
    """Make the corpus of a simulated rig."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    command("init", str(_WORKSPACE), "--rig", "simulated", folder=FOLDER)
    for words in (("capture", "--shots", str(SHOTS)), ("align",), ("build-patches",)):
        command(*words)
    _COSTS.mkdir()


def learn(phone: str, recipe: str) -> dict[str, float]:
    """Train a recipe on one phone for its CPU-seconds, unless that is done; return its steps, and what it took."""
    done = _COSTS / f"{phone}-{recipe}.json"
    if not done.exists():
        steps = max(1, round(BUDGET_S / cost_of_a_step(phone, recipe)))
        settings = {"batch": BATCH, "iterations": steps, "eval_every": steps, "validation_patches": 16}
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        before_s = children_s()
        command("train", "--phone", phone, "--recipe", recipe, "--vgg", "random:0", "--device", "cpu", *words)
        done.write_text(json.dumps({"steps": steps, "cpu_s": children_s() - before_s}))
    return json.loads(done.read_text())


def cost_of_a_step(phone: str, recipe: str) -> float:
    """Return the CPU-seconds of one training step."""
    workspace = find_workspace(_WORKSPACE)
    short = load_recipe(recipe, {"batch": str(BATCH), "iterations": str(MOST_PROBED)})
    ends: list[float] = []

    def note(_: StepReport) -> None:
        ends.append(time.process_time())
        if ends[-1] - ends[0] > PROBED_S:
            raise EnoughSeenError

    with (
        using_shards(workspace.patches),
        open_corpus(workspace.root, workspace.settings.database) as corpus,
        tempfile.TemporaryDirectory() as folder,
        suppress(EnoughSeenError),
    ):
        train(
            short,
            corpus.pair_source(phone, "train"),
            None,
            Path(folder) / "run",
            compute=pick_compute("cpu"),
            vgg="random:0",
            report=note,
        )
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def children_s() -> float:
    """Return the CPU-seconds of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command(*words: str, folder: Path = _WORKSPACE) -> bytes:
    """Run a command of dpedkit, and return what it prints."""
    line = [sys.executable, "-m", "dpedkit", *words, "--quiet"]
    return subprocess.run(line, cwd=folder, stdout=subprocess.PIPE, check=True).stdout


def table(scores: Sequence[Score], costs: dict[tuple[str, str], dict[str, float]], phone: str) -> Table:
    """Return one phone's methods, best first."""
    own = next(score for score in scores if score["kind"] == "phone")
    baselines = [score for score in scores if score["kind"] == "baseline"]
    head = [phone, "PSNR, dB", *(f"over {other['name']}" for other in (own, *baselines)), "steps", "CPU-s"]
    rows = [
        [
            score["recipe"] or score["name"],
            f"{score['psnr']:.2f}",
            *(difference(score, other) for other in (own, *baselines)),
            *cost(costs.get((phone, score["recipe"]))),
        ]
        for score in sorted(scores, key=lambda score: -score["psnr"])
    ]
    return [head, *rows]


def difference(score: Score, other: Score) -> str:
    """Return a method's gain over another by photo, dB, and the 95% interval of its mean."""
    if score is other:
        return ""
    gains = [score["by_photo"][shot] - other["by_photo"][shot] for shot in score["by_photo"]]
    mean = estimate_mean(np.array(gains))
    return f"{mean.value:+.2f} [{mean.low:+.2f}, {mean.high:+.2f}]"


def cost(seen: dict[str, float] | None) -> list[str]:
    """Return a run's steps and CPU-seconds, start and end included."""
    return [f"{seen['steps']:.0f}", f"{seen['cpu_s']:.0f}"] if seen else ["", ""]
