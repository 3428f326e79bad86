"""Ways to compute a step: each must lead where the plain one leads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_pairs import phone_pairs
from safetensors.torch import load_file
from torch import Tensor, nn

from dpedkit.train import Recipe, load_recipe, pick_compute, train
from dpedkit.train.batches import ALL, Batch, Batches
from dpedkit.train.compute import Compute
from dpedkit.train.loop import fresh_state
from dpedkit.train.losses import LossWeights
from dpedkit.train.networks import ENHANCERS, InstanceNorm
from dpedkit.train.runlog import read_log
from dpedkit.train.steps import Steps
from dpedkit.train.vgg import Vgg19, load_vgg
from dpedkit.types import PairSource

CPU = torch.device("cpu")
PLAIN = Compute(CPU)

# One process of two: takes the first step of `one_step` on its part of the batch; the first one writes the gradients.
SHARED = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/train"]
from safetensors.torch import save_file
from test_compute import gradients_of_a_step
from dpedkit.train import pick_compute
from dpedkit.train.processes import joined
with joined("cpu") as processes:
    losses, gradients = gradients_of_a_step(pick_compute("cpu", processes=processes))
    if processes.is_first:
        save_file(gradients, sys.argv[2], {"losses": repr(losses)})
"""


def recipe(**changes: object) -> Recipe:
    """All of DPED's terms, on small networks; a batch that two do not share evenly.

    Started from the photo: from noise, the rounding of float32 alone is a hundredth of the first gradients.
    """
    size = {
        "generator.start": "matrix",
        "generator.width": 8,
        "generator.blocks": 1,
        "discriminator.scale": 0.05,
        "batch": 5,
    }
    return load_recipe("dped", {key.replace("__", "."): str(value) for key, value in (size | changes).items()})


def gradients_of_a_step(compute: Compute) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Take one iteration of `recipe`; return its losses and both networks' gradients.

    Biases before an instance norm have none but rounding: it takes them out again.
    """
    torch.set_num_threads(1)
    settings = recipe()
    pairs = phone_pairs(24, 32)
    state = fresh_state(settings, 32, CPU, seed=0)
    steps = Steps(state, LossWeights(), load_vgg("random:0"), compute, batch=settings.batch, patches=len(pairs))
    part = compute.processes.part_of(settings.batch)
    with compute.settings(), Batches(pairs, settings, 0, first_step=0, part=part) as batches:
        losses = steps.iterate(next(batches).to(CPU))
    gradients = {
        f"{role}.{name}": weight.grad.clone()
        for role, trainee in state.trainees()
        for name, weight in trainee.network.named_parameters()
        if weight.grad is not None and not ("conv" in name and name.endswith("bias") and name != "convs.0.bias")
    }
    return losses, gradients


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], limit: float) -> None:
    """Each network's gradient as a whole; of its parameters, each, five times as much."""
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 5 * limit * gradient.norm(), name
    for role in ("generator", "discriminator"):
        ours, theirs = (
            torch.cat([each[name].flatten() for name in expected if name.startswith(role)])
            for each in (found, expected)
        )
        assert (ours - theirs).norm() <= limit * theirs.norm(), role


@pytest.mark.parametrize("micro_batch", [1, 2, 5, 50])
def test_micro_batches_add_up_to_the_batch(micro_batch: int) -> None:
    losses, gradients = gradients_of_a_step(replace(PLAIN, micro_batch=micro_batch))
    whole_losses, whole = gradients_of_a_step(PLAIN)
    assert losses == pytest.approx(whole_losses, rel=1e-5)
    assert_same(gradients, whole, 2e-5)


