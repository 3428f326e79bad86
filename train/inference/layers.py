"""How convolutions are computed when a network runs over strips: rows at a time, by a backend.

Only convolutions go to a backend. What is taken over the whole picture, and what lies between two layers, stays with
the programs of this package, so that every backend makes the same picture in the same memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = Callable[[Tensor], Tensor]

_LANES = 16  # float32 values that a vector unit works on at once


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A convolution of rows that have all that it needs above and below: it pads to the left and to the right only.

    weight   [O, I / groups, h, w];  bias  [O] or None
    stride   down and across;  padding  px to the left and to the right
    """

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int

    @classmethod
    def of(cls, conv: nn.Conv2d) -> Kernel:
        """Return a layer's, detached from training."""
        across = int(conv.padding[1])
        bias = None if conv.bias is None else conv.bias.detach()
        return cls(conv.weight.detach(), bias, cast("tuple[int, int]", conv.stride), (across, across), conv.groups)


class Backend(Protocol):
    """Computes convolutions.

    half    whether in bfloat16, or in float32
    strips  for how many strips of a map there must be memory, with what each of its layers keeps to itself
    """

    half: bool
    strips: int

    @property
    def dtype(self) -> torch.dtype:
        """Which of the two."""
        return torch.bfloat16 if self.half else torch.float32

    def compile(self, kernel: Kernel) -> Layer:
        """Return what convolves [1, I, h, W], channels last in memory and of any height, to the same kind of tensor.

        The values are of the backend's own precision, whatever that of the input is.
        """
        ...


class TorchBackend(Backend):
    """PyTorch, on any device."""

    strips = 8

    def __init__(self, *, half: bool = False) -> None:
        self.half = half

    def compile(self, kernel: Kernel) -> Layer:
        """Return the layer."""
        dtype = self.dtype
        weight = kernel.weight.to(dtype)
        bias = None if kernel.bias is None else kernel.bias.to(dtype)
        left, right = kernel.padding

        def layer(x: Tensor) -> Tensor:
            x = x.to(dtype)
            if left != right:
                x = functional.pad(x, (left, right, 0, 0))
            around = (0, left if left == right else 0)
            return functional.conv2d(x, weight, bias, kernel.stride, around, groups=kernel.groups)

        return layer


class Layers:
    """The layers of one network, compiled when they first run.

    hidden  computes all but the last one
    exact   computes the last one, in float32: a pixel has 256 levels, bfloat16 none but 128 between 0.5 and 1
    rows    at a time
    """

    def __init__(self, hidden: Backend, exact: Backend, rows: int) -> None:
        self.rows = rows
        self._hidden, self._exact = hidden, exact
        self._compiled: dict[nn.Conv2d, Layer] = {}

    def run(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """Convolve [1, C, h, W], rows that have all that they need above and below."""
        layer = self._compiled.get(conv)
        if layer is None:
            layer = self._compiled[conv] = self._hidden.compile(Kernel.of(conv))
        return layer(x)

    def run_last(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """Do the same in float32."""
        layer = self._compiled.get(conv)
        if layer is None:
            layer = self._compiled[conv] = _by_columns(Kernel.of(conv), self._exact)
        return layer(x)


def _by_columns(kernel: Kernel, backend: Backend) -> Layer:
    """Compile a convolution that has few outputs, such as the last one: several columns of them at once.

    Three channels leave 13 of 16 lanes idle. The same weights beside themselves, each set a column further to the
    right, give neighbouring columns as more channels: more products, most of them by zero, in less than half the time.
    """
    outputs, inputs, height, width = kernel.weight.shape
    columns = _LANES // outputs
    if columns < 2 or width == 1 or kernel.stride[1] > 1 or kernel.groups > 1:
        return backend.compile(kernel)
    weight = kernel.weight.new_zeros(columns, outputs, inputs, height, width + columns - 1)
    for column in range(columns):
        weight[column, ..., column : column + width] = kernel.weight
    bias = None if kernel.bias is None else kernel.bias.repeat(columns)
    left, right = kernel.padding
    compiled: dict[int, Layer] = {}

    def layer(x: Tensor) -> Tensor:
        count = x.shape[3] + left + right - width + 1
        more = -count % columns
        if more not in compiled:
            padding = (left, right + more)
            wide = Kernel(weight.flatten(0, 1), bias, (kernel.stride[0], columns), padding, 1)
            compiled[more] = backend.compile(wide)
        rows = compiled[more](x)[0].permute(1, 2, 0)  # [h, W / columns, columns * outputs]: the same memory as by pixel
        return rows.reshape(len(rows), -1, outputs)[:, :count].permute(2, 0, 1)[None]

    return layer
