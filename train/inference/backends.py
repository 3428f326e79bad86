"""Who computes the layers, by name. What a name needs is imported when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from dpedkit.train.inference.layers import Backend

_HOMES: Mapping[str, tuple[str, str]] = {  # name -> module that it needs, class
    "torch": ("torch", "layers:TorchBackend"),
    "onnxruntime": ("onnxruntime", "onnx_layers:OnnxRuntimeBackend"),
    "openvino": ("openvino", "openvino_layers:OpenVinoBackend"),
}
BACKENDS = tuple(_HOMES)
"""Their names. PyTorch is the only one for GPUs: the others compute on the CPU."""


def load_backend(name: str, *, half: bool = False) -> Backend:
    """Return a backend.

    half  whether in bfloat16 or in float32; `half` of the backend says what it is

    Raises:
        ValueError: there is no such backend.
        ModuleNotFoundError: the package that it needs is not installed.
    """
    if name not in _HOMES:
        raise ValueError(f"no backend {name!r}; there are {', '.join(BACKENDS)}")
    module, _, attribute = _HOMES[name][1].partition(":")
    made = getattr(import_module(f"dpedkit.train.inference.{module}"), attribute)(half=half)
    return cast("Backend", made)


def installed() -> tuple[str, ...]:
    """Return the names of those whose package is here."""
    return tuple(name for name, (package, _) in _HOMES.items() if find_spec(package))
