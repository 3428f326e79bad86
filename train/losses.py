"""DPED's losses, as the authors' code computes them. Pure functions of tensors [B, C, H, W]; RGB lies in [0, 1].

They are not normalised alike (content and TV are means, texture is a sum, colour a sum per image): the weights of
`LossWeights` are made for exactly these.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor
from torch.nn import functional

from dpedkit.types import F64

_SMALLEST_PROBABILITY = 1e-10
_SMALLEST_ERROR = 1e-8
_BLUR_TAPS = 21
_BLUR_SIGMAS = 3.0  # the blur reaches this many sigmas to each side


@dataclass(frozen=True, slots=True)
class LossWeights:
    """What each term counts in the generator's loss; the defaults are the authors' code's, which has the first four."""

    content: float = 10.0
    texture: float = 1.0
    colour: float = 0.5
    tv: float = 2000.0
    pixel: float = 0.0
    l1: float = 0.0
    psnr: float = 0.0


@dataclass(frozen=True, slots=True)
class GeneratorLoss:
    """The generator's loss and its terms before weighting, a scalar each; a term of weight 0 is not computed, but 0."""

    total: Tensor
    content: Tensor
    texture: Tensor
    colour: Tensor
    tv: Tensor
    pixel: Tensor
    l1: Tensor
    psnr: Tensor


def generator_loss(
    enhanced: Tensor,
    dslr: Tensor,
    weights: LossWeights,
    *,
    features: Tensor | None = None,
    dslr_features: Tensor | None = None,
    probabilities: Tensor | None = None,
    share: float = 1.0,
) -> GeneratorLoss:
    """Return the generator's loss for a batch, or what a part of one adds to it: parts add up, and so do gradients.

    enhanced, dslr           [B, 3, H, W]
    features, dslr_features  [B, 512, h, w], VGG-19 relu5_4 of the two; only needed for content
    probabilities            [B, 2], the discriminator's verdict on `enhanced`; only needed for texture
    share                    of the batch that this is

    Raises:
        ValueError: a term counts, but what it is computed from is missing.
    """
    wanted = {name: weight for name, weight in asdict(weights).items() if weight}
    terms = dict.fromkeys(asdict(weights), enhanced.new_zeros(()))
    if "content" in wanted:
        if features is None or dslr_features is None:
            raise ValueError("the content loss needs the VGG features of both images")
        terms["content"] = content_loss(features, dslr_features)
    if "texture" in wanted:
        if probabilities is None:
            raise ValueError("the texture loss needs the discriminator's probabilities")
        terms["texture"] = texture_loss(probabilities)
    if "tv" in wanted:
        terms["tv"] = tv_loss(enhanced)
    for name, term in _AGAINST_DSLR.items():
        if name in wanted:
            terms[name] = term(enhanced, dslr)
    for name in wanted.keys() - _SUMS:
        terms[name] = share * terms[name]
    total = sum((weight * terms[name] for name, weight in wanted.items()), enhanced.new_zeros(()))
    return GeneratorLoss(total, **terms)


def discriminator_loss(probabilities: Tensor, is_dslr: Tensor) -> Tensor:
    """Return the cross entropy, summed over the batch.

    probabilities  [B, 2], class 0 = DSLR, class 1 = enhanced
    is_dslr        [B] bool, which patches came from the DSLR
    """
    right = torch.where(is_dslr, probabilities[:, 0], probabilities[:, 1])
    return -_log(right).sum()


def content_loss(features: Tensor, dslr_features: Tensor) -> Tensor:
    """Return the mean squared difference of two feature maps."""
    return functional.mse_loss(features.float(), dslr_features.float())


def texture_loss(probabilities: Tensor) -> Tensor:
    """Return the summed log-probability [B, 2] that the enhanced patches are seen through: negative, less is better."""
    return _log(probabilities[:, 1]).sum()


def colour_loss(enhanced: Tensor, dslr: Tensor) -> Tensor:
    """Return half the squared difference of the blurred images, summed over pixels and averaged over the batch."""
    difference = blur(enhanced.float() - dslr.float())  # blur is linear: once for both
    return difference.square().sum() / (2 * len(enhanced))


def pixel_loss(enhanced: Tensor, dslr: Tensor) -> Tensor:
    """Return the colour loss without its blur: details count too."""
    return (enhanced.float() - dslr.float()).square().sum() / (2 * len(enhanced))


def l1_loss(enhanced: Tensor, dslr: Tensor) -> Tensor:
    """Return the mean absolute difference."""
    return functional.l1_loss(enhanced.float(), dslr.float())


def psnr_loss(enhanced: Tensor, dslr: Tensor) -> Tensor:
    """Return minus the PSNR, dB, of each picture, averaged over the batch, as NAFNet is trained with."""
    error = (enhanced.float() - dslr.float()).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(error + _SMALLEST_ERROR).mean()


def tv_loss(enhanced: Tensor) -> Tensor:
    """Return the mean squared step between neighbours, down plus across."""
    rgb = enhanced.float()
    return rgb.diff(dim=2).square().mean() + rgb.diff(dim=3).square().mean()


_SUMS = {"texture"}  # over the batch; the other terms are means over it
_AGAINST_DSLR = {"colour": colour_loss, "pixel": pixel_loss, "l1": l1_loss, "psnr": psnr_loss}


def blur(x: Tensor) -> Tensor:
    """Blur [B, C, H, W] by the authors' 21 x 21 kernel, zeros beyond the edges."""
    channels = x.shape[1]
    row = torch.as_tensor(_blur_row(), dtype=x.dtype, device=x.device).expand(channels, 1, 1, -1)
    half = _BLUR_TAPS // 2
    across = functional.conv2d(x, row, padding=(0, half), groups=channels)
    return functional.conv2d(across, row.transpose(2, 3), padding=(half, 0), groups=channels)


@cache
def _blur_row() -> F64:
    """Return the kernel's row; the authors' square kernel is its outer product with itself.

    They take the root of a binned normal distribution's outer product, so the row is the root of the bins.
    """
    interval = (2 * _BLUR_SIGMAS + 1) / _BLUR_TAPS
    edges = np.linspace(-_BLUR_SIGMAS - interval / 2, _BLUR_SIGMAS + interval / 2, _BLUR_TAPS + 1)
    row: F64 = np.sqrt(np.diff(ndtr(edges)))
    row /= row.sum()
    return row


def _log(probability: Tensor) -> Tensor:
    return probability.float().clamp(_SMALLEST_PROBABILITY, 1.0).log()
