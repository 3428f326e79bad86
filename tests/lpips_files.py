"""Weight files of LPIPS that never were trained, with the names that torchvision and the lpips package use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

_SHAPES = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


def write(folder: Path) -> tuple[Path, Path]:
    """Write AlexNet's and LPIPS's own; return their paths."""
    random = np.random.default_rng(11)
    alexnet, linear = {}, {}
    for layer, (number, shape) in enumerate(_SHAPES.items()):
        weight = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        alexnet[f"features.{number}.weight"] = torch.from_numpy(weight.astype(np.float32))
        bias = random.standard_normal(shape[0]) * 0.1
        alexnet[f"features.{number}.bias"] = torch.from_numpy(bias.astype(np.float32))
        channels = random.random((1, shape[0], 1, 1))
        linear[f"lin{layer}.model.1.weight"] = torch.from_numpy(channels.astype(np.float32))
    files = folder / "alexnet.pth", folder / "alex.pth"
    torch.save({**alexnet, "classifier.6.bias": torch.zeros(1000)}, files[0])
    torch.save(linear, files[1])
    return files
