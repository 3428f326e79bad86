"""What a run cannot succeed with is said before its first step, or as soon as it shows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import mount
from made_pairs import MemoryPairs, phone_pairs

from dpedkit.errors import TrainError
from dpedkit.train import load_generator, load_recipe, pick_compute, train
from dpedkit.train.processes import Processes
from dpedkit.types import PairSource

ON_CPU = pick_compute("cpu")
SMALL = {"generator.width": "8", "generator.blocks": "1", "batch": "2", "iterations": "4", "eval_every": "2"}


def small(**changes: str) -> Callable[..., object]:
    recipe = load_recipe("small", SMALL | {key.replace("__", "."): value for key, value in changes.items()})
    return lambda *sources, run, compute=ON_CPU: train(recipe, *sources, run, compute=compute)


def test_patches_of_two_sizes_are_refused(pairs: PairSource, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="training patches have 32 px, validation patches 24"):
        small()(pairs, phone_pairs(6, 24), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_processes_than_a_batch_has_patches_are_refused(pairs: PairSource, tmp_path: Path) -> None:
    crowd = pick_compute("cpu", processes=Processes(0, 3))
    with pytest.raises(TrainError, match="a batch of 2 cannot be shared by 3 processes") as refused:
        small()(pairs, None, run=tmp_path / "run", compute=crowd)
    assert "--set batch=3" in refused.value.remedy


def test_a_disk_too_small_for_the_checkpoints_is_refused(pairs: PairSource, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(mount(disk, 4), capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(TrainError, match=r"the checkpoints need 1\d MB, and 4 MB are free at"):
            small(generator__width="64", generator__blocks="4")(pairs, None, run=disk / "runs" / "one")
        assert not list(disk.iterdir())
        small()(pairs, None, run=disk / "runs" / "one")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_discriminator_that_has_won_ends_the_run(tmp_path: Path) -> None:
    """The DSLR's patches are striped, the phone's plain, and the generator hardly learns."""
    striped = np.zeros((8, 32, 32, 3), np.uint8)
    striped[:, :, ::2] = 255
    pairs = MemoryPairs(np.full((8, 32, 32, 3), 128, np.uint8), striped)
    changes = {"content": "0", "colour": "0", "tv": "0", "pixel": "0", "texture": "1e-12"}
    recipe = load_recipe(
        "dped",
        SMALL
        | {"iterations": "2000", "eval_every": "100", "discriminator.scale": "0.1", "lr": "5e-3"}
        | {f"losses.{name}": weight for name, weight in changes.items()},
    )
    with pytest.raises(TrainError, match="the discriminator has won: for 500 steps up to") as ended:
        train(recipe, pairs, None, tmp_path, compute=ON_CPU)
    assert "last.safetensors" in ended.value.remedy
    assert "--set discriminator.scale" in ended.value.remedy
    assert load_generator(tmp_path).kind == "dped"
