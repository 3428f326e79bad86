"""How much VGG-19's weights from one file see where those of another see something, for the content loss's weight.

A network's features may have any scale, and so may the content loss: its weight belongs to a weight file.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from dpedkit.train.batches import to_tensor
from dpedkit.train.losses import content_loss
from dpedkit.train.vgg import Vgg19
from dpedkit.types import F64, U8

_SCENES, _SIDE_PX, _LEAVES = 32, 100, 150


@torch.no_grad()
def content_losses(vgg: Vgg19, phone: U8, dslr: U8, device: torch.device) -> F64:
    """Return the content loss [N] of each pair [N, S, S, 3], the phone's picture in the place of the enhanced one."""
    vgg = vgg.to(device)
    found = []
    for pair in zip(phone, dslr, strict=True):
        features = [vgg(to_tensor(rgb[None], device)) for rgb in pair]
        found.append(float(content_loss(*features)))
    return np.array(found)


def made_pairs() -> tuple[U8, U8]:
    """Return pairs [N, S, S, 3] as a phone and a DSLR might see them, the same ones each time.

    Scenes of discs that hide each other, with radii by a power law, have the statistics of photos (Lee, Mumford, Huang,
    Occlusion Models for Natural Images, IJCV 2001).
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX]
    scenes = np.empty((_SCENES, _SIDE_PX, _SIDE_PX, 3))
    for scene in scenes:
        scene[:] = rng.random(3)
        for _ in range(_LEAVES):
            centre_y, centre_x = rng.random(2) * _SIDE_PX
            radius = 3 / np.sqrt(rng.uniform(0.01, 1))  # a density of radius**-3, from 3 to 30 px
            scene[(y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2] = rng.random(3)
    dslr = gaussian_filter(scenes, (0, 0.5, 0.5, 0))
    phone = gaussian_filter(scenes, (0, 1, 1, 0)) ** 1.3 * (0.8, 0.9, 1.0) + rng.normal(0, 0.02, scenes.shape)
    as_bytes = [np.clip(np.rint(255 * rgb), 0, 255).astype(np.uint8) for rgb in (phone, dslr)]
    return as_bytes[0], as_bytes[1]
