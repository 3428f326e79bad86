"""The generator and the discriminator of DPED (Ignatov et al., ICCV 2017), as the authors' code builds them.

Where the paper and the code differ (the paper says batch norm, the code has instance norm), the code holds.
Tensors are [B, C, H, W]; RGB lies in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.types import F64

_CHANNELS = (48, 128, 192, 192, 128)  # of the discriminator's convolutions
_KERNELS = (11, 5, 3, 3, 3)
_STRIDES = (4, 2, 1, 1, 2)
_HIDDEN = 1024
_LEAK = 0.2
SPREAD, MIDDLE = 0.58, 0.5  # pixels are tanh(x) * SPREAD + MIDDLE
_WIDEST = 4096  # generator that a weight file may ask for


class SameConv(nn.Conv2d):
    """A convolution padded with zeros as TensorFlow's SAME does: n px become ceil(n / stride).

    Its parameters are empty until `initialise` or a weight file fills them, so that building a network draws nothing
    from PyTorch's global generator.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0)

    def reset_parameters(self) -> None:
        """Leave the parameters alone."""

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
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), correction=0, keepdim=True)
        return self.normalise(x, mean, variance)

    def normalise(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise [B, C, H, W] by statistics that were taken elsewhere, [B, C, 1, 1] each."""
        gain = self.scale[:, None, None] * torch.rsqrt(variance + self.eps)
        return ((x - mean) * gain + self.shift[:, None, None]).to(x.dtype)


class Block(nn.Module):
    """A residual block of the generator. Its second ReLU comes before the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = SameConv(width, width, 3)
        self.norm1 = InstanceNorm(width)
        self.conv2 = SameConv(width, width, 3)
        self.norm2 = InstanceNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Refine [B, width, H, W]."""
        h = functional.relu(self.norm1(self.conv1(x)))
        h = functional.relu(self.norm2(self.conv2(h)))
        return h + x


class Generator(nn.Module):
    """Phone photo in, enhanced photo out; any size. With its default size, DPED's: 401,475 parameters.

    width   channels of every hidden layer
    blocks  number of residual blocks
    rng     source of the initial weights; without one, a fresh generator seeded 0
    """

    def __init__(self, width: int = 64, blocks: int = 4, *, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.width = width
        self.head = SameConv(3, width, 9)
        self.blocks = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.refine1 = SameConv(width, width, 3)
        self.refine2 = SameConv(width, width, 3)
        self.to_rgb = SameConv(width, 3, 9)
        initialise(self, rng)

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the enhanced [B, 3, H, W]; values may leave [0, 1] by up to 0.08."""
        x = functional.relu(self.head(rgb))
        for block in self.blocks:
            x = block(x)
        x = functional.relu(self.refine1(x))
        x = functional.relu(self.refine2(x))
        return self.squash(self.to_rgb(x))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], width: int, blocks: int) -> Generator:
        """Return the generator of this size that holds these weights, ready to enhance.

        Raises:
            ValueError: the weights are not those of such a generator, or not finite; says which.
        """
        if not (1 <= width <= _WIDEST and 0 <= blocks <= len(state)):
            raise ValueError(f"a generator of width {width} with {blocks} blocks cannot be")
        with torch.device("meta"):  # costs no memory, whatever size a foreign file claims
            generator = cls(width, blocks)
        expected = generator.state_dict()
        if odd := sorted(expected.keys() ^ state.keys()):
            raise ValueError(f"{odd[0]} is {'missing' if odd[0] in expected else 'unknown'}")
        for name, weight in expected.items():
            if state[name].shape != weight.shape:
                raise ValueError(f"{name} has shape {list(state[name].shape)} instead of {list(weight.shape)}")
            if not torch.isfinite(state[name]).all():
                raise ValueError(f"{name} is not finite")
        generator.load_state_dict({name: weight.float().clone() for name, weight in state.items()}, assign=True)
        return generator.eval().requires_grad_()

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        """Map the last layer's values to pixels."""
        return torch.tanh(x) * SPREAD + MIDDLE


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
        self.hidden = _Linear(channels[-1] * side * side, hidden)
        self.verdict = _Linear(hidden, 2)
        initialise(self, rng)

    def forward(self, gray: Tensor) -> Tensor:
        """Return probabilities [B, 2] for gray patches [B, 1, S, S]: class 0 = DSLR, class 1 = enhanced."""
        x = functional.leaky_relu(self.convs[0](gray), _LEAK)
        for conv, norm in zip(self.convs[1:], self.norms, strict=True):
            x = norm(functional.leaky_relu(conv(x), _LEAK))
        x = x.permute(0, 2, 3, 1).flatten(1)  # rows, columns, channels: the order of the authors' matrix
        x = functional.leaky_relu(self.hidden(x), _LEAK)
        return torch.softmax(self.verdict(x).float(), dim=1)


class _Linear(nn.Linear):
    """A matrix and a bias, empty until `initialise` or a weight file fills them."""

    def reset_parameters(self) -> None:
        """Leave the parameters alone."""


def to_gray(rgb: Tensor) -> Tensor:
    """Return the luma [B, 1, H, W] of [B, 3, H, W], with the authors' weights."""
    gray: Tensor = 0.2989 * rgb[:, :1] + 0.5870 * rgb[:, 1:2] + 0.1140 * rgb[:, 2:]
    return gray


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


@torch.no_grad()
def start_from_photo(generator: Generator, rng: torch.Generator) -> None:
    """Set weights with which the generator returns nearly the photo it is given, for training to improve on.

    The first three channels carry red, green and blue through every layer; what the others compute is drawn from `rng`
    (He et al., 2015, more weakly in the refining layers) and counts only once `to_rgb` learns to look at it.
    """
    for module in generator.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
            nn.init.zeros_(module.get_parameter("bias"))
        elif isinstance(module, Block):
            nn.init.constant_(module.norm2.scale, 0.1)
    for refine in (generator.refine1, generator.refine2):
        refine.weight *= 0.3
    for carrier in (generator.head, generator.refine1, generator.refine2):
        carrier.weight[:3] = 0
    for refine in (generator.refine1, generator.refine2):
        refine.weight += nn.init.dirac_(torch.empty_like(refine.weight))
    generator.head.weight[:3] += nn.init.dirac_(torch.empty_like(generator.head.weight[:3]))
    nn.init.dirac_(generator.to_rgb.weight).div_(SPREAD)  # tanh(x) is nearly x
    nn.init.constant_(generator.to_rgb.get_parameter("bias"), -MIDDLE / SPREAD)


def mix_colours(generator: Generator, matrix: F64, offset: F64) -> None:
    """Let a generator that returns the photo it is given return `matrix @ rgb + offset` instead, nearly.

    matrix  [3, 3], rows are the outputs
    offset  [3], on the [0, 1] scale
    """
    centre = generator.to_rgb.kernel_size[0] // 2
    with torch.no_grad():  # tanh(x) is nearly x
        generator.to_rgb.weight[:, :3, centre, centre] = torch.from_numpy(matrix / SPREAD)
        generator.to_rgb.get_parameter("bias").copy_(torch.from_numpy((offset - MIDDLE) / SPREAD))


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding before and after `size` px; the odd pixel goes after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
