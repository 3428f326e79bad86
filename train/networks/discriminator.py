"""The discriminator of DPED (Ignatov et al., ICCV 2017), as the authors' code builds it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.networks.layers import InstanceNorm, Linear, SameConv, in_float32, initialise

_CHANNELS = (48, 128, 192, 192, 128)  # of the convolutions
_KERNELS = (11, 5, 3, 3, 3)
_STRIDES = (4, 2, 1, 1, 2)
_HIDDEN = 1024
_LEAK = 0.2


class Discriminator(nn.Module):
    """Tells DSLR patches from enhanced ones by their gray values alone.

    With its default size, DPED's: 7,361,122 parameters.

    patch_px  side of the square patches
    scale     multiplies the width of every hidden layer
    rng       source of the initial weights; without one, a fresh generator seeded 0
    """

    def __init__(self, patch_px: int = 100, scale: float = 1.0, *, rng: torch.Generator | None = None) -> None:
        super().__init__()
        channels = [max(1, round(scale * count)) for count in _CHANNELS]
        hidden = max(1, round(scale * _HIDDEN))
        self.convs = nn.ModuleList(
            [
                SameConv(inputs, outputs, kernel, stride)
                for inputs, outputs, kernel, stride in zip([1, *channels], channels, _KERNELS, _STRIDES, strict=False)
            ]
        )
        self.norms = nn.ModuleList([InstanceNorm(count) for count in channels[1:]])
        side = patch_px
        for stride in _STRIDES:
            side = math.ceil(side / stride)
        self.hidden = Linear(channels[-1] * side * side, hidden)
        self.verdict = Linear(hidden, 2)
        initialise(self, rng)

    def forward(self, gray: Tensor) -> Tensor:
        """Return probabilities [B, 2] for gray patches [B, 1, S, S]: class 0 = DSLR, class 1 = enhanced."""
        x = functional.leaky_relu_(self.convs[0](gray), _LEAK)
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            x = norm(functional.leaky_relu_(conv(x), _LEAK))
        x = x.permute(0, 2, 3, 1).flatten(1)  # rows, columns, channels: the order of the authors' matrix
        x = functional.leaky_relu_(self.hidden(x), _LEAK)
        return torch.softmax(in_float32(self.verdict, x), dim=1)


def to_gray(rgb: Tensor) -> Tensor:
    """Return the luma [B, 1, H, W] of [B, 3, H, W], with the authors' weights."""
    gray: Tensor = 0.2989 * rgb[:, :1] + 0.5870 * rgb[:, 1:2] + 0.1140 * rgb[:, 2:]
    return gray
