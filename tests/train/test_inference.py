from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dpedkit.train import enhance, load_generator
from dpedkit.train.networks import ENHANCERS, Enhancer, Generator
from dpedkit.types import U8


@pytest.fixture(scope="module")
def generator() -> Generator:
    """Weights large enough that every layer shows in the picture."""
    made = Generator(width=8, blocks=2)
    rng = torch.Generator().manual_seed(3)
    for name, weight in made.state_dict().items():
        if weight.ndim == 4:
            weight.normal_(0, (2 / weight[0].numel()) ** 0.5 * (0.3 if name == "to_rgb.weight" else 1), generator=rng)
        else:
            weight.add_(torch.empty_like(weight).normal_(0, 0.1, generator=rng))
    return made.eval()


def photo(height: int, width: int) -> U8:
    """Bright above and dark below, with noise: statistics differ from strip to strip."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(220, 20, height)[:, None, None] + rng.normal(0, 25, (height, width, 3))
    return ramp.clip(0, 255).astype(np.uint8)


def at_once(generator: Enhancer, rgb: U8) -> U8:
    with torch.no_grad():
        enhanced = generator(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)
    pixels: U8 = (enhanced[0].permute(1, 2, 0).numpy().clip(0, 1) * 255).round().astype(np.uint8)
    return pixels


@pytest.mark.parametrize("strip_rows", [1, 3, 16, 1000])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (5, 3), (67, 45)])
def test_strips_equal_the_whole_photo(generator: Generator, height: int, width: int, strip_rows: int) -> None:
    rgb = photo(height, width)
    before = rgb.copy()
    difference = np.abs(enhance(generator, rgb, strip_rows=strip_rows).astype(int) - at_once(generator, rgb))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3 or difference.sum() <= 1  # only values on the edge between two levels
    assert np.array_equal(rgb, before)


@pytest.mark.parametrize("kind", ENHANCERS)
def test_every_architecture_enhances_a_photo(kind: str) -> None:
    network = ENHANCERS[kind](rng=torch.Generator().manual_seed(3))
    rgb = photo(21, 35)
    assert np.abs(enhance(network, rgb).astype(int) - at_once(network, rgb)).max() <= 1


def test_the_test_photo_would_show_seams(generator: Generator) -> None:
    """Were halves enhanced each by itself, the picture would be another one."""
    rgb = photo(64, 45)
    halves = np.concatenate([enhance(generator, rgb[:32]), enhance(generator, rgb[32:])])
    assert np.abs(halves.astype(int) - enhance(generator, rgb)).max() > 20


def test_the_authors_generator_gives_their_pixels(shared_data: Path) -> None:
    with np.load(shared_data / "reference" / "dped_step.npz") as reference:
        phones, expected = reference["phone"], reference["enhanced_iphone"]
    generator = load_generator(shared_data / "dped_models" / "iphone_orig")
    for rgb, truth in zip(phones, expected, strict=True):
        pixels = (truth.clip(0, 1) * 255).round()
        difference = np.abs(enhance(generator, rgb) - pixels)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_views_and_read_only_photos_are_fine(generator: Generator) -> None:
    rgb = photo(20, 24)
    mirrored = rgb[:, ::-1]
    mirrored.flags.writeable = False
    assert np.array_equal(enhance(generator, mirrored), enhance(generator, mirrored.copy()))


@pytest.mark.parametrize(
    "rgb",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 3))],
)
def test_other_arrays_are_refused(generator: Generator, rgb: U8) -> None:
    with pytest.raises(ValueError, match=r"expected an uint8 \[H, W, 3\]"):
        enhance(generator, rgb)
    with pytest.raises(ValueError, match="at least 1 row"):
        enhance(generator, photo(4, 4), strip_rows=0)
