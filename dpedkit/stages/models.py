"""What can enhance a photo here: finished and unfinished runs that have a checkpoint, and models that were imported."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dpedkit.db import Corpus
from dpedkit.errors import WeightsError
from dpedkit.stages.frames import rows
from dpedkit.train.stamp import stamp
from dpedkit.train.weights import RUN_CHECKPOINTS, load_origin, load_stamp
from dpedkit.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Model:
    """One of them.

    about  its recipe and phone, or where it comes from
    stamp  what must stand beside its results; "" where nothing must
    """

    name: str
    path: Path
    about: str
    stamp: str


def models(workspace: Workspace, corpus: Corpus) -> Mapping[str, Model]:
    """Return them by name: finished runs, newest first, what was imported, and runs that are not finished."""
    done: list[Model] = []
    unfinished: list[Model] = []
    runs = corpus.runs()
    for run in rows(runs):
        folder = workspace.runs / run.run
        if any((folder / name).is_file() for name in RUN_CHECKPOINTS):
            about = f"{run.recipe}, {run.phone}" + ("" if run.status == "done" else f", {run.status}")
            (done if run.status == "done" else unfinished).append(
                Model(run.run, folder, about, stamp(run.config or {}))
            )
    imported: list[Model] = []
    for name in workspace.imported_models(set(runs["run"])):
        folder = workspace.runs / name
        with suppress(WeightsError):  # `dpedkit enhance --model` says what is wrong with it
            imported.append(Model(name, folder, load_origin(folder) or "imported", load_stamp(folder)))
    return {model.name: model for model in (*reversed(done), *imported, *reversed(unfinished))}
