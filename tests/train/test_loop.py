from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dpedkit.errors import StorageError, TrainError, WeightsError
from dpedkit.images import read_rgb
from dpedkit.train import Recipe, StepReport, enhance, load_generator, load_recipe, pick_compute, train
from dpedkit.train.loop import fresh_state, set_learning_rate
from dpedkit.train.losses import LossWeights
from dpedkit.train.metrics import psnr
from dpedkit.train.networks import Generator, mix_colours, start_from_photo
from dpedkit.train.runlog import read_log
from dpedkit.train.steps import Steps
from dpedkit.types import I64, U8, PairSource

CPU = torch.device("cpu")
ON_CPU = pick_compute("cpu")
MakePairs = Callable[[U8, U8], PairSource]


def tiny(recipe: str = "small", **changes: Any) -> Recipe:
    """A recipe shrunk to a second or so."""
    size = {"generator.width": 8, "generator.blocks": 1, "batch": 2, "iterations": 4, "eval_every": 2}
    size |= {"discriminator.scale": 0.05}
    return load_recipe(recipe, {key.replace("__", "."): str(value) for key, value in (size | changes).items()})


def adversarial(**changes: Any) -> Recipe:
    """All of DPED's terms but the content loss."""
    return tiny("dped", losses__content=0, **changes)


def test_small_learns_what_tells_the_phone_from_the_dslr(
    pairs: PairSource, held_out: PairSource, tmp_path: Path
) -> None:
    recipe = tiny(batch=8, iterations=150, eval_every=50, schedule="constant")
    trained = train(recipe, pairs, held_out, tmp_path / "run", compute=ON_CPU)
    generator = load_generator(tmp_path / "run")
    for phone, dslr in (held_out[i] for i in range(len(held_out))):
        assert psnr(enhance(generator, phone), dslr) > psnr(phone, dslr) + 6
    validations = [record["psnr_db"] for record in read_log(tmp_path / "run" / "log.jsonl") if "psnr_db" in record]
    assert trained.best_psnr_db == max(validations)
    assert trained.best_step == 50 * (1 + int(np.argmax(validations)))


@pytest.mark.parametrize(("recipe", "iterations"), [("srcnn", 600), ("nafnet", 150), ("csrnet", 150)])
def test_recipes_of_other_networks_learn_it_too(
    pairs: PairSource, held_out: PairSource, tmp_path: Path, recipe: str, iterations: int
) -> None:
    changes = {"batch": "8", "iterations": str(iterations), "eval_every": str(iterations)}
    trained = train(load_recipe(recipe, changes), pairs, held_out, tmp_path / "run", compute=ON_CPU)
    generator = load_generator(tmp_path / "run")
    assert generator.kind == recipe
    theirs = [psnr(phone, dslr) for phone, dslr in (held_out[i] for i in range(len(held_out)))]
    ours = [psnr(enhance(generator, phone), dslr) for phone, dslr in (held_out[i] for i in range(len(held_out)))]
    assert trained.best_psnr_db == pytest.approx(np.mean(ours), abs=0.2)  # but for rounding to bytes
    assert np.mean(ours) > np.mean(theirs) + 6


@pytest.mark.parametrize("recipe", ["johnson", "dped-paper"])
def test_recipes_of_dpeds_network_count_what_they_say(pairs: PairSource, tmp_path: Path, recipe: str) -> None:
    train(tiny(recipe, iterations=1), pairs, None, tmp_path / "run", compute=ON_CPU, vgg="random:0")
    logged = read_log(tmp_path / "run" / "log.jsonl")[0]
    losses = load_recipe(recipe).losses.model_dump()
    named = {name: weight for name, weight in losses.items() if name in logged}
    assert named == {name: weight for name, weight in losses.items() if weight}
    assert logged["total"] == pytest.approx(sum(weight * logged[name] for name, weight in named.items()), rel=1e-5)
    assert ("discriminator" in logged) == bool(losses["texture"])


def test_a_generator_that_starts_from_the_photo_returns_it(pairs: PairSource) -> None:
    generator = Generator(16, 1)
    photos = pairs.read_batch(range(4))[0]
    before = psnr(enhance(generator, photos[0]), photos[0])
    start_from_photo(generator, torch.Generator().manual_seed(0))
    for photo in photos:
        assert psnr(enhance(generator, photo), photo) > max(20.0, before + 5)


