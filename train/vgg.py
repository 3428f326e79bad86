"""VGG-19 up to relu5_4, whose features the content loss compares, and the files its weights come from."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor, nn
from torch.nn import functional

from dpedkit.errors import WeightsError
from dpedkit.files import sha256_file
from dpedkit.train.networks import SameConv
from dpedkit.train.tensor_files import read_tensors
from dpedkit.types import F32

_STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions; a max-pool between stages
_TORCHVISION_LAYERS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)  # "features.N" of each convolution
_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
_URL_HASH = "dcbb9e9d"  # how its SHA-256 begins

_AUTHORS_INPUT = (255.0, (123.68, 116.779, 103.939))
_TORCHVISION_MEAN, _TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_REMEDY = (
    f"get {_URL} (or the authors' imagenet-vgg-verydeep-19.mat) and give its path as --vgg FILE; "
    "--vgg random:0 is for trying out"
)


class Vgg19(nn.Module):
    """VGG-19's sixteen convolutions with fixed weights.

    name         where the weights come from, for people
    sha256       of the weight file; of the weights themselves where there is no file
    for_results  False for random weights, whose results mean nothing
    """

    gain: Tensor
    offset: Tensor

    def __init__(self, name: str, sha256: str, *, for_results: bool) -> None:
        super().__init__()
        self.name, self.sha256, self.for_results = name, sha256, for_results
        convs, inputs = [], 3
        for channels, depth in _STAGES:
            for _ in range(depth):
                convs.append(SameConv(inputs, channels, 3))
                inputs = channels
        self.convs = nn.ModuleList(convs)
        self.register_buffer("gain", torch.ones(3, 1, 1))
        self.register_buffer("offset", torch.zeros(3, 1, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        """Return relu5_4, [B, 512, ceil(H / 16), ceil(W / 16)], of [B, 3, H, W] in [0, 1]."""
        x = rgb * self.gain - self.offset
        convs = iter(self.convs)
        for stage, (_, depth) in enumerate(_STAGES):
            if stage:
                x = functional.max_pool2d(x, 2, ceil_mode=True)  # TensorFlow's SAME: 25 px become 13
            for _ in range(depth):
                x = functional.relu_(next(convs)(x))
        return x


def load_vgg(spec: str) -> Vgg19:
    """Return VGG-19 with the weights that `spec` names.

    spec  "torchvision": its file, downloaded once and checked; "random:SEED": for trying out, not for results;
          else a path: .mat (MatConvNet's, the authors' choice), or .pth or .safetensors with torchvision's layers

    Raises:
        WeightsError: the file is missing, truncated or foreign, the download failed, or the seed is no number.
    """
    kind, _, seed = spec.partition(":")
    if kind == "random":
        if not seed.isdecimal():
            raise WeightsError(f"--vgg {spec}: the seed is no whole number", "write for example --vgg random:0")
        return _random(int(seed))
    path = _download() if spec == "torchvision" else Path(spec)
    if not path.is_file():
        raise WeightsError(f"no VGG-19 weights at {path}", _REMEDY)
    try:
        vgg = Vgg19(spec if spec == "torchvision" else path.name, sha256_file(path), for_results=True)
        return _fill_from(vgg, path)
    except KeyError as error:
        raise WeightsError(f"{path} does not hold VGG-19's weights: no {error}", _REMEDY) from error
    except Exception as error:  # torch, safetensors and scipy raise whatever comes on a damaged file
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(f"{path} does not hold VGG-19's weights: {reason}", _REMEDY) from error


def _random(seed: int) -> Vgg19:
    """Return random kernels that keep the scale of activations, zero biases; the parity fixture's recipe."""
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    kernels: list[F32] = []
    inputs = 3
    for channels, depth in _STAGES:
        for _ in range(depth):
            kernel = rng.standard_normal((3, 3, inputs, channels)) * np.sqrt(2 / (9 * inputs))
            kernels.append(kernel.astype(np.float32))
            digest.update(kernels[-1].tobytes())
            inputs = channels
    vgg = Vgg19(f"random:{seed}", digest.hexdigest(), for_results=False)
    biases = [np.zeros(kernel.shape[-1], np.float32) for kernel in kernels]
    return _with_authors_layout(vgg, kernels, biases)


def _fill_from(vgg: Vgg19, path: Path) -> Vgg19:
    if path.suffix == ".mat":
        return _with_matconvnet(vgg, loadmat(path, simplify_cells=True))
    return _with_torchvision(vgg, read_tensors(path))


def _with_matconvnet(vgg: Vgg19, mat: Mapping[str, Any]) -> Vgg19:
    """Fill in imagenet-vgg-verydeep-19.mat: a list of layers, of which those of type "conv" hold kernel and bias."""
    layers = [layer["weights"] for layer in mat["layers"] if layer["type"] == "conv"][: len(vgg.convs)]
    kernels = [np.asarray(kernel, np.float32).swapaxes(0, 1) for kernel, _ in layers]  # stored across first
    return _with_authors_layout(vgg, kernels, [np.asarray(bias, np.float32).ravel() for _, bias in layers])


def _with_authors_layout(vgg: Vgg19, kernels: list[F32], biases: list[F32]) -> Vgg19:
    """Fill in kernels [rows, columns, inputs, outputs] that expect RGB in 0..255 less its mean."""
    gain, mean = _AUTHORS_INPUT
    weights = [torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()) for kernel in kernels]
    return _fill(vgg, weights, [torch.from_numpy(bias) for bias in biases], Tensor([gain] * 3), Tensor(mean))


def _with_torchvision(vgg: Vgg19, state: Mapping[str, Tensor]) -> Vgg19:
    """Fill in torchvision's state dict, which expects RGB in 0..1 less its mean, over its standard deviation."""
    weights = [state[f"features.{layer}.weight"] for layer in _TORCHVISION_LAYERS]
    biases = [state[f"features.{layer}.bias"] for layer in _TORCHVISION_LAYERS]
    mean, std = Tensor(_TORCHVISION_MEAN), Tensor(_TORCHVISION_STD)
    return _fill(vgg, weights, biases, 1 / std, mean / std)


def _fill(vgg: Vgg19, weights: list[Tensor], biases: list[Tensor], gain: Tensor, offset: Tensor) -> Vgg19:
    state = {"gain": gain.view(3, 1, 1), "offset": offset.view(3, 1, 1)}
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        state |= {f"convs.{layer}.weight": weight.float(), f"convs.{layer}.bias": bias.float()}
    for name, expected in vgg.state_dict().items():
        if name not in state or state[name].shape != expected.shape or not torch.isfinite(state[name]).all():
            raise ValueError(f"{name} should be {list(expected.shape)} finite numbers")
    vgg.load_state_dict(state)
    return vgg.eval().requires_grad_(requires_grad=False)


def _download() -> Path:
    """Return torchvision's file, fetched once into PyTorch's cache."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / _URL.rpartition("/")[2]
    if path.is_file() and sha256_file(path).startswith(_URL_HASH):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(_URL, str(path), hash_prefix=_URL_HASH, progress=sys.stderr.isatty())
    except (OSError, RuntimeError, HTTPException) as error:
        raise WeightsError(f"VGG-19's weights could not be fetched: {error}", _REMEDY) from error
    return path
