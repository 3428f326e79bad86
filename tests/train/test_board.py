"""What TensorBoard shows of a run is what the run's own log says."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from dpedkit.train import load_recipe, pick_compute, train
from dpedkit.train.board import Board
from dpedkit.train.runlog import read_log
from dpedkit.types import PairSource


def test_the_board_shows_what_the_log_says(pairs: PairSource, held_out: PairSource, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorboard's own
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    changes = {"generator.width": "8", "generator.blocks": "1", "batch": "2", "iterations": "6", "eval_every": "3"}
    recipe = load_recipe("small", changes)
    train(recipe, pairs, held_out, tmp_path, compute=pick_compute("cpu"), report=Board(tmp_path, recipe.batch))
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    log = read_log(tmp_path / "log.jsonl")
    for term in ("total", "pixel"):
        found = {event.step: event.value for event in shown.Scalars(f"loss/{term}")}
        assert found == pytest.approx({record["step"]: record[term] for record in log}, rel=1e-6)
    validation = {event.step: event.value for event in shown.Scalars("validation/PSNR dB")}
    assert validation == pytest.approx({record["step"]: record["psnr_db"] for record in log if "psnr_db" in record})
    assert [image.step for image in shown.Images("validation/phone, enhanced, DSLR")] == [3, 6]
