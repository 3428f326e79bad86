"""A few of the kills that `make soak` runs in full: a file of its own, so that it runs beside the others."""

from __future__ import annotations

from pathlib import Path

from pipeline_kills import Pipeline


def test_killed_commands_end_as_undisturbed_ones(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)
    for seed in range(1000, 1006):
        pipeline.kill(seed)
