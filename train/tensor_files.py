"""Files of tensors that others wrote: .pth of PyTorch, of which nothing but tensors is unpickled, and .safetensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor


def read_tensors(path: Path) -> Mapping[str, Tensor]:
    """Return the file's tensors by their names, on the CPU.

    Raises:
        ValueError: its name ends with neither, or it is damaged or holds more than tensors; torch and safetensors raise
            whatever else comes on a damaged file.
    """
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".pth":
        try:
            tensors: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:  # its own text advises to load untrusted code
            raise ValueError("it is damaged or holds more than tensors") from error
        return tensors
    raise ValueError("its name ends neither with .pth nor .safetensors")
