from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import vgg_files

from dpedkit.train.content_scale import content_losses, made_pairs
from dpedkit.train.vgg import load_vgg
from dpedkit.types import F64, PairSource

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as the authors' file; the same as torchvision's; and that with its features doubled."""
    folder = tmp_path_factory.mktemp("vgg")
    authors = vgg_files.kernels(5), vgg_files.biases(6)
    same = vgg_files.for_torchvisions_input(*authors)
    vgg_files.write(folder / "authors.mat", *authors)
    vgg_files.write(folder / "same.pth", *same)
    vgg_files.write(folder / "doubled.safetensors", *vgg_files.scaled(*same, 2))
    return folder


def losses(path: Path, pairs: PairSource) -> F64:
    return content_losses(load_vgg(str(path)), *pairs.read_batch(range(8)), CPU)


def test_one_network_in_two_families_files_counts_the_same(folder: Path, pairs: PairSource) -> None:
    """But for the zeros beyond the edges, which stand for two slightly different grays."""
    ratio = losses(folder / "authors.mat", pairs) / losses(folder / "same.pth", pairs)
    assert ratio == pytest.approx(np.ones(8), rel=1e-3)


def test_features_of_twice_the_size_count_four_times(folder: Path, pairs: PairSource) -> None:
    assert np.array_equal(losses(folder / "doubled.safetensors", pairs), 4 * losses(folder / "same.pth", pairs))


def test_the_pairs_that_are_drawn_are_the_same_ones_each_time_and_differ_as_photos_do() -> None:
    (phone, dslr), again = made_pairs(), made_pairs()
    assert np.array_equal(phone, again[0])
    assert np.array_equal(dslr, again[1])
    assert phone.shape == dslr.shape == (32, 100, 100, 3)
    error = ((phone.astype(float) - dslr) ** 2).mean(axis=(1, 2, 3))
    assert 14 < 10 * np.log10(255**2 / error).mean() < 24  # dB; phones lie between 15 and 23 (docs/decisions.md)
