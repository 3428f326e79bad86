"""LPIPS: the figures of the lpips package, and files that are not its weights."""

from __future__ import annotations

from pathlib import Path

import lpips_files
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter

from dpedkit.errors import CorpusError, WeightsError
from dpedkit.train.lpips import load_lpips

PICTURES = np.random.default_rng(1).integers(0, 256, (3, 100, 100, 3), dtype=np.uint8)
BLURRED = gaussian_filter(PICTURES, (0, 1, 1, 0))


def test_distances_are_those_of_the_authors_package(tmp_path: Path) -> None:
    """lpips 0.1.4 gave these numbers, as LPIPS(net="alex", model_path=...) with the same weights."""
    lpips = load_lpips(*lpips_files.write(tmp_path))
    whole = [0.5205239653587341, 0.5273990035057068, 0.5291686654090881]
    smallest = [0.6917141675949097, 0.5714458227157593, 0.6938374638557434]
    assert lpips.measure(PICTURES, BLURRED) == pytest.approx(whole, rel=1e-5)
    assert lpips.measure(PICTURES[:, :31, :40], BLURRED[:, :31, :40]) == pytest.approx(smallest, rel=1e-5)
    assert lpips.measure(PICTURES, PICTURES).tolist() == [0, 0, 0]
    many = lpips.measure(np.tile(PICTURES, (30, 1, 1, 1)), np.tile(BLURRED, (30, 1, 1, 1)))
    assert many == pytest.approx(np.tile(whole, 30), rel=1e-5)


def test_too_small_pictures_are_refused(tmp_path: Path) -> None:
    lpips = load_lpips(*lpips_files.write(tmp_path))
    with pytest.raises(CorpusError, match="LPIPS needs pictures of 31 px, these have 30 x 40 px"):
        lpips.measure(PICTURES[:, :30, :40], BLURRED[:, :30, :40])


def test_safetensors_hold_the_same(tmp_path: Path) -> None:
    files = lpips_files.write(tmp_path)
    others = [path.with_suffix(".safetensors") for path in files]
    for path, other in zip(files, others, strict=True):
        save_file(torch.load(path, weights_only=True), other)
    ours, theirs = load_lpips(*others), load_lpips(*files)
    assert ours.measure(PICTURES, BLURRED).tolist() == theirs.measure(PICTURES, BLURRED).tolist()
    assert ours.words.startswith("alexnet.safetensors ")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("swapped", r"alex\.pth does not hold LPIPS's weights: no 'features\.0\.weight'"),
        ("cut", r"alexnet\.pth does not hold LPIPS's weights"),
        ("missing", r"no LPIPS weights at .*alex\.pth"),
        ("shape", r"alex\.pth does not hold LPIPS's weights: \[1, 64, 1, 1\] finite numbers"),
        ("nan", r"alex\.pth does not hold LPIPS's weights: .* finite numbers"),
        ("code", r"alex\.pth does not hold LPIPS's weights: it is damaged or holds more than tensors"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, damage: str, said: str) -> None:
    alexnet, linear = lpips_files.write(tmp_path)
    tensors = torch.load(linear, weights_only=True)
    match damage:
        case "swapped":
            alexnet, linear = linear, alexnet
        case "cut":
            alexnet.write_bytes(alexnet.read_bytes()[:100_000])
        case "missing":
            linear.unlink()
        case "shape":
            torch.save({**tensors, "lin0.model.1.weight": torch.zeros(64)}, linear)
        case "nan":
            torch.save({**tensors, "lin4.model.1.weight": torch.full((1, 256, 1, 1), torch.nan)}, linear)
        case "code":
            torch.save({**tensors, "lin0.model.1.weight": Path("anything")}, linear)
    with pytest.raises(WeightsError, match=said) as caught:
        load_lpips(alexnet, linear)
    assert "\n" not in caught.value.cause
    assert "--lpips ALEXNET LINEAR" in caught.value.remedy
