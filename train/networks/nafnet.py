"""NAFNet (Chen et al., Simple Baselines for Image Restoration, ECCV 2022): a U-Net without activations, kept small.

Instead of ReLUs, half of the channels multiply the other half; attention is one mean per channel over the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.networks.enhancer import Enhancer
from dpedkit.train.networks.layers import Conv, in_float32, initialise_uniformly

_EPS = 1e-6


def _called(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return conv(x)  # type: ignore[no-any-return]


class Nafnet(Enhancer):
    """A block on every level down, some in the middle, a block on every level up; the photo is added at the end.

    width   channels at full size; each level down has twice as many
    levels  times that the picture is halved
    middle  blocks at the smallest size
    rng     source of the initial weights; without one, a fresh generator seeded 0
    """

    kind = "nafnet"
    depths = ("levels", "middle")

    def __init__(
        self, width: int = 16, levels: int = 3, middle: int = 1, *, rng: torch.Generator | None = None
    ) -> None:
        super().__init__(width=width, levels=levels, middle=middle)
        channels = [width * 2**level for level in range(levels)]
        self.intro = Conv(3, width, 3, padding=1)
        self.encoders = nn.ModuleList([NafBlock(count) for count in channels])
        self.downs = nn.ModuleList([Conv(count, 2 * count, 2, stride=2) for count in channels])
        self.middle = nn.Sequential(*(NafBlock(width * 2**levels) for _ in range(middle)))
        self.ups = nn.ModuleList([Conv(2 * count, 4 * count, 1, bias=False) for count in reversed(channels)])
        self.decoders = nn.ModuleList([NafBlock(count) for count in reversed(channels)])
        self.ending = Conv(width, 3, 3, padding=1)
        initialise_uniformly(self, rng)

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the enhanced [B, 3, H, W]; a side that cannot be halved so often is padded with zeros meanwhile."""
        height, width = rgb.shape[2:]
        step = 2 ** len(self.downs)
        x = self.intro(functional.pad(rgb, (0, -width % step, 0, -height % step)))
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(functional.pixel_shuffle(up(x), 2) + skips.pop())
        enhanced: Tensor = in_float32(self.ending, x)[:, :, :height, :width] + rgb
        return enhanced


class NafBlock(nn.Module):
    """The paper's block: depthwise convolution, gate and attention, then gate and mixing; each weighed from 0 on."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = LayerNorm(channels), LayerNorm(channels)
        self.widen1, self.widen2 = Conv(channels, 2 * channels, 1), Conv(channels, 2 * channels, 1)
        self.depthwise = Conv(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.attend = Conv(channels, channels, 1)
        self.mix1, self.mix2 = Conv(channels, channels, 1), Conv(channels, channels, 1)
        self.beta, self.gamma = (nn.Parameter(torch.zeros(channels, 1, 1)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Refine [B, C, H, W]."""
        h = gate(self.depthwise(self.widen1(self.norm1(x))))
        return self.finish(x, h * self.attend(h.mean(dim=(2, 3), keepdim=True)))

    def finish(self, x: Tensor, attended: Tensor, run: Callable[[nn.Conv2d, Tensor], Tensor] = _called) -> Tensor:
        """Return the block's output for its input and what attention left of what the first half made of it.

        run  computes one of its convolutions
        """
        x = x + self.beta * run(self.mix1, attended)
        return x + self.gamma * run(self.mix2, gate(run(self.widen2, self.norm2(x))))


class LayerNorm(nn.Module):
    """Normalise the channels of each pixel of [B, C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, H, W], in the memory layout of `x`."""
        rows = functional.layer_norm(x.permute(0, 2, 3, 1), (len(self.scale),), self.scale, self.shift, _EPS)
        return rows.permute(0, 3, 1, 2)


def gate(x: Tensor) -> Tensor:
    """Multiply one half of the channels by the other."""
    one, other = x.chunk(2, dim=1)
    return one * other
