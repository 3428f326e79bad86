"""Convolutions by OpenVINO, on the CPU."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from dpedkit.train.device import has_bfloat16
from dpedkit.train.inference.layers import Backend, Kernel, Layer

# When it is imported, OpenVINO reports to Google Analytics, from a process that it forks; not where this package is
# missing. What is enhanced here is nobody's business.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402
from openvino import opset8  # noqa: E402

_ROWS_FIRST, _PLANES_FIRST = np.array([0, 2, 3, 1]), np.array([0, 3, 1, 2])


class OpenVinoBackend(Backend):
    """Compiles each convolution for one size: only then OpenVINO leaves channels last in memory, as ours are.

    It emulates no bfloat16, so it is half only where there is arithmetic for it.
    """

    strips = 56  # measured

    def __init__(self, *, half: bool = False) -> None:
        self.half = half and has_bfloat16(torch.device("cpu"))
        self._core = _core()

    def compile(self, kernel: Kernel) -> Layer:
        """Return the layer."""
        request: Any = None
        height, width = 0, 0
        dtype = self.dtype

        def layer(x: Tensor) -> Tensor:
            nonlocal request, height, width
            given = x.shape[2]
            if given > height or x.shape[3] != width:
                height, width = given, x.shape[3]
                request = self._request(kernel, height, width)
            rows = x.to(dtype).permute(0, 2, 3, 1)
            if given < height:  # the last strip: computing what nobody reads takes less time than compiling
                rows = functional.pad(rows, (0, 0, 0, 0, 0, height - given))
            made = torch.empty(tuple(request.model_outputs[0].shape), dtype=dtype)
            request.set_output_tensor(_shared(made))  # a buffer of its own for every layer would be much memory
            request.infer({0: _shared(rows.contiguous())}, share_inputs=True)
            return made[:, : (given - kernel.weight.shape[2]) // kernel.stride[0] + 1].permute(0, 3, 1, 2)

        return layer

    def _request(self, kernel: Kernel, height: int, width: int) -> Any:
        dtype, precision = (openvino.Type.bf16, "bf16") if self.half else (openvino.Type.f32, "f32")
        given = opset8.parameter(openvino.Shape([1, height, width, _inputs(kernel)]), dtype)
        x = opset8.transpose(opset8.convert(given, "f32"), opset8.constant(_PLANES_FIRST))
        x = _convolved(kernel, x)
        if kernel.bias is not None:
            x = opset8.add(x, opset8.constant(kernel.bias.numpy().reshape(1, -1, 1, 1)))
        result = opset8.convert(opset8.transpose(x, opset8.constant(_ROWS_FIRST)), precision)
        compiled = self._core.compile_model(
            openvino.Model([opset8.result(result)], [given]),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
        return compiled.create_infer_request()


@cache
def _core() -> openvino.Core:
    """Return the one of this process. An OpenVINO that goes takes the stack along on which signals are handled."""
    return openvino.Core()


def _inputs(kernel: Kernel) -> int:
    return kernel.weight.shape[1] * kernel.groups


def _convolved(kernel: Kernel, x: Any) -> Any:
    """Return the convolution's node; that of groups has a dimension more."""
    weight = kernel.weight.numpy()
    left, right = kernel.padding
    place = list(kernel.stride), [0, left], [0, right], [1, 1]
    if kernel.groups == 1:
        return opset8.convolution(x, opset8.constant(weight), *place)
    grouped = weight.reshape(kernel.groups, -1, *weight.shape[1:])
    return opset8.group_convolution(x, opset8.constant(grouped), *place)


def _shared(rows: Tensor) -> openvino.Tensor:
    """Return the same memory as OpenVINO's tensor; numpy, which lies between, knows no bfloat16."""
    if rows.dtype == torch.float32:
        return openvino.Tensor(rows.numpy(), shared_memory=True)
    return openvino.Tensor(rows.view(torch.int16).numpy(), openvino.Shape(list(rows.shape)), openvino.Type.bf16)
