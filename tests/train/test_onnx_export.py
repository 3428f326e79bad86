from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from dpedkit.errors import TrainError
from dpedkit.train.networks import ENHANCERS, Enhancer, Generator
from dpedkit.train.onnx_export import export_onnx

SIZES = {
    "dped": {"width": 8, "blocks": 1},
    "srcnn": {},
    "nafnet": {"width": 4, "levels": 2, "middle": 1},
    "csrnet": {"width": 8, "condition": 8},
}


def trained(kind: str) -> Enhancer:
    """A network none of whose weights is what it begins with: zeros would hide what they are multiplied with."""
    network = ENHANCERS[kind](**SIZES[kind])
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=rng), alpha=0.1)
    return network.eval()


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("kind", ENHANCERS)
def test_every_network_runs_elsewhere_at_any_size(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    network = trained(kind)
    said = export_onnx(network, tmp_path / "any.onnx", {"stamp": "", "network": kind}, "for people")
    assert capfd.readouterr() == ("", "")
    assert said < 1e-4
    model = session(tmp_path / "any.onnx")
    assert [(one.name, one.shape) for one in (*model.get_inputs(), *model.get_outputs())] == [
        (name, ["batch", 3, "height", "width"]) for name in ("rgb", "enhanced")
    ]
    assert model.get_modelmeta().custom_metadata_map == {"stamp": "", "network": kind}
    assert model.get_modelmeta().description == "for people"
    graph = onnx.load(tmp_path / "any.onnx").graph
    assert not [cast for cast in graph.node if cast.op_type == "Cast"]  # accelerators have no float64
    assert ("InstanceNormalization" in {node.op_type for node in graph.node}) == (kind == "dped")
    for batch, height, width in ((1, 1, 1), (1, 3, 8), (2, 33, 47), (1, 128, 96), (3, 40, 56)):
        rgb = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height))
        (got,) = model.run(None, {"rgb": rgb.numpy()})
        with torch.no_grad():
            assert np.abs(got - network(rgb).numpy()).max() < 1e-4, (batch, height, width)


class Liar(Generator):
    """A network that is exported otherwise than it computes."""

    kind = "liar"

    def forward(self, rgb: Tensor) -> Tensor:
        return super().forward(rgb) + (0 if torch.compiler.is_exporting() else 1e-3)


def test_an_export_that_computes_something_else_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"37 px is off by 0\.001, over 0\.0001"):
        export_onnx(Liar(4, 1), tmp_path / "liar.onnx", {}, "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays_whole_when_the_export_fails(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(before := random.Random(0).randbytes(100))
    with pytest.raises(TrainError):
        export_onnx(Liar(4, 1), path, {}, "")
    assert path.read_bytes() == before