def test_two_processes_add_up_to_one(tmp_path: Path) -> None:
    torchrun("-c", SHARED, str(Path(__file__).parents[1]), str(tmp_path / "gradients.safetensors"), folder=tmp_path)
    losses, gradients = gradients_of_a_step(PLAIN)
    assert_same(load_file(tmp_path / "gradients.safetensors"), gradients, 1e-5)
    with (tmp_path / "gradients.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    assert eval(header["__metadata__"]["losses"]) == pytest.approx(losses, rel=1e-5)


def torchrun(*words: str, folder: Path) -> None:
    """Run Python in two processes, as `torchrun --nproc-per-node 2 SCRIPT` does."""
    script = folder / "script.py"
    if words[0] == "-c":
        script.write_text(words[1])
        words = (str(script), *words[2:])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("room", [24, 7, 1])
def test_kept_features_are_those_that_are_computed(room: int, pairs: PairSource, tmp_path: Path) -> None:
    each = 512 * 2 * 2 * 4
    kept = replace(PLAIN, kept_bytes=room * each)
    settings = recipe(iterations=8, eval_every=4)
    for name, compute in (("plain", PLAIN), ("kept", kept)):
        train(settings, pairs, None, tmp_path / name, compute=compute, vgg="random:0")
    assert read_log(tmp_path / "kept" / "log.jsonl") == read_log(tmp_path / "plain" / "log.jsonl")
    assert (tmp_path / "kept" / "last.safetensors").stat().st_size > 0
    ours, theirs = (load_file(tmp_path / name / "last.safetensors") for name in ("kept", "plain"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_kept_features_are_computed_once(pairs: PairSource) -> None:
    seen: list[int] = []
    vgg = load_vgg("random:0")
    vgg.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    settings, state = recipe(), fresh_state(recipe(), 32, CPU, seed=0)
    compute = replace(PLAIN, kept_bytes=1 << 30)
    steps = Steps(state, LossWeights(), vgg, compute, patches=len(pairs))
    batch = Batches(pairs, settings, 0, first_step=0)
    with batch as batches:
        first = next(batches).to(CPU)
    again = Batch(first.phone, first.dslr, first.other_phone, first.other_dslr, first.is_dslr, first.rows)
    for each in (first, again):
        steps.iterate(each)
    enhanced = [count for count in seen if count == len(first.rows)]
    assert len(enhanced) in (2, 3)  # each step's own, and the first one's DSLR patches where none came twice
    assert sum(seen) <= 2 * len(first.rows) + 1 + len(first.rows)


def test_compiled_and_in_bfloat16_is_the_same_step_but_for_digits() -> None:
    _, plain = gradients_of_a_step(PLAIN)
    losses, compiled = gradients_of_a_step(replace(PLAIN, compiled=True))
    assert_same(compiled, plain, 1e-4)
    half_losses, half = gradients_of_a_step(replace(PLAIN, half=True))
    assert half_losses == pytest.approx(losses, rel=0.05)
    ours, theirs = (torch.cat([each[name].flatten() for name in plain]) for each in (half, plain))
    assert nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.98
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", sorted(ENHANCERS))
def test_in_bfloat16_pixels_are_still_float32s(kind: str) -> None:
    network = ENHANCERS[kind]()
    rgb = torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        half, whole = replace(PLAIN, half=True).forward(network)(rgb), network(rgb)
    assert half.dtype == torch.float32
    assert 0 < (half - whole).abs().max() < 0.02
    assert not torch.equal(half, half.bfloat16().float())  # finer than bfloat16 can say


def test_fast_says_what_it_is_and_trains(pairs: PairSource, held_out: PairSource, tmp_path: Path) -> None:
    fast = pick_compute("cpu", fast=True)
    assert fast.kept_bytes > 0
    assert "kept" not in pick_compute("cpu", fast=True, with_vgg=False).words
    assert fast.compiled == (not any("not compiled" in note for note in fast.notes))
    assert fast.half == (not any("bfloat16" in note for note in fast.notes))
    alone = recipe(
        iterations=4, eval_every=2, losses__content=0, losses__texture=0
    )  # three networks compile for minutes
    trained = train(alone, pairs, held_out, tmp_path, compute=fast)
    assert trained.step == 4
    assert json.loads((tmp_path / "config.json").read_text())["compute"] == fast.words


def test_without_a_compiler_fast_says_so_and_goes_on(tmp_path: Path) -> None:
    script = "from dpedkit.train import pick_compute; c = pick_compute('cpu', fast=True); print(c.compiled, c.notes)"
    nowhere = os.environ | {"CXX": "/nowhere/g++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=True, env=nowhere
    )
    assert done.stdout.startswith("False ")
    assert "not compiled: torch.compile needs a C++ compiler" in done.stdout


def test_instance_norms_gradient_is_pytorchs() -> None:
    rng = torch.Generator().manual_seed(0)
    norm = InstanceNorm(3).double()
    x = torch.randn((2, 3, 5, 4), generator=rng, dtype=torch.float64, requires_grad=True)
    weight = torch.randn((2, 3, 5, 4), generator=rng, dtype=torch.float64)
    with torch.no_grad():
        norm.scale += torch.randn(3, generator=rng)
    (norm(x) * weight).sum().backward()
    ours = [x.grad, norm.scale.grad, norm.shift.grad]
    other = x.detach().clone().requires_grad_()
    scale, shift = (each.detach().clone().requires_grad_() for each in (norm.scale, norm.shift))
    (nn.functional.instance_norm(other, weight=scale, bias=shift, eps=norm.eps) * weight).sum().backward()
    for found, expected in zip(ours, (other.grad, scale.grad, shift.grad), strict=True):
        assert found is not None
        assert expected is not None
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_discriminator_sees_another_batch(pairs: PairSource) -> None:
    with Batches(pairs, recipe(), 0, first_step=0) as batches:
        batch = next(batches)
    assert np.array_equal(batch.phone, pairs.read_batch(batch.rows)[0])
    assert not np.array_equal(batch.phone, batch.other_phone)
    assert not np.array_equal(batch.dslr, batch.other_dslr)


@pytest.mark.parametrize("count", [2, 3])
def test_processes_read_each_their_part_of_every_batch(pairs: PairSource, count: int) -> None:
    def rows(part: slice) -> list[list[int]]:
        with Batches(pairs, recipe(iterations=3), 0, first_step=0, part=part) as batches:
            return [batch.rows.tolist() + batch.is_dslr.tolist() for batch in batches]

    parts = [slice(rank * 5 // count, (rank + 1) * 5 // count) for rank in range(count)]
    shared = [rows(part) for part in parts]
    for whole, *each in zip(rows(ALL), *shared, strict=True):
        halves = [(part[: len(part) // 2], part[len(part) // 2 :]) for part in each]
        assert [row for own, _ in halves for row in own] == whole[:5]
        assert [coin for _, own in halves for coin in own] == whole[5:]


def test_a_vgg_in_use_is_left_as_it_is() -> None:
    vgg: Vgg19 = load_vgg("random:0")
    before = {name: weight.clone() for name, weight in vgg.state_dict().items()}
    state = fresh_state(recipe(), 32, CPU, seed=0)
    steps = Steps(state, LossWeights(), vgg, replace(PLAIN, half=True))
    with Batches(phone_pairs(24, 32), recipe(), 0, first_step=0) as batches:
        steps.iterate(next(batches).to(CPU))
    assert all(torch.equal(weight, before[name]) for name, weight in vgg.state_dict().items())
