"""What a run leaves in its folder.

config.json (what decides the run), log.jsonl (a line per step), pictures/ (validation patches by step),
last.safetensors (to go on from), best.safetensors (the generator to use: see the recipe's schedule).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dpedkit.errors import TrainError
from dpedkit.files import storage_error, write_atomic
from dpedkit.images import encode_png
from dpedkit.train.checkpoint import State, load_state, save_state
from dpedkit.train.compute import Compute
from dpedkit.train.runlog import RunLog
from dpedkit.train.validation import picture
from dpedkit.train.weights import save_generator
from dpedkit.types import Json, PairSource


class Keeper:
    """Writes a run's folder, in the first of the processes that train; in the others it does nothing.

    Every method raises StorageError where the disk is full or the folder cannot be written.
    """

    def __init__(self, run: Path, state: State, config: Json, compute: Compute) -> None:
        self.last = run / "last.safetensors"
        self._run, self._state, self._config, self._compute = run, state, config, compute
        self._log: RunLog | None = None

    def begin(self) -> None:
        """Make a new run's folder.

        Raises:
            TrainError: it already holds a run.
        """
        if not self._compute.processes.is_first:
            return
        if self.last.exists():
            raise TrainError(f"{self._run} already holds a run", "go on with --resume, or choose another folder")
        _make(self._run)
        write_atomic(self._run / "config.json", f"{json.dumps(self._config, indent=2)}\n".encode())
        self.save()

    def go_on(self) -> None:
        """Fill the state from the last checkpoint; raises as `load_state` does."""
        load_state(self.last, self._state, self._config)

    def save(self) -> None:
        """Write the checkpoint to go on from."""
        if self._compute.processes.is_first:
            save_state(self.last, self._state, self._config)

    def save_best(self, validation_db: float) -> None:
        """Write the generator to use."""
        if self._compute.processes.is_first:
            meta = {"config": self._config, "step": self._state.step, "validation_psnr_db": validation_db}
            save_generator(self._run / "best.safetensors", self._state.result, meta)

    def note(self, losses: Mapping[str, float], validation_db: float | None) -> None:
        """Write a step's line in the log."""
        if not self._compute.processes.is_first:
            return
        if self._log is None:  # what a run that was cut off had written beyond its checkpoint goes now
            self._log = RunLog(self._run / "log.jsonl", after_step=self._state.step - 1)
        scored = {} if validation_db is None else {"psnr_db": validation_db}
        self._log.append({"step": self._state.step, **losses, **scored})

    def show(self, validation: PairSource) -> None:
        """Write a picture of validation patches."""
        if self._compute.processes.is_first:
            _make(self._run / "pictures")
            shown = picture(self._state.result, validation, self._compute.device, self._config["stamp"])
            write_atomic(self._run / "pictures" / f"{self._state.step:06d}.png", encode_png(shown))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
