"""LPIPS 0.1 with AlexNet: how different two pictures look to a network that was trained to tell what is on them.

Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, CVPR 2018: at five layers, the
features of each place are divided by their length; squared differences are weighted per channel and averaged over the
picture, and the layers summed. The channels' weights were fitted to people's judgements. Shift and scale of the input
are those of the authors' package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.errors import CorpusError, WeightsError
from dpedkit.files import sha256_file
from dpedkit.train.batches import to_tensor
from dpedkit.train.tensor_files import read_tensors
from dpedkit.types import F64, U8

SMALLEST_PX = 31
"""Of a smaller picture nothing would be left at AlexNet's third layer."""

_CONVS = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))
# channels, side, stride, padding of each convolution (Krizhevsky, One weird trick, 2014, as torchvision has it)
_ALEXNET_LAYERS = (0, 3, 6, 8, 10)  # "features.N" of each convolution
_POOLED = (1, 2)  # convolutions before which the picture is halved
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # for RGB in [-1, 1]
_AT_ONCE = 64  # pictures
_REMEDY = (
    "give torchvision's file (https://download.pytorch.org/models/alexnet-owt-7be5be79.pth) and weights/v0.1/alex.pth "
    "of the lpips package, as --lpips ALEXNET LINEAR"
)


class Lpips(nn.Module):
    """The distance, with fixed weights.

    words  whose weights they are: the files' names, and how their SHA-256 begin
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words
        inputs = 3
        self.convs, self.channels = nn.ModuleList(), nn.ParameterList()
        for channels, side, stride, padding in _CONVS:
            self.convs.append(nn.Conv2d(inputs, channels, side, stride, padding))
            self.channels.append(nn.Parameter(torch.zeros(1, channels, 1, 1)))
            inputs = channels
        self.register_buffer("shift", Tensor(_SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", Tensor(_SCALE).view(3, 1, 1), persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance [B] of each picture of [B, 3, H, W] in [0, 1] from its twin."""
        distance = torch.zeros(len(a), device=a.device)
        for weight, x, y in zip(self.channels, self._features(a), self._features(b), strict=True):
            distance = distance + (weight * (x - y).square()).sum(dim=1).mean(dim=(1, 2))
        return distance

    def _features(self, rgb: Tensor) -> Iterator[Tensor]:
        """Yield the features of each layer, of length 1 at every place."""
        x = (2 * rgb - 1 - self.shift) / self.scale
        for layer, conv in enumerate(self.convs):
            if layer in _POOLED:
                x = functional.max_pool2d(x, 3, 2)
            x = functional.relu(conv(x))
            yield x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)

    @torch.no_grad()
    def measure(self, a: U8, b: U8) -> F64:
        """Return the distance [B] of each picture of [B, H, W, 3] from its twin; 0 where equal.

        Raises:
            CorpusError: the pictures are smaller than 31 px.
        """
        if min(a.shape[1:3]) < SMALLEST_PX:
            raise CorpusError(
                f"LPIPS needs pictures of {SMALLEST_PX} px, these have {a.shape[1]} x {a.shape[2]} px",
                "leave --lpips out, or cut larger patches: `dpedkit build-patches --size 100`",
            )
        starts, device = range(0, len(a), _AT_ONCE), self.shift.device
        parts = [(a[start : start + _AT_ONCE], b[start : start + _AT_ONCE]) for start in starts]
        found = [self(to_tensor(ours, device), to_tensor(theirs, device)).cpu() for ours, theirs in parts]
        distances: F64 = torch.cat(found).numpy().astype(np.float64)
        return distances


def load_lpips(alexnet: Path, linear: Path) -> Lpips:
    """Return LPIPS with AlexNet's weights and its own, each a .pth or .safetensors file.

    alexnet  with torchvision's names
    linear   what its authors fitted, with their names: weights/v0.1/alex.pth of the lpips package

    Raises:
        WeightsError: a file is missing, truncated or foreign.
    """
    for path in (alexnet, linear):
        if not path.is_file():
            raise WeightsError(f"no LPIPS weights at {path}", _REMEDY)
    words = ", ".join(f"{path.name} {sha256_file(path)[:8]}" for path in (alexnet, linear))
    lpips = Lpips(words)
    state: dict[str, Tensor] = {}
    for path, names in ((alexnet, _alexnet_names()), (linear, _linear_names())):
        try:
            tensors = read_tensors(path)
            state |= {ours: _checked(tensors[theirs], lpips.state_dict()[ours]) for ours, theirs in names.items()}
        except KeyError as error:
            raise WeightsError(f"{path} does not hold LPIPS's weights: no {error}", _REMEDY) from error
        except Exception as error:  # torch and safetensors raise whatever comes on a damaged file
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise WeightsError(f"{path} does not hold LPIPS's weights: {reason}", _REMEDY) from error
    lpips.load_state_dict(state)
    return lpips.eval().requires_grad_(requires_grad=False)


def _alexnet_names() -> dict[str, str]:
    parts = ("weight", "bias")
    return {f"convs.{i}.{part}": f"features.{n}.{part}" for i, n in enumerate(_ALEXNET_LAYERS) for part in parts}


def _linear_names() -> dict[str, str]:
    return {f"channels.{layer}": f"lin{layer}.model.1.weight" for layer in range(len(_CONVS))}


def _checked(weight: Tensor, expected: Tensor) -> Tensor:
    if weight.shape != expected.shape or not torch.isfinite(weight).all():
        raise ValueError(f"{list(expected.shape)} finite numbers should be where it has {list(weight.shape)}")
    return weight.float()
