"""Files of VGG-19 weights that are drawn at random, in each family's format."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from dpedkit.types import F32

LAYERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
CHANNELS = (3, 64, 64, 128, 128, *[256] * 4, *[512] * 8)


def kernels(seed: int) -> list[F32]:
    """HWIO, by the recipe that `random:SEED` names."""
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))).astype(np.float32)
        for inputs, outputs in pairwise(CHANNELS)
    ]


def biases(seed: int) -> list[F32]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(outputs).astype(np.float32) for outputs in CHANNELS[1:]]


def write(path: Path, kernels: Sequence[F32], biases: Sequence[F32]) -> Path:
    """Write the same numbers, whatever input they expect, as .pth, .safetensors or .mat."""
    if path.suffix == ".mat":
        layers = []
        for number, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            across_first = kernel.swapaxes(0, 1)
            layers.append({"type": "conv", "name": f"conv{number}", "weights": cell(across_first, bias[None])})
            layers.append({"type": "relu", "name": f"relu{number}"})
        savemat(path, {"layers": cell(*layers)})
        return path
    state = {"classifier.0.bias": torch.zeros(4)}
    for layer, kernel, bias in zip(LAYERS, kernels, biases, strict=True):
        state[f"features.{layer}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"features.{layer}.bias"] = torch.from_numpy(bias)
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    return path


def for_torchvisions_input(kernels: Sequence[F32], biases: Sequence[F32]) -> tuple[list[F32], list[F32]]:
    """Return the same network, for pictures over their deviation instead of in 0..255: the same but at the edges."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    authors_mean = np.array([123.68, 116.779, 103.939])
    first = kernels[0] * (255 * std)[:, None]
    moved = biases[0] + np.einsum("hwio,i->o", kernels[0], 255 * mean - authors_mean)
    return [first.astype(np.float32), *kernels[1:]], [moved.astype(np.float32), *biases[1:]]


def scaled(kernels: Sequence[F32], biases: Sequence[F32], factor: float) -> tuple[list[F32], list[F32]]:
    """Return a network whose last features are so many times as large."""
    return [*kernels[:-1], kernels[-1] * np.float32(factor)], [*biases[:-1], biases[-1] * np.float32(factor)]


def cell(*items: object) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    made = np.empty(len(items), dtype=object)
    made[:] = items
    return made