def test_a_generator_that_starts_from_a_matrix_applies_it() -> None:
    generator = Generator(16, 1)
    start_from_photo(generator, torch.Generator().manual_seed(0))
    photo = np.random.default_rng(1).integers(90, 160, (40, 40, 3), dtype=np.uint8)
    plain = enhance(generator, photo).astype(float)
    matrix, offset = np.array([[1.2, -0.1, 0.0], [0.0, 0.8, 0.1], [0.1, 0.0, 0.9]]), np.array([0.05, -0.05, 0.1])
    mix_colours(generator, matrix, offset)
    # the photo itself comes back only nearly, so the matrix is looked for in what changed
    assert np.abs(enhance(generator, photo) - (plain @ matrix.T + 255 * offset)).mean() < 3


def test_on_a_cosine_the_last_weights_are_the_result(pairs: PairSource, in_memory: MakePairs, tmp_path: Path) -> None:
    phone, dslr = pairs.read_batch(range(len(pairs)))
    opposite = in_memory(phone, 255 - dslr)  # what is learnt makes this worse
    recipe = tiny(iterations=60, eval_every=20)
    trained = train(recipe, pairs, opposite, tmp_path / "run", compute=ON_CPU)
    log = [record["psnr_db"] for record in read_log(tmp_path / "run" / "log.jsonl") if "psnr_db" in record]
    assert log[-1] < max(log)  # or the test would tell nothing
    assert (trained.best_step, trained.best_psnr_db) == (60, log[-1])


def test_every_step_is_logged_and_reported(pairs: PairSource, held_out: PairSource, tmp_path: Path) -> None:
    reports: list[StepReport] = []
    train(adversarial(), pairs, held_out, tmp_path, compute=ON_CPU, report=reports.append)
    log = read_log(tmp_path / "log.jsonl")
    assert [record["step"] for record in log] == [report.step for report in reports] == [1, 2, 3, 4]
    assert [report.validation_db for report in reports] == [record.get("psnr_db") for record in log]
    assert [report.validation_db is not None for report in reports] == [False, True, False, True]
    assert set(log[0]) == {"step", "total", "texture", "colour", "tv", "discriminator"}
    for record in log:
        expected = record["texture"] + 0.5 * record["colour"] + 2000 * record["tv"]
        assert record["total"] == pytest.approx(expected, rel=1e-5)


def test_the_discriminator_learns_to_tell_them_apart(pairs: PairSource) -> None:
    state = fresh_state(adversarial(lr=2e-3), pairs.patch_px, CPU, seed=0)
    phone, dslr = (torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255 for rgb in pairs.read_batch(range(8)))
    is_dslr = torch.tensor([True, False] * 4)
    steps, losses = Steps(state, LossWeights(content=0), None, ON_CPU), []
    for _ in range(40):
        losses.append(float(steps.improve_discriminator(phone, dslr, is_dslr)))
        state.step += 1
    assert losses[0] == pytest.approx(8 * math.log(2), rel=0.05)
    assert losses[-1] < 0.5 * losses[0]


def test_a_step_moves_only_its_own_network(pairs: PairSource) -> None:
    state = fresh_state(adversarial(), pairs.patch_px, CPU, seed=0)
    assert state.discriminator is not None
    phone, dslr = (torch.from_numpy(rgb).permute(0, 3, 1, 2) / 255 for rgb in pairs.read_batch(range(2)))
    generator, discriminator = state.generator.network, state.discriminator.network

    def weights() -> tuple[torch.Tensor, torch.Tensor]:
        return generator.head.weight.detach().clone(), discriminator.verdict.weight.detach().clone()

    steps = Steps(state, LossWeights(content=0), None, ON_CPU)
    before = weights()
    steps.improve_generator(phone, dslr)
    between = weights()
    steps.improve_discriminator(phone, dslr, torch.tensor([True, False]))
    after = weights()
    assert [torch.equal(a, b) for a, b in zip(before, between, strict=True)] == [False, True]
    assert [torch.equal(a, b) for a, b in zip(between, after, strict=True)] == [True, False]


def test_adam_is_tensorflows() -> None:
    """Epsilon stands beside the uncorrected moment: tiny gradients give smaller steps than PyTorch's Adam takes."""
    recipe = tiny(lr=0.5)
    state = fresh_state(recipe, 8, CPU, seed=0)
    weight = state.generator.network.to_rgb.get_parameter("bias")
    dslr = torch.full((1, 3, 8, 8), 0.5)
    first = m = v = 0.0
    steps = Steps(state, LossWeights(0, 0, 0, 0, pixel=1e-9), None, ON_CPU)
    for step in range(3):
        before = weight.detach().clone()
        steps.improve_generator(dslr * 1.5, dslr)
        assert weight.grad is not None
        slope = float(weight.grad[0])
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        rate = 0.5 * math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        assert float(before[0] - weight.detach()[0]) == pytest.approx(rate * m / (math.sqrt(v) + 1e-8), rel=1e-4)
        first = first or abs(float(before[0] - weight.detach()[0]))
        state.step += 1
    assert first < 0.45


