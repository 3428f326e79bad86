from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from dpedkit.errors import TrainError, WeightsError
from dpedkit.train import Recipe, StepReport, load_recipe, pick_compute, train
from dpedkit.train.runlog import RunLog, read_log
from dpedkit.types import U8, PairSource

ON_CPU = pick_compute("cpu")

# All of DPED's terms but content, so that there are two networks, two optimisers and a mean to bring back.
CHANGES = {
    "ema": "0.9",
    "generator.width": "8",
    "generator.blocks": "1",
    "discriminator.scale": "0.05",
    "losses.content": "0",
    "batch": "2",
    "iterations": "20",
    "eval_every": "5",
}

# Trains as `whole_run` does, but hurts itself after step 13.
CHILD = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from made_pairs import phone_pairs
from dpedkit.train import load_recipe, pick_compute, train
run, number, changes = Path(sys.argv[2]), int(sys.argv[3]), dict(item.split("=") for item in sys.argv[4:])
torch.set_num_threads(1)
train(load_recipe("dped", changes), phone_pairs(24, 32), phone_pairs(6, 32, seed=1), run, compute=pick_compute("cpu"),
      seed=3, report=lambda report: os.kill(os.getpid(), number) if report.step == 13 else None)
"""


def recipe(**changes: str) -> Recipe:
    return load_recipe("dped", CHANGES | {key.replace("__", "."): value for key, value in changes.items()})


def test_a_run_that_is_at_its_end_goes_on_to_nothing(pairs: PairSource, held_out: PairSource, whole_run: Path) -> None:
    before = files(whole_run)
    steps: list[StepReport] = []
    again = train(recipe(), pairs, held_out, whole_run, compute=ON_CPU, seed=3, resume=True, report=steps.append)
    assert (again.step, steps) == (20, [])
    assert files(whole_run) == before


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def assert_equal_runs(one: Path, other: Path) -> None:
    ours, theirs = files(one), files(other)
    assert ours.keys() == theirs.keys() >= {"last.safetensors", "best.safetensors", "pictures/000020.png"}
    for name in ours.keys() - {"log.jsonl"}:
        assert ours[name] == theirs[name], name
    assert read_log(one / "log.jsonl") == read_log(other / "log.jsonl")


def run_child(run: Path, number: int) -> subprocess.CompletedProcess[str]:
    changes = [f"{key}={value}" for key, value in CHANGES.items()]
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[1]), str(run), str(int(number)), *changes]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def whole_run(pairs: PairSource, held_out: PairSource, tmp_path: Path) -> Path:
    """Twenty steps without a break."""
    train(recipe(), pairs, held_out, tmp_path / "whole", compute=ON_CPU, seed=3)
    return tmp_path / "whole"


@pytest.mark.parametrize(("number", "saved"), [(signal.SIGKILL, 10), (signal.SIGTERM, 13)])
def test_a_killed_run_goes_on_as_if_it_had_not_been(
    whole_run: Path, pairs: PairSource, held_out: PairSource, tmp_path: Path, number: signal.Signals, saved: int
) -> None:
    run = tmp_path / "killed"
    assert run_child(run, number).returncode == -number
    reports: list[StepReport] = []
    train(recipe(), pairs, held_out, run, compute=ON_CPU, seed=3, resume=True, report=reports.append)
    assert reports[0].step == saved + 1
    assert_equal_runs(whole_run, run)


def test_a_run_of_a_constant_rate_can_be_made_longer(
    whole_run: Path, pairs: PairSource, held_out: PairSource, tmp_path: Path
) -> None:
    run = tmp_path / "longer"
    train(recipe(iterations="10"), pairs, held_out, run, compute=ON_CPU, seed=3)
    train(recipe(), pairs, held_out, run, compute=ON_CPU, seed=3, resume=True)
    one, other = (load_file(path / "last.safetensors") for path in (whole_run, run))
    assert one.keys() == other.keys()
    assert all(one[name].equal(other[name]) for name in one)


@pytest.mark.parametrize(
    ("changes", "content_hash", "seed", "message"),
    [
        ({"lr": "1e-3"}, "0" * 64, 3, r"recipe.lr was 0.0005, is 0.001$"),
        ({"losses__tv": "1"}, "0" * 64, 3, r"recipe.losses.tv was 2000.0, is 1.0$"),
        ({"generator__width": "9"}, "0" * 64, 3, r"recipe.generator.width was 8, is 9$"),
        ({}, "f" * 64, 3, r"pairs.content_hash was 0{64}, is f{64}$"),
        ({}, "0" * 64, 4, r"seed was 3, is 4$"),
    ],
)
def test_another_run_is_not_gone_on_with(
    whole_run: Path,
    pairs: PairSource,
    held_out: PairSource,
    in_memory: Callable[[U8, U8, str], PairSource],
    changes: dict[str, str],
    content_hash: str,
    seed: int,
    message: str,
) -> None:
    before = files(whole_run)
    others = in_memory(*pairs.read_batch(range(len(pairs))), content_hash)
    with pytest.raises(TrainError) as caught:
        train(recipe(**changes), others, held_out, whole_run, compute=ON_CPU, seed=seed, resume=True)
    assert re.search(message, caught.value.cause)
    assert files(whole_run) == before


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(pairs: PairSource, whole_run: Path, damage: bytes | None) -> None:
    last = whole_run / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-1000] if damage is None else damage)
    with pytest.raises(WeightsError, match=r"last.safetensors is not a whole training checkpoint"):
        train(recipe(), pairs, None, whole_run, compute=ON_CPU, seed=3, resume=True)


def test_nothing_to_resume_is_an_error(pairs: PairSource, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"nothing to resume: no .*last.safetensors"):
        train(recipe(), pairs, None, tmp_path, compute=ON_CPU, resume=True)


def test_a_checkpoint_says_what_it_belongs_to(whole_run: Path) -> None:
    with (whole_run / "last.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    meta = json.loads(header["__metadata__"]["dpedkit"])
    assert meta["step"] == 20
    assert meta["config"] == json.loads((whole_run / "config.json").read_text())
    assert meta["config"]["pairs"]["content_hash"] == "0" * 64


def test_a_log_loses_what_came_after_the_checkpoint_and_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path, after_step=0)
    for step in (1, 2, 3):
        log.append({"step": step, "total": step / 3})
    path.write_text(path.read_text() + '{"step": 4, "to')
    RunLog(path, after_step=2).append({"step": 3, "total": 7.0})
    assert read_log(path) == [{"step": 1, "total": 1 / 3}, {"step": 2, "total": 2 / 3}, {"step": 3, "total": 7.0}]
