from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dpedkit.errors import WeightsError
from dpedkit.train import load_generator
from dpedkit.train.networks import ENHANCERS, Enhancer, Generator
from dpedkit.train.recipe import LossRecipe
from dpedkit.train.stamp import advice
from dpedkit.train.weights import generator_tensors, load_stamp, save_generator
from dpedkit.types import Json


def generator(seed: int, width: int = 3, blocks: int = 2) -> Generator:
    return Generator(width, blocks, rng=torch.Generator().manual_seed(seed))


def same(first: Enhancer, second: Enhancer) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_generator_comes_back_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "any.safetensors"
    save_generator(path, generator(1), {"step": 7})
    assert same(load_generator(str(path)), generator(1))
    assert not load_generator(path).training


@pytest.mark.parametrize("kind", ENHANCERS)
def test_every_architecture_comes_back(tmp_path: Path, kind: str) -> None:
    made = ENHANCERS[kind](rng=torch.Generator().manual_seed(4))
    save_generator(tmp_path / "any.safetensors", made, {})
    found = load_generator(tmp_path / "any.safetensors")
    assert (type(found), found.sizes) == (type(made), made.sizes)
    assert same(found, made)


def test_a_run_gives_its_best_checkpoint_else_its_last(tmp_path: Path) -> None:
    save_generator(tmp_path / "last.safetensors", generator(1), {})
    assert same(load_generator(tmp_path), generator(1))
    save_generator(tmp_path / "best.safetensors", generator(2), {})
    assert same(load_generator(tmp_path), generator(2))


def test_training_checkpoints_may_hold_more(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    meta = {"format": 1, "generator": {"width": 3, "blocks": 2}, "step": 3}
    more = {"discriminator.hidden.bias": torch.ones(3), "generator_adam.0.step": torch.ones(())}
    save_file(generator_tensors(generator(1)) | more, path, {"dpedkit": json.dumps(meta)})
    assert same(load_generator(path), generator(1))


@pytest.mark.parametrize("name", ["", "nothing", "nothing.safetensors", "nothing.index"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError) as caught:
        load_generator(tmp_path / name)
    assert str(tmp_path / name) in caught.value.cause
    assert caught.value.remedy


@pytest.mark.parametrize(
    "meta",
    [
        None,
        "no json",
        "[]",
        '{"format": 1}',
        '{"format": 2, "generator": {"width": 3, "blocks": 2}}',
        '{"format": 1, "generator": 5}',
        '{"format": 1, "generator": {"width": "wide", "blocks": 2}}',
        '{"format": 1, "generator": {"width": 4, "blocks": 2}}',
        '{"format": 1, "generator": {"width": 3, "blocks": 1}}',
        '{"format": 1, "generator": {"width": -3, "blocks": 2}}',
        '{"format": 1, "generator": {"width": 3, "blocks": 1000000000}}',
        '{"format": 1, "generator": {"width": 1e999, "blocks": 2}}',
        '{"format": 1, "generator": {"kind": "unet", "width": 3, "blocks": 2}}',
        '{"format": 1, "generator": {"kind": ["dped"], "width": 3, "blocks": 2}}',
        '{"format": 1, "generator": {"kind": "srcnn", "width": 3, "blocks": 2}}',
        '{"format": 1, "generator": {"kind": "nafnet", "width": 4096, "levels": 20}}',
        "[" * 100_000,
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, meta: str | None) -> None:
    path = tmp_path / "odd.safetensors"
    save_file(generator_tensors(generator(1)), path, None if meta is None else {"dpedkit": meta})
    with pytest.raises(WeightsError, match=r"odd\.safetensors is not a whole dpedkit checkpoint") as caught:
        load_generator(path)
    assert "\n" not in caught.value.cause


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, ""),
        ({"vgg": "no VGG", "for_results": True}, ""),
        ({"vgg": "imagenet-vgg-verydeep-19.mat", "for_results": True}, ""),
        ({"vgg": "random:3", "for_results": False}, "not for results: trained with random:3"),
        (
            {"vgg": "torchvision", "for_results": True, "recipe": {"name": "dped", "losses": {"content": 2.5}}},
            "dped, torchvision VGG, content x 0.25",
        ),
    ],
)
def test_a_checkpoint_tells_what_must_be_said_of_it(tmp_path: Path, config: Json, said: str) -> None:
    save_generator(tmp_path / "best.safetensors", generator(1), {"config": config})
    assert load_stamp(tmp_path) == said


@pytest.mark.parametrize(
    ("content", "vgg", "said"),
    [
        (0, "torchvision", ""),
        (10, "imagenet-vgg-verydeep-19.mat", ""),
        (2.5, "torchvision", ""),
        (10, "torchvision", "content counts 10, which is meant for the authors' VGG weights"),
        (1, "mine.pth", "content counts 1, which"),
        (2.5, "random:0", "this run is not for results"),
    ],
)
def test_what_vgg_weights_mean_for_a_run_is_said_before_it(content: float, vgg: str, said: str) -> None:
    told = advice(LossRecipe(content=content), vgg)
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize("config", [5, {"vgg": 5}, {"vgg": "torchvision"}, {"for_results": False}])
def test_a_config_that_makes_no_sense_is_refused(tmp_path: Path, config: object) -> None:
    save_generator(tmp_path / "odd.safetensors", generator(1), {"config": config})
    with pytest.raises(WeightsError, match=r"odd\.safetensors is not a whole dpedkit checkpoint"):
        load_stamp(tmp_path / "odd.safetensors")


def test_truncated_and_damaged_files_never_raise_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    config = {"vgg": "torchvision", "for_results": True, "recipe": {"name": "dped", "losses": {"content": 2.5}}}
    save_generator(path, generator(1), {"config": config})
    whole = path.read_bytes()
    for length in range(0, len(whole), 101):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            load_generator(path)
    rng = random.Random(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(1000):
        damaged = bytearray(whole)
        damaged[rng.randrange(header)] = rng.randrange(256)
        path.write_bytes(damaged)
        for load in (load_generator, load_stamp):
            try:
                load(path)  # a changed "step" or padding byte does no harm
            except WeightsError:
                continue


def test_weights_that_blew_up_are_refused(tmp_path: Path) -> None:
    broken = generator(1)
    with torch.no_grad():
        broken.head.weight[0, 0, 0, 0] = torch.nan
    save_generator(tmp_path / "last.safetensors", broken, {})
    with pytest.raises(WeightsError, match=r"head\.weight is not finite"):
        load_generator(tmp_path)
