from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import vgg_files
from safetensors.torch import save_file
from scipy.io import savemat
from torch import Tensor
from torch.nn import functional
from vgg_files import cell

from dpedkit.errors import WeightsError
from dpedkit.files import sha256_file
from dpedkit.train.vgg import load_vgg
from dpedkit.types import F32

POOLED_BEFORE = (2, 4, 8, 12)
MAT = "imagenet-vgg-verydeep-19.mat"


@pytest.fixture(scope="module")
def kernels() -> list[F32]:
    return vgg_files.kernels(5)


@pytest.fixture(scope="module")
def biases() -> list[F32]:
    return vgg_files.biases(6)


@pytest.fixture(scope="module")
def files(kernels: list[F32], biases: list[F32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in each family's file."""
    folder = tmp_path_factory.mktemp("vgg")
    for name in ("vgg19.pth", "vgg19.safetensors", MAT):
        vgg_files.write(folder / name, kernels, biases)
    return folder


def features(x: Tensor, kernels: list[F32], biases: list[F32]) -> Tensor:
    for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        if number in POOLED_BEFORE:
            x = functional.max_pool2d(functional.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2)  # after a ReLU
        weight = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        x = functional.conv2d(x, weight, torch.from_numpy(bias), padding=1).relu()
    return x


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.rand(1, 3, 38, 25, generator=torch.Generator().manual_seed(0))


def authors_input(image: Tensor) -> Tensor:
    return image * 255 - torch.tensor([123.68, 116.779, 103.939])[:, None, None]


def torchvision_input(image: Tensor) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (image - mean[:, None, None]) / std[:, None, None]


def test_random_weights_follow_their_recipe_and_are_not_for_results(kernels: list[F32], image: Tensor) -> None:
    vgg = load_vgg("random:5")
    zeros = [np.zeros(kernel.shape[-1], np.float32) for kernel in kernels]
    torch.testing.assert_close(vgg(image), features(authors_input(image), kernels, zeros), rtol=1e-4, atol=1e-3)
    assert vgg(image).shape == (1, 512, 3, 2)
    assert not vgg.for_results
    assert vgg.name == "random:5"
    assert vgg.sha256 == load_vgg("random:5").sha256 != load_vgg("random:6").sha256
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


@pytest.mark.parametrize("name", ["vgg19.pth", "vgg19.safetensors", MAT])
def test_each_familys_file_gets_the_input_it_was_trained_on(
    files: Path, kernels: list[F32], biases: list[F32], image: Tensor, name: str
) -> None:
    vgg = load_vgg(str(files / name))
    prepare = authors_input if name == MAT else torchvision_input
    torch.testing.assert_close(vgg(image), features(prepare(image), kernels, biases), rtol=1e-4, atol=1e-3)
    assert vgg.for_results
    assert vgg.name == name
    assert vgg.sha256 == sha256_file(files / name)


@pytest.mark.parametrize("name", ["vgg19.pth", "vgg19.safetensors", MAT])
@pytest.mark.parametrize("kept_bytes", [0, 7, 130, 5000, 2_000_003])
def test_truncated_files_are_refused(files: Path, tmp_path: Path, name: str, kept_bytes: int) -> None:
    with (files / name).open("rb") as whole:
        (tmp_path / name).write_bytes(whole.read(kept_bytes))
    with pytest.raises(WeightsError, match="does not hold VGG-19's weights") as caught:
        load_vgg(str(tmp_path / name))
    assert "\n" not in caught.value.cause
    assert "--vgg FILE" in caught.value.remedy


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"network": Path("code that unpickling would run")}, tmp_path / "objects.pth")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    savemat(
        tmp_path / "shallow.mat",
        {"layers": cell({"type": "conv", "weights": cell(np.zeros(3), np.zeros(3))})},
    )
    for name in ("photo.jpg", "photo.pth", "photo.mat", "photo.safetensors"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0" * 50)
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(WeightsError, match="does not hold VGG-19's weights"):
            load_vgg(str(path))


def test_wrong_specs_say_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no VGG-19 weights at"):
        load_vgg(str(tmp_path / "missing.pth"))
    for spec in ("random", "random:", "random:-1", "random:x"):
        with pytest.raises(WeightsError, match="seed"):
            load_vgg(spec)


def test_without_a_network_the_remedy_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # the discard port: nobody answers
    with pytest.raises(WeightsError, match="could not be fetched") as caught:
        load_vgg("torchvision")
    assert "--vgg random:0" in caught.value.remedy


def test_a_cached_file_with_another_hash_is_not_used(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    cached = tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"
    cached.parent.mkdir(parents=True)
    cached.symlink_to(files / "vgg19.pth")
    with pytest.raises(WeightsError, match="could not be fetched"):
        load_vgg("torchvision")