def test_the_cosine_falls_to_nothing_and_the_constant_stays() -> None:
    for schedule, expected in (("cosine", [1.0, 0.5, 0.0]), ("constant", [1.0, 1.0, 1.0])):
        recipe = tiny(schedule=schedule, iterations=10, lr=0.1)
        state = fresh_state(recipe, 8, CPU, seed=0)
        rates = []
        for state.step in (0, 5, 10):
            set_learning_rate(state, recipe)
            rates.append(state.generator.adam.param_groups[0]["lr"])
        assert rates == pytest.approx([0.1 * fraction for fraction in expected], abs=1e-12)


def test_a_run_with_random_vgg_says_that_it_is_not_for_results(pairs: PairSource, tmp_path: Path) -> None:
    recipe = tiny("dped", iterations=1)
    train(recipe, pairs, None, tmp_path / "random", compute=ON_CPU, vgg="random:7")
    config = json.loads((tmp_path / "random" / "config.json").read_text())
    assert (config["vgg"], config["for_results"]) == ("random:7", False)
    assert config["stamp"] == "not for results: trained with random:7"
    assert config["vgg_sha256"]
    assert read_log(tmp_path / "random" / "log.jsonl")[0]["content"] > 0
    train(tiny(iterations=1), pairs, None, tmp_path / "none", compute=ON_CPU, vgg="random:7")
    config = json.loads((tmp_path / "none" / "config.json").read_text())
    assert (config["vgg"], config["for_results"], config["stamp"]) == ("no VGG", True, "")


def test_without_validation_the_last_generator_is_the_runs(pairs: PairSource, tmp_path: Path) -> None:
    trained = train(tiny(), pairs, None, tmp_path, compute=ON_CPU)
    assert (trained.step, trained.best_psnr_db) == (4, None)
    assert not (tmp_path / "best.safetensors").exists()
    assert load_generator(tmp_path).sizes["width"] == 8


def test_the_running_mean_is_what_is_validated_and_used(
    pairs: PairSource, held_out: PairSource, tmp_path: Path
) -> None:
    """Two steps: the mean keeps 0.9 of the first weights, then 0.9 of what that gave."""
    recipe = tiny(iterations=2, eval_every=1, generator__start="noise")
    weights = [dict(fresh_state(recipe, 32, CPU, 0).generator.network.named_parameters())]
    for steps in (1, 2):
        run = tmp_path / f"plain{steps}"
        train(recipe.model_copy(update={"iterations": steps, "schedule": "constant"}), pairs, None, run, compute=ON_CPU)
        weights.append(dict(load_generator(run).named_parameters()))
    mixed = recipe.model_copy(update={"ema": 0.9, "schedule": "constant"})
    trained = train(mixed, pairs, held_out, tmp_path / "mean", compute=ON_CPU)
    for file in ("best.safetensors", "last.safetensors"):
        used = load_generator(tmp_path / "mean" / file)
        for name, mean in used.named_parameters():
            if trained.best_step == 2 or file.startswith("last"):
                expected = 0.81 * weights[0][name] + 0.09 * weights[1][name] + 0.1 * weights[2][name]
                torch.testing.assert_close(mean, expected, rtol=1e-5, atol=1e-7)
    scores = [psnr(enhance(used, phone), dslr) for phone, dslr in (held_out[i] for i in range(len(held_out)))]
    last = read_log(tmp_path / "mean" / "log.jsonl")[-1]
    assert last["psnr_db"] == pytest.approx(np.mean(scores), abs=0.1)


def test_a_run_that_gets_no_better_ends_when_its_patience_does(
    pairs: PairSource, in_memory: MakePairs, tmp_path: Path
) -> None:
    """What is learnt here makes it worse there."""
    phone, dslr = pairs.read_batch(range(4))
    opposite = in_memory(phone, 255 - dslr)
    recipe = tiny(iterations=40, eval_every=2, patience=3, schedule="constant")
    trained = train(recipe, pairs, opposite, tmp_path / "short", compute=ON_CPU)
    assert (trained.step, trained.best_step) == (8, 2)
    patient = recipe.model_copy(update={"patience": 0})
    assert train(patient, pairs, opposite, tmp_path / "whole", compute=ON_CPU).step == 40


