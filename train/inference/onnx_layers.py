"""Convolutions by ONNX Runtime, on the CPU."""

from __future__ import annotations

import onnxruntime
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor

from dpedkit.train.inference.layers import Backend, Kernel, Layer

_OPSET, _IR = 17, 9  # old enough for every ONNX Runtime that the extra allows


class OnnxRuntimeBackend(Backend):
    """Its convolution knows no bfloat16 on CPUs, so it is never half."""

    strips = 88  # measured

    def __init__(self, *, half: bool = False) -> None:  # noqa: ARG002  (as all backends are made)
        self.half = False
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = torch.get_num_threads()
        self._options.enable_cpu_mem_arena = False  # every layer would have one of its own
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others compute between layers

    def compile(self, kernel: Kernel) -> Layer:
        """Return the layer."""
        model = _model(kernel).SerializeToString()
        session = onnxruntime.InferenceSession(model, self._options, providers=["CPUExecutionProvider"])

        def layer(x: Tensor) -> Tensor:
            (planes,) = session.run(["y"], {"x": x.float().contiguous().numpy()})
            return torch.from_numpy(planes).contiguous(memory_format=torch.channels_last)

        return layer


def _model(kernel: Kernel) -> ModelProto:
    """Return a graph that is this convolution, of any height and width."""
    weights = {"w": kernel.weight} | ({} if kernel.bias is None else {"b": kernel.bias})
    left, right = kernel.padding
    node = helper.make_node(
        "Conv", ["x", *weights], ["y"], pads=[0, left, 0, right], strides=kernel.stride, group=kernel.groups
    )
    outputs, inputs = kernel.weight.shape[0], kernel.weight.shape[1] * kernel.groups
    graph = helper.make_graph(
        [node],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs, "rows", "columns"])],
        [numpy_helper.from_array(values.contiguous().numpy(), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
