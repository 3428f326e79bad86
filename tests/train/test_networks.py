from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dpedkit.train.networks import (
    ENHANCERS,
    Csrnet,
    Discriminator,
    Enhancer,
    Generator,
    InstanceNorm,
    Nafnet,
    SameConv,
    Srcnn,
    to_gray,
)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_sizes_are_the_papers() -> None:
    assert parameters(Generator()) == 401_475
    assert parameters(Discriminator()) == 7_361_122
    assert parameters(Srcnn()) == 9 * 9 * 3 * 64 + 64 + 64 * 32 + 32 + 5 * 5 * 32 * 3 + 3
    assert parameters(Csrnet()) == 36_489


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (31, 20)])
def test_the_generator_takes_any_size(height: int, width: int) -> None:
    enhanced = Generator(width=4, blocks=1)(torch.rand(2, 3, height, width))
    assert enhanced.shape == (2, 3, height, width)
    assert enhanced.min() >= -0.08
    assert enhanced.max() <= 1.08


@pytest.mark.parametrize("kind", ENHANCERS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (31, 20)])
def test_every_enhancer_takes_any_size_and_draws_its_weights_from_the_given_generator(
    kind: str, height: int, width: int
) -> None:
    photos = torch.rand(2, 3, height, width)
    before = torch.get_rng_state()
    first, again, other = (ENHANCERS[kind](rng=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    enhanced = first(photos)
    assert enhanced.shape == photos.shape
    assert torch.equal(enhanced, again(photos))
    assert not torch.equal(enhanced, other(photos))


def spread(network: Enhancer) -> Enhancer:
    """Give weights of 0 others, so that everything a network is made of shows."""
    rng = torch.Generator().manual_seed(5)
    for weight in network.parameters():
        weight.data += torch.empty_like(weight).normal_(0, 0.05, generator=rng)
    return network.eval()


def test_csrnet_changes_every_pixel_alike_and_by_what_the_photo_shows() -> None:
    network = spread(Csrnet())
    photo = torch.rand(1, 3, 24, 24)
    told, other = network.look(photo), network.look(1 - photo)  # type: ignore[operator]
    mixed = photo.flatten(2)[:, :, torch.randperm(24 * 24)].view_as(photo)

    def retouch(rgb: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        for layer in range(3):
            rgb = network.retouch(layer, rgb, told)  # type: ignore[operator]
        return rgb

    torch.testing.assert_close(network(photo), retouch(photo, told))
    by_colour = [rgb.flatten(2)[0].T[photo_.flatten(2)[0, 0].argsort()] for rgb, photo_ in
                 ((retouch(photo, told), photo), (retouch(mixed, told), mixed))]  # fmt: skip
    torch.testing.assert_close(*by_colour)
    assert (retouch(photo, told) - retouch(photo, other)).abs().max() > 1e-3


def test_nafnet_is_the_photo_and_what_it_adds() -> None:
    """Padding to a whole number of halvings shows nowhere, and what is added does not hang on the photo's light."""
    network = spread(Nafnet(width=4, levels=2))
    network.ending.weight.data.zero_()
    network.ending.bias.data.fill_(0.25)
    photo = torch.rand(1, 3, 13, 18)
    torch.testing.assert_close(network(photo), photo + 0.25)


def test_nafnet_attends_to_the_whole_picture() -> None:
    network = spread(Nafnet(width=4, levels=2))
    photo = torch.rand(1, 3, 128, 128)
    changed = photo.clone()
    changed[:, :, :32, :32] = 1
    assert (network(photo) - network(changed)).abs()[:, :, -8:, -8:].max() > 1e-6


@pytest.mark.parametrize("patch_px", [100, 64, 33, 17])
def test_the_discriminator_takes_any_patch_size(patch_px: int) -> None:
    probabilities = Discriminator(patch_px, scale=0.125)(torch.rand(3, 1, patch_px, patch_px))
    assert probabilities.shape == (3, 2)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(3))


@pytest.mark.parametrize(("size", "kernel", "stride"), [(100, 11, 4), (25, 5, 2), (13, 3, 2), (12, 3, 2), (7, 3, 1)])
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    """Pad so that ceil(size / stride) windows fit, the odd zero at the end; then correlate by hand."""
    rng = np.random.default_rng(0)
    column, taps = rng.standard_normal(size).astype(np.float32), rng.standard_normal(kernel).astype(np.float32)
    count = -(-size // stride)
    padding = (count - 1) * stride + kernel - size
    padded = np.pad(column, (padding // 2, padding - padding // 2))
    expected = [padded[start * stride :][:kernel] @ taps for start in range(count)]

    conv = SameConv(1, 1, kernel, stride)
    with torch.no_grad():
        conv.weight.zero_()[0, 0, :, kernel // 2 if stride == 1 else 0] = torch.from_numpy(taps)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        image = torch.from_numpy(column)[None, None, :, None].expand(-1, -1, -1, size)
        result = conv(image)
    assert result.shape == (1, 1, count, count)
    np.testing.assert_allclose(result[0, 0, :, count // 2], expected, atol=1e-5)


def test_instance_norm_matches_torchs_and_keeps_channels_last() -> None:
    norm = InstanceNorm(5)
    theirs = nn.InstanceNorm2d(5, eps=1e-3, affine=True)
    with torch.no_grad():
        theirs.weight.copy_(norm.scale.uniform_())
        theirs.bias.copy_(norm.shift.uniform_())
    x = (torch.rand(2, 5, 7, 6) * 3 + 10).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(norm(x), theirs(x), rtol=0, atol=1e-5)
    assert norm(x).is_contiguous(memory_format=torch.channels_last)
    assert norm(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("make", [Generator, Discriminator])
def test_initial_weights_come_from_the_given_generator_alone(make: type[Generator | Discriminator]) -> None:
    before = torch.get_rng_state()
    first, again, other = (make(rng=torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name, weight in first.items():
        if weight.ndim > 1:
            assert not torch.equal(weight, other[name])
            assert weight.abs().max() <= 0.02  # cut at two sigma
            assert weight.std() == pytest.approx(0.0088, rel=0.05)  # which leaves this of sigma 0.01
        else:
            assert (weight == (0.01 if "bias" in name else float("scale" in name))).all()


def test_gray_is_the_authors_luma() -> None:
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])[:, :, None, None]
    torch.testing.assert_close(to_gray(colours).flatten(), torch.tensor([0.2989, 0.5870, 0.1140]))
