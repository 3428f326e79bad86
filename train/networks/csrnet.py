"""CSRNet (He et al., Conditional Sequential Modulation for Efficient Global Image Retouching, ECCV 2020).

Three 1x1 convolutions retouch every pixel alike; a small network looks at the whole photo and tells each of them, by a
gain and an offset per channel, how. It changes colour and light, never structure: nothing that it does knows where a
pixel's neighbours are.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.networks.enhancer import Enhancer
from dpedkit.train.networks.layers import Conv, Linear, in_float32, initialise_uniformly

_SMALLEST_PX = 5  # that the first convolution can look at


class Csrnet(Enhancer):
    """With its default size, the paper's: 36,489 parameters.

    width      channels of the hidden layers that retouch
    condition  channels of the network that looks, and values that it tells
    rng        source of the initial weights; without one, a fresh generator seeded 0
    """

    kind = "csrnet"

    def __init__(self, width: int = 64, condition: int = 32, *, rng: torch.Generator | None = None) -> None:
        super().__init__(width=width, condition=condition)
        self.looks = nn.ModuleList(
            [
                Conv(inputs, condition, kernel, stride=2, padding=1)
                for inputs, kernel in ((3, 7), (condition, 3), (condition, 3))
            ]
        )
        channels = (3, width, width, 3)
        self.retouches = nn.ModuleList([Conv(*each, 1) for each in pairwise(channels)])
        self.gains = nn.ModuleList([Linear(condition, count) for count in channels[1:]])
        self.offsets = nn.ModuleList([Linear(condition, count) for count in channels[1:]])
        initialise_uniformly(self, rng)

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the enhanced [B, 3, H, W]."""
        told = self.look(rgb)
        for layer in range(len(self.retouches)):
            rgb = self.retouch(layer, rgb, told)
        return rgb

    def look(self, rgb: Tensor) -> Tensor:
        """Return what the whole picture [B, 3, H, W] tells: [B, condition]."""
        height, width = rgb.shape[2:]
        rgb = functional.pad(rgb, (0, max(0, _SMALLEST_PX - width), 0, max(0, _SMALLEST_PX - height)))
        for conv in self.looks:
            rgb = functional.relu_(conv(rgb))
        return rgb.float().mean(dim=(2, 3))

    def retouch(self, layer: int, x: Tensor, told: Tensor) -> Tensor:
        """Run one of the 1x1 convolutions; all but the last end with a ReLU."""
        last = layer + 1 == len(self.retouches)
        conv = self.retouches[layer]
        return self.modulate(layer, in_float32(conv, x) if last else conv(x), told)

    def modulate(self, layer: int, x: Tensor, told: Tensor) -> Tensor:
        """Change what that convolution has made, as the whole picture tells."""
        gain, offset = self.gains[layer](told)[:, :, None, None], self.offsets[layer](told)[:, :, None, None]
        x = x * gain + offset + x
        return x if layer + 1 == len(self.retouches) else functional.relu_(x)
