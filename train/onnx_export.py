"""Generators as ONNX, for other programs to run: any batch, height and width, RGB in [0, 1]."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxscript  # noqa: F401  (PyTorch's exporter needs it, and says so less clearly)
import torch
from torch.export import Dim

from dpedkit.errors import TrainError
from dpedkit.files import atomic_file
from dpedkit.train.networks import Enhancer

TOLERANCE = 1e-4
_EXAMPLE = (2, 40, 56)  # batch, height, width; a batch of one would be taken for the only one there is
_TRIED = ((1, 37, 53), (3, 96, 61))
_AXES = ("batch", 3, "height", "width")
_NOISY = ("torch.onnx", "onnxscript", "onnx_ir")  # loggers


def export_onnx(generator: Enhancer, path: Path, described: Mapping[str, str], about: str) -> float:
    """Write a generator as an ONNX file, whole or not at all, once ONNX Runtime makes of it what PyTorch does.

    Its input "rgb" and its output "enhanced" are float32 [batch, 3, height, width].

    described  becomes the file's metadata
    about      becomes its text for people
    ->         the greatest difference between the two at two sizes that the export has not seen

    Raises:
        TrainError: the difference is greater than TOLERANCE; nothing is written.
        StorageError: the disk is full, or the folder cannot be written.
    """
    generator = generator.eval()
    example = torch.rand(_EXAMPLE[0], 3, *_EXAMPLE[1:], generator=torch.Generator().manual_seed(0))
    free = {axis: Dim(name) for axis, name in enumerate(_AXES) if isinstance(name, str)}
    with _quiet():
        program = torch.onnx.export(
            generator, (example,), dynamo=True, verbose=False, dynamic_shapes=(free,),
            input_names=["rgb"], output_names=["enhanced"],
        )  # fmt: skip
    if program is None:
        raise TrainError("PyTorch has exported nothing", "use the versions of constraints.txt")
    model = program.model_proto
    _describe(model, described, about)
    with atomic_file(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        return _difference(generator, temporary)


def _describe(model: onnx.ModelProto, described: Mapping[str, str], about: str) -> None:
    """Say what the model is; and that its output is as large as its input, which the export knows as a formula."""
    model.doc_string = about
    onnx.helper.set_model_props(model, dict(described))
    for axis, name in zip(model.graph.output[0].type.tensor_type.shape.dim, _AXES, strict=True):
        if isinstance(name, str):
            axis.dim_param = name


@torch.no_grad()
def _difference(generator: Enhancer, path: Path) -> float:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    greatest = 0.0
    for batch, height, width in _TRIED:
        rgb = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height))
        (got,) = session.run(["enhanced"], {"rgb": rgb.numpy()})
        difference = float(np.abs(generator(rgb).numpy() - got).max())
        if not difference <= TOLERANCE:
            raise TrainError(
                f"the ONNX file's picture of {width} x {height} px is off by {difference:.2g}, over {TOLERANCE:g}",
                "nothing was written; use the versions of constraints.txt",
            )
        greatest = max(greatest, difference)
    return greatest


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says about itself off the terminal."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    try:
        for name in _NOISY:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
