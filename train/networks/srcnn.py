"""SRCNN (Dong et al., Image Super-Resolution Using Deep Convolutional Networks, TPAMI 2016): three convolutions.

A re-implementation of what the DPED paper calls "Dong et al.": 9-1-5 with 64 and 32 channels, here on RGB and padded
with zeros, so that the picture keeps its size. The DPED paper does not say how it was trained; see the recipe.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.train.networks.enhancer import Enhancer
from dpedkit.train.networks.layers import SameConv, in_float32

_SIGMA = 1e-3  # of the first weights, as in the paper


class Srcnn(Enhancer):
    """Patch extraction, mapping, reconstruction: 20,099 parameters.

    rng  source of the initial weights; without one, a fresh generator seeded 0
    """

    kind = "srcnn"

    def __init__(self, *, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.extract, self.map, self.rebuild = SameConv(3, 64, 9), SameConv(64, 32, 1), SameConv(32, 3, 5)
        rng = torch.Generator().manual_seed(0) if rng is None else rng
        for conv in (self.extract, self.map, self.rebuild):
            nn.init.normal_(conv.weight, std=_SIGMA, generator=rng)
            nn.init.zeros_(conv.get_parameter("bias"))

    def forward(self, rgb: Tensor) -> Tensor:
        """Return the enhanced [B, 3, H, W]."""
        x = functional.relu_(self.extract(rgb))
        return in_float32(self.rebuild, functional.relu_(self.map(x)))
