"""The generator of DPED (Ignatov et al., ICCV 2017), as the authors' code builds it.

Where the paper and the code differ (the paper says batch norm, the code has instance norm), the code holds.
Tensors are [B, C, H, W]; RGB lies in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.networks.enhancer import Enhancer
from dpedkit.train.networks.layers import InstanceNorm, SameConv, in_float32, initialise
from dpedkit.types import F64

SPREAD, MIDDLE = 0.58, 0.5  # pixels are tanh(x) * SPREAD + MIDDLE


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
        h = functional.relu_(self.norm1(self.conv1(x)))
        h = functional.relu_(self.norm2(self.conv2(h)))
        return h + x


class Generator(Enhancer):
    """Phone photo in, enhanced photo out; any size. With its default size, DPED's: 401,475 parameters.

    width   channels of every hidden layer
    blocks  number of residual blocks
    rng     source of the initial weights; without one, a fresh generator seeded 0
    """

    kind = "dped"
    depths = ("blocks",)

    def __init__(self, width: int = 64, blocks: int = 4, *, rng: torch.Generator | None = None) -> None:
        super().__init__(width=width, blocks=blocks)
        self.head = SameConv(3, width, 9)
        self.blocks = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.refine1 = SameConv(width, width, 3)
        self.refine2 = SameConv(width, width, 3)
        self.to_rgb = SameConv(width, 3, 9)
        initialise(self, rng)

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the enhanced [B, 3, H, W]; values may leave [0, 1] by up to 0.08."""
        x = functional.relu_(self.head(rgb))
        for block in self.blocks:
            x = block(x)
        x = functional.relu_(self.refine1(x))
        x = functional.relu_(self.refine2(x))
        return self.squash(in_float32(self.to_rgb, x))

    @staticmethod
    def squash(x: Tensor) -> Tensor:
        """Map the last layer's values to pixels."""
        return torch.tanh(x) * SPREAD + MIDDLE


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
