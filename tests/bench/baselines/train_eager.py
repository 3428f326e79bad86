"""DPED's networks and one iteration of its training, as a plain port to eager PyTorch writes them.

The same arithmetic as dpedkit.train, without care for cost: VGG's weights gather gradients that nobody reads, the DSLR
patches' features and the other network's weights too, both images are blurred by the whole square kernel, and memory is
laid out as PyTorch lays it out.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.types import U8

_VGG = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512)
_MEAN = (123.68, 116.779, 103.939)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(64, 64, 3, padding=1), nn.InstanceNorm2d(64, eps=1e-3, affine=True)
        self.conv2, self.norm2 = nn.Conv2d(64, 64, 3, padding=1), nn.InstanceNorm2d(64, eps=1e-3, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(h))) + x


class Generator(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 64, 9, padding=4),
            nn.ReLU(),
            *[Block() for _ in range(4)],
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 3, 9, padding=4),
            nn.Tanh(),
        )

    def forward(self, rgb: Tensor) -> Tensor:
        return super().forward(rgb) * 0.58 + 0.5


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(1, 48, 11, stride=4),
                nn.Conv2d(48, 128, 5, stride=2, padding=2),
                nn.Conv2d(128, 192, 3, padding=1),
                nn.Conv2d(192, 192, 3, padding=1),
                nn.Conv2d(192, 128, 3, stride=2, padding=1),
            ]
        )
        self.norms = nn.ModuleList([nn.InstanceNorm2d(count, eps=1e-3, affine=True) for count in (128, 192, 192, 128)])
        self.hidden, self.verdict = nn.Linear(7 * 7 * 128, 1024), nn.Linear(1024, 2)

    def forward(self, rgb: Tensor) -> Tensor:
        gray = 0.2989 * rgb[:, 0:1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:3]
        x = functional.leaky_relu(self.convs[0](functional.pad(gray, (3, 4, 3, 4))), 0.2)
        for conv, normalise in zip(self.convs[1:], self.norms, strict=True):
            x = normalise(functional.leaky_relu(conv(x), 0.2))
        x = functional.leaky_relu(self.hidden(x.permute(0, 2, 3, 1).flatten(1)), 0.2)
        return functional.softmax(self.verdict(x), dim=1)


class Vgg(nn.Sequential):
    def __init__(self) -> None:
        layers: list[nn.Module] = []
        inputs = 3
        for item in _VGG:
            if isinstance(item, int):
                layers += [nn.Conv2d(inputs, item, 3, padding=1), nn.ReLU()]
                inputs = item
            else:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
        super().__init__(*layers)

    def forward(self, rgb: Tensor) -> Tensor:
        return super().forward(rgb * 255 - torch.tensor(_MEAN, device=rgb.device).view(3, 1, 1))


class Trainer:
    """Both networks, VGG and both optimisers; `place` is where they compute."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, vgg: nn.Module, place: str) -> None:
        self.generator, self.discriminator, self.vgg = (each.to(place) for each in (generator, discriminator, vgg))
        self.adams = [torch.optim.Adam(each.parameters(), lr=5e-4) for each in (self.generator, self.discriminator)]
        self.kernel = _blur_kernel().to(place)

    def iterate(self, phone: Tensor, dslr: Tensor, is_dslr: Tensor) -> tuple[float, float]:
        """Take a generator step, then a discriminator step, on [B, 3, 100, 100]; return both losses."""
        enhanced = self.generator(phone)
        seen = self.discriminator(enhanced)[:, 1].clamp(1e-10, 1)
        content = functional.mse_loss(self.vgg(enhanced), self.vgg(dslr))
        colour = (self.blur(enhanced) - self.blur(dslr)).pow(2).sum() / (2 * len(phone))
        down, across = enhanced[:, :, 1:] - enhanced[:, :, :-1], enhanced[..., 1:] - enhanced[..., :-1]
        tv = down.pow(2).mean() + across.pow(2).mean()
        loss = 10 * content + seen.log().sum() + 0.5 * colour + 2000 * tv
        self.adams[0].zero_grad()
        loss.backward()
        self.adams[0].step()

        shown = torch.where(is_dslr.view(-1, 1, 1, 1), dslr, self.generator(phone))
        probabilities = self.discriminator(shown)
        right = torch.where(is_dslr, probabilities[:, 0], probabilities[:, 1])
        discriminator_loss = -right.clamp(1e-10, 1).log().sum()
        self.adams[1].zero_grad()
        discriminator_loss.backward()
        self.adams[1].step()
        return loss.item(), discriminator_loss.item()

    def blur(self, rgb: Tensor) -> Tensor:
        return functional.conv2d(rgb, self.kernel, padding=10, groups=3)


def enhance(generator: nn.Module, rgb: U8, place: str) -> U8:
    """Enhance a whole photo [H, W, 3] at once."""
    with torch.no_grad():
        photo = torch.from_numpy(rgb).to(place).permute(2, 0, 1).unsqueeze(0).float() / 255
        enhanced = generator(photo)[0].permute(1, 2, 0)
        return (enhanced.clamp(0, 1) * 255).round().byte().cpu().numpy()


def _blur_kernel() -> Tensor:
    row = np.diff(norm.cdf(np.linspace(-3 - 1 / 6, 3 + 1 / 6, 22)))
    kernel = np.sqrt(np.outer(row, row))
    return torch.from_numpy((kernel / kernel.sum()).astype(np.float32)).repeat(3, 1, 1, 1)
