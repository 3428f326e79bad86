"""Layers that several networks are made of, and what they hold before training. Tensors are [B, C, H, W]."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_PIXELS = (2, 3)  # of [B, C, H, W]


class Conv(nn.Conv2d):
    """A convolution whose parameters are empty until they are drawn or read from a file.

    Building a network then draws nothing from PyTorch's global generator.
    """

    def reset_parameters(self) -> None:
        """Leave the parameters alone."""


class SameConv(Conv):
    """A convolution padded with zeros as TensorFlow's SAME does: n px become ceil(n / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve [B, C, H, W]."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return super().forward(input)
        height, width = input.shape[2:]
        rows, columns = _same_padding(height, kernel, stride), _same_padding(width, kernel, stride)
        return super().forward(functional.pad(input, (*columns, *rows)))


class InstanceNorm(nn.Module):
    """Instance normalisation with biased variance, scale and shift; statistics in float32.

    `nn.InstanceNorm2d` returns to contiguous memory; this keeps channels_last.
    """

    eps = 1e-3

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each image and channel of [B, C, H, W] over its pixels."""
        if torch.compiler.is_exporting():  # the operator that other programs know
            return functional.instance_norm(x, weight=self.scale, bias=self.shift, eps=self.eps)
        return _InstanceNorm.apply(x, self.scale, self.shift, self.eps)  # type: ignore[no-any-return, no-untyped-call]

    def normalise(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise [B, C, H, W] by statistics that were taken elsewhere, [B, C, 1, 1] each."""
        gain = self.scale[:, None, None] * torch.rsqrt(variance + self.eps)
        return ((x - mean) * gain + self.shift[:, None, None]).to(x.dtype)


class _InstanceNorm(torch.autograd.Function):
    """What `InstanceNorm` computes, with its gradient written out (Ioffe and Szegedy, 2015, section 3).

    Derived by PyTorch, the gradient takes three times as long and keeps a second map. Maps are changed in place where
    nobody else has them: a new one costs as much time as the arithmetic.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
        mean = _mean(x)
        centred = x - mean
        deviation = torch.rsqrt(_mean(centred.square()) + eps)
        ctx.save_for_backward(x, mean, deviation, scale)
        return centred.mul_(scale[:, None, None] * deviation).add_(shift[:, None, None]).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, mean, deviation, scale = ctx.saved_tensors
        gradient = gradient.float()
        normal = (x - mean).mul_(deviation)
        by_shift = gradient.mean(dim=_PIXELS, keepdim=True)
        by_scale = (gradient * normal).mean(dim=_PIXELS, keepdim=True)
        by_x = (gradient - by_shift).sub_(normal.mul_(by_scale)).mul_(scale[:, None, None] * deviation)
        pixels = x.shape[2] * x.shape[3]
        return by_x.to(x.dtype), by_scale.sum(dim=0).flatten() * pixels, by_shift.sum(dim=0).flatten() * pixels, None


def _mean(x: Tensor) -> Tensor:
    """Return the mean over the pixels of [B, C, H, W] as [B, C, 1, 1], float32: of each row, then of rows in float64.

    Twice, for mean and variance, it takes an eighth of the time of torch.var_mean, which has no vector code for
    channels last; one sum over all pixels in float32 would be less exact.
    """
    batch, channels, height, width = x.shape
    exact = torch.float32 if x.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    rows = x.permute(0, 2, 3, 1).reshape(batch * height, width, channels).sum(dim=1, dtype=torch.float32)
    mean = rows.view(batch, height, channels).sum(dim=1, dtype=exact) / (height * width)
    return mean.float()[:, :, None, None]


class Linear(nn.Linear):
    """A matrix and a bias, empty until `initialise` or a weight file fills them."""

    def reset_parameters(self) -> None:
        """Leave the parameters alone."""


def in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """Run a network's last layer: in float32, also where autocast lets the others run in bfloat16.

    A pixel has 256 levels, and bfloat16 has no more between 0.5 and 1 than 128.
    """
    if not torch.is_autocast_enabled(x.device.type):
        return layer(x)  # type: ignore[no-any-return]
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())  # type: ignore[no-any-return]


def initialise(network: nn.Module, rng: torch.Generator | None = None) -> None:
    """Draw every kernel and matrix from a normal of sigma 0.01 cut at 2 sigma; biases 0.01, scales 1, shifts 0."""
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02, generator=rng)
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.01)
        elif isinstance(module, InstanceNorm):
            nn.init.ones_(module.scale)
            nn.init.zeros_(module.shift)


def initialise_uniformly(network: nn.Module, rng: torch.Generator | None = None) -> None:
    """Draw kernels and matrices as PyTorch's own layers do (He et al., 2015, leak sqrt(5)); biases 0."""
    rng = torch.Generator().manual_seed(0) if rng is None else rng
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding before and after `size` px; the odd pixel goes after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
