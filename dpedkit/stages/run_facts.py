"""What a run's folder and the corpus tell of it, and the command that repeats it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpedkit.db import Corpus
from dpedkit.errors import UsageError
from dpedkit.files import sha256_file
from dpedkit.settings import leaves
from dpedkit.stages.charts import Series, line_chart
from dpedkit.stages.frames import rows
from dpedkit.train import load_recipe, recipe_names
from dpedkit.train.runlog import read_log
from dpedkit.train.stamp import stamp
from dpedkit.train.weights import RUN_CHECKPOINTS
from dpedkit.types import Json
from dpedkit.workspace import Workspace

_MOST_POINTS = 300
_NO_LOSSES = ("step", "psnr_db")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run.

    config      its config.json
    stamp       what must be said beside its results; "" where nothing must
    log         a record per step
    pictures    of validation patches, in order of steps
    checkpoint  what was judged, and its SHA-256
    command     what trains it again; recipe_file is what it reads, "" where the recipe ships with dpedkit
    """

    name: str
    phone: str
    recipe: str
    status: str
    folder: Path
    config: Json
    stamp: str
    log: Sequence[Json]
    pictures: Sequence[Path]
    checkpoint: tuple[str, str]
    command: str
    recipe_file: str

    @property
    def steps(self) -> int:
        """Steps that were made."""
        return int(self.log[-1]["step"]) if self.log else 0

    def losses(self) -> dict[str, tuple[list[float], list[float]]]:
        """Return each loss by its name: steps and values, thinned to means of equal stretches."""
        names = {name: None for record in self.log for name in record if name not in _NO_LOSSES}
        return {name: _thinned(_series(self.log, name)) for name in names}

    def validation(self) -> tuple[list[float], list[float]]:
        """Return steps and PSNR of the validations."""
        return _series(self.log, "psnr_db")


def find_runs(workspace: Workspace, corpus: Corpus, names: Sequence[str]) -> list[RunFacts]:
    """Return what is known of runs of one phone, in the order in which they are named.

    Raises:
        UsageError: no such run, none that has a checkpoint, or runs of more than one phone.
    """
    known = {run.run: run for run in rows(corpus.runs())}
    for name in names:
        if name not in known:
            raise UsageError(f"no run {name!r}", f"runs: {', '.join(known) or 'none: `dpedkit train` makes one'}")
    phones = sorted({known[name].phone for name in names})
    if len(phones) > 1:
        raise UsageError(f"runs of {' and '.join(phones)}", "compare runs of one phone: they see the same photos")
    snapshots = {part.list: part.snapshot for part in rows(corpus.snapshots())}
    return [_facts(workspace, known[name], snapshots) for name in dict.fromkeys(names)]


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines of one chart, a run each, by steps."""

    caption: str
    y: str
    series: Series
    log: bool = False

    def draw(self) -> str:
        """Return them as SVG."""
        return line_chart(self.series, x="step", y=self.y, log=self.log)


def curves(runs: Sequence[RunFacts]) -> list[Curves]:
    """Return the validations' PSNR and each loss that any of the runs has; a run that has it not has no points."""
    validation = {run.name: run.validation() for run in runs if run.validation()[0]}
    found = [Curves("PSNR of validation patches", "dB", validation)] if validation else []
    losses = {run.name: run.losses() for run in runs}
    for name in {name: None for mine in losses.values() for name in mine}:
        series = {run: mine.get(name, ([], [])) for run, mine in losses.items()}
        positive = all(value > 0 for _, values in series.values() for value in values)
        caption = "the generator's loss" if name == "total" else f"loss: {name}"
        found.append(Curves(caption, name, series, log=positive))
    return found


def settings(runs: Sequence[RunFacts]) -> list[tuple[str, list[object], bool]]:
    """Return every value of the runs' configs: its key, the runs' values, and whether they differ."""
    flat = [dict(leaves(run.config)) for run in runs]
    keys = dict.fromkeys(key for mine in flat for key in mine)
    values = {key: [mine.get(key, "") for mine in flat] for key in keys}
    return [(key, mine, any(value != mine[0] for value in mine)) for key, mine in values.items()]


def read_config(folder: Path) -> Json:
    """Return a run's config.json."""
    config: Json = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _facts(workspace: Workspace, run: Any, snapshots: Mapping[str, str]) -> RunFacts:
    folder = workspace.runs / run.run
    checkpoint = next((folder / name for name in RUN_CHECKPOINTS if (folder / name).is_file()), None)
    if checkpoint is None:
        raise UsageError(f"run {run.run} has no checkpoint in {folder}", "train it again, or go on with --resume")
    config = read_config(folder)
    command, recipe_file = _command(config, run.phone, snapshots)
    log = folder / "log.jsonl"
    return RunFacts(
        name=run.run,
        phone=run.phone,
        recipe=run.recipe,
        status=run.status,
        folder=folder,
        config=config,
        stamp=stamp(config),
        log=read_log(log) if log.is_file() else [],
        pictures=sorted((folder / "pictures").glob("*.png")),
        checkpoint=(checkpoint.name, sha256_file(checkpoint)),
        command=command,
        recipe_file=recipe_file,
    )


def _command(config: Json, phone: str, snapshots: Mapping[str, str]) -> tuple[str, str]:
    """Return the command that trains this again, and the recipe's file that it needs, "" where it is a shipped one."""
    recipe = config["recipe"]
    words = ["dpedkit", "train", "--phone", phone]
    shipped = recipe["name"] in recipe_names()
    if shipped:
        words += ["--recipe", recipe["name"]]
        before = dict(leaves(load_recipe(recipe["name"]).model_dump(mode="json")))
        for key, value in leaves(recipe):
            if before.get(key) != value:
                words += ["--set", f"{key}={_toml(value)}"]
    else:
        words += ["--recipe", f"{recipe['name']}.toml"]
    if recipe["losses"]["content"]:
        words += ["--vgg", config["vgg"]]
    if name := snapshots.get(config["pairs"]["content_hash"]):
        words += ["--snapshot", name]
    words += ["--seed", str(config["seed"]), "--device", config["device"].partition(":")[0]]
    words += ["--fast"] if config.get("fast") else []  # runs that were begun before have none
    return shlex.join(words), "" if shipped else "\n".join(_toml_file(recipe))


def _toml_file(recipe: Json) -> Iterator[str]:
    """Yield the lines of a recipe's file: a table's own values, then its tables."""
    yield from (f"{key} = {_toml(value)}" for key, value in recipe.items() if not isinstance(value, dict))
    for key, table in recipe.items():
        if isinstance(table, dict):
            yield ""
            yield f"[{key}]"
            yield from (f"{name} = {_toml(value)}" for name, value in table.items())


def _toml(value: Any) -> str:
    return json.dumps(value)  # numbers, lists of them, texts and truths are written alike in both


def _series(log: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    found = [(float(record["step"]), float(record[key])) for record in log if key in record]
    return [step for step, _ in found], [value for _, value in found]


def _thinned(series: tuple[list[float], list[float]]) -> tuple[list[float], list[float]]:
    steps, values = (np.array(each) for each in series)
    if len(steps) <= _MOST_POINTS:
        return series
    stretches = np.array_split(np.arange(len(steps)), _MOST_POINTS)
    return [float(steps[s].mean()) for s in stretches], [float(values[s].mean()) for s in stretches]