def test_every_validation_leaves_a_picture(pairs: PairSource, held_out: PairSource, tmp_path: Path) -> None:
    train(tiny(iterations=4, eval_every=2), pairs, held_out, tmp_path, compute=ON_CPU)
    pictures = [read_rgb(path) for path in sorted((tmp_path / "pictures").iterdir())]
    assert len(pictures) == 2
    phone, dslr = held_out.read_batch(range(len(held_out)))
    for shown in pictures:
        rows = shown.reshape(3, 32, len(held_out), 32, 3).swapaxes(1, 2)
        assert np.array_equal(rows[0], phone)
        assert np.array_equal(rows[2], dslr)
    ours = [enhance(load_generator(tmp_path), patch) for patch in phone]
    assert np.abs(rows[1].astype(int) - np.stack(ours)).max() <= 1


class Slow:
    """Pairs that a slow disk holds."""

    def __init__(self, pairs: PairSource) -> None:
        self.pairs, self.content_hash, self.patch_px = pairs, pairs.content_hash, pairs.patch_px

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[U8, U8]:
        return self.pairs[index]

    def read_batch(self, rows: Sequence[int] | I64) -> tuple[U8, U8]:
        time.sleep(0.05)
        return self.pairs.read_batch(rows)


def test_the_loop_reports_how_long_it_waits_for_data(pairs: PairSource, tmp_path: Path) -> None:
    reports: list[StepReport] = []
    train(
        tiny(iterations=6, generator__start="noise"), Slow(pairs), None, tmp_path, compute=ON_CPU, report=reports.append
    )
    assert all(0 <= each.waited_s <= each.took_s for each in reports)
    assert sum(each.waited_s for each in reports) > 0.05


def test_ctrl_c_ends_the_step_saves_and_interrupts(pairs: PairSource, tmp_path: Path) -> None:
    recipe = tiny(iterations=50, eval_every=50)

    def interrupt(report: StepReport) -> None:
        if report.step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(recipe, pairs, None, tmp_path, compute=ON_CPU, report=interrupt)
    steps: list[int] = []
    train(recipe, pairs, None, tmp_path, compute=ON_CPU, resume=True, report=lambda report: steps.append(report.step))
    assert steps == list(range(4, 51))
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == list(range(1, 51))


def test_an_interrupt_raised_by_the_reports_reader_saves_too(pairs: PairSource, tmp_path: Path) -> None:
    def interrupt(report: StepReport) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(eval_every=4), pairs, None, tmp_path, compute=ON_CPU, report=interrupt)
    assert train(tiny(eval_every=4), pairs, None, tmp_path, compute=ON_CPU, resume=True).step == 4
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [1, 2, 3, 4]


def test_losses_that_are_no_numbers_stop_the_run_and_keep_the_last_good_checkpoint(
    pairs: PairSource, tmp_path: Path
) -> None:
    with pytest.raises(TrainError, match=r"went wrong at step \d+: total = (nan|inf).*\n.*last.safetensors"):
        train(tiny(lr=1e30, iterations=20, eval_every=1), pairs, None, tmp_path, compute=ON_CPU)
    assert all(torch.isfinite(weight).all() for weight in load_generator(tmp_path).parameters())


@pytest.mark.parametrize("which", ["pairs", "validation"])
def test_an_empty_split_is_refused_before_anything_is_written(
    pairs: PairSource, in_memory: MakePairs, tmp_path: Path, which: str
) -> None:
    empty = in_memory(np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8))
    sources = (empty, pairs) if which == "pairs" else (pairs, empty)
    with pytest.raises(TrainError, match=r"no training pairs|validation split is empty"):
        train(tiny(), *sources, tmp_path / "run", compute=ON_CPU)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_named(pairs: PairSource, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here to write to")
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"no space left for .*log.jsonl"):
        train(tiny(), pairs, None, tmp_path, compute=ON_CPU)


def test_a_run_is_not_overwritten(pairs: PairSource, tmp_path: Path) -> None:
    train(tiny(), pairs, None, tmp_path, compute=ON_CPU)
    with pytest.raises(TrainError, match="already holds a run"):
        train(tiny(), pairs, None, tmp_path, compute=ON_CPU)


def test_unknown_devices_and_missing_weights_are_errors(pairs: PairSource, tmp_path: Path) -> None:
    for device in ("gpu", "cuda:99", "cpu:x"):
        with pytest.raises(TrainError, match=f"no device '{device}' here; found: .*cpu"):
            pick_compute(device)
    with pytest.raises(WeightsError, match="no VGG-19 weights"):
        train(tiny("dped"), pairs, None, tmp_path / "run", compute=ON_CPU, vgg=str(tmp_path / "absent.pth"))
    assert not (tmp_path / "run").exists()
