from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from scipy.stats import norm

from dpedkit.train.losses import (
    LossWeights,
    blur,
    colour_loss,
    content_loss,
    discriminator_loss,
    generator_loss,
    l1_loss,
    psnr_loss,
    texture_loss,
    tv_loss,
)


def images(seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((2, 3, 30, 24), dtype=np.float32))


def test_blur_is_the_square_kernel_over_zeros() -> None:
    """The authors' recipe, without its separation: the root of the outer product of a binned normal, normalised."""
    bins = np.diff(norm.cdf(np.linspace(-3 - 1 / 6, 3 + 1 / 6, 22)))
    kernel = np.sqrt(np.outer(bins, bins))
    kernel /= kernel.sum()
    image = images(0)
    expected = convolve2d(image[1, 2].numpy().astype(np.float64), kernel, mode="same")
    np.testing.assert_allclose(blur(image)[1, 2], expected, atol=1e-6)


def test_colour_compares_blurred_images() -> None:
    first, second = images(0), images(1)
    expected = (blur(first) - blur(second)).square().sum() / 4
    torch.testing.assert_close(colour_loss(first, second), expected)


def test_l1_is_a_mean_and_psnr_one_of_each_picture() -> None:
    dslr = torch.full((2, 3, 5, 4), 0.5)
    enhanced = dslr + torch.tensor([0.1, -0.01])[:, None, None, None]
    assert l1_loss(enhanced, dslr).item() == pytest.approx(0.055)
    assert psnr_loss(enhanced, dslr).item() == pytest.approx(-(20 + 40) / 2, abs=1e-3)
    assert torch.isfinite(psnr_loss(dslr, dslr))


def test_tv_adds_the_mean_squared_steps_of_both_directions() -> None:
    ramp = torch.zeros(1, 3, 5, 4) + 0.1 * torch.arange(5)[:, None] + 0.2 * torch.arange(4)
    assert tv_loss(ramp).item() == pytest.approx(0.1**2 + 0.2**2)


def test_content_is_a_mean_and_texture_a_sum() -> None:
    assert content_loss(torch.full((2, 4, 3, 3), 2.0), torch.full((2, 4, 3, 3), 5.0)).item() == 9.0
    probabilities = torch.tensor([[0.5, 0.5], [0.75, 0.25]])
    assert texture_loss(probabilities).item() == pytest.approx(np.log(0.5) + np.log(0.25))


def test_the_discriminator_is_charged_for_the_class_it_missed() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    loss = discriminator_loss(probabilities, torch.tensor([True, True]))
    assert loss.item() == pytest.approx(-np.log(0.9) - np.log(0.2))


def test_a_certain_discriminator_gives_finite_losses_and_gradients() -> None:
    probabilities = torch.tensor([[1.0, 0.0]], requires_grad=True)
    texture_loss(probabilities).backward()
    discriminator_loss(probabilities, torch.tensor([False])).backward()
    assert texture_loss(probabilities).item() == pytest.approx(np.log(1e-10))
    assert probabilities.grad is not None
    assert torch.isfinite(probabilities.grad).all()


def test_the_total_weighs_the_terms() -> None:
    features = torch.rand(2, 8, 2, 2)
    weights = LossWeights(content=3, texture=5, colour=7, tv=11)
    loss = generator_loss(
        images(0),
        images(1),
        weights,
        features=features,
        dslr_features=features + 1,
        probabilities=torch.full((2, 2), 0.5),
    )
    expected = 3 * loss.content + 5 * loss.texture + 7 * loss.colour + 11 * loss.tv
    torch.testing.assert_close(loss.total, expected)
    assert loss.content.item() == pytest.approx(1.0)
