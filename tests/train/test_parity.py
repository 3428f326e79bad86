"""The trainer's step against numbers that the authors' TensorFlow graph gave (reference/dped_step.npz)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from dpedkit.train import load_generator, pick_compute
from dpedkit.train.checkpoint import State, Trainee
from dpedkit.train.losses import GeneratorLoss, LossWeights, discriminator_loss, generator_loss
from dpedkit.train.networks import Discriminator, Generator, InstanceNorm, to_gray
from dpedkit.train.steps import Steps
from dpedkit.train.vgg import Vgg19, load_vgg

SWAPS = torch.tensor([False, True, False, True])
LEARNING_RATE = 5e-4


@dataclass
class Step:
    """The networks and the batch that the reference numbers belong to."""

    reference: dict[str, npt.NDArray[np.generic]]
    generator: Generator
    discriminator: Discriminator
    vgg: Vgg19
    phone: Tensor
    dslr: Tensor

    def generator_loss(self) -> GeneratorLoss:
        enhanced = self.generator(self.phone)
        return generator_loss(
            enhanced,
            self.dslr,
            LossWeights(),
            features=self.vgg(enhanced),
            dslr_features=self.vgg(self.dslr),
            probabilities=self.discriminator(to_gray(enhanced)),
        )

    def probabilities(self) -> Tensor:
        with torch.no_grad():
            enhanced = self.generator(self.phone)
        shown = torch.where(SWAPS[:, None, None, None], self.dslr, enhanced)
        verdict: Tensor = self.discriminator(to_gray(shown))
        return verdict

    def in_double(self) -> Step:
        """The same step without our rounding: what differs is the reference's own, on any processor."""
        networks = self.generator.double(), self.discriminator.double()
        return Step(self.reference, *networks, self.vgg, self.phone.double(), self.dslr.double())

    def generator_gradients(self) -> dict[str, Tensor]:
        """By the authors' names, in their layout."""
        self.generator.zero_grad()
        self.generator_loss().total.backward(inputs=list(self.generator.parameters()))
        gradients: dict[str, Tensor] = {}
        convs = [module for module in self.generator.modules() if isinstance(module, nn.Conv2d)]
        norms = [module for module in self.generator.modules() if isinstance(module, InstanceNorm)]
        for number, conv in enumerate(convs, start=1):
            gradients[f"generator/W{number}"] = gradient(conv.weight).permute(2, 3, 1, 0)
            gradients[f"generator/b{number}"] = gradient(conv.bias)
        for number, norm in enumerate(norms):
            gradients[f"generator/Variable_{2 * number}".removesuffix("_0")] = gradient(norm.shift)
            gradients[f"generator/Variable_{2 * number + 1}"] = gradient(norm.scale)
        return gradients


def in_tensorflows_order(discriminator: Discriminator) -> list[nn.Parameter]:
    """Kernel and bias, then shift and scale, layer by layer."""
    ordered: list[nn.Parameter] = []
    for conv, norm in zip(discriminator.convs, [None, *discriminator.norms], strict=True):
        ordered += conv.parameters()
        if isinstance(norm, InstanceNorm):
            ordered += [norm.shift, norm.scale]
    return [*ordered, *discriminator.hidden.parameters(), *discriminator.verdict.parameters()]


def gradient(parameter: Tensor | None) -> Tensor:
    assert parameter is not None
    assert parameter.grad is not None
    return parameter.grad


def planes(rgb: npt.NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.asarray(rgb, np.float32)).permute(0, 3, 1, 2) / 255


def fill_discriminator(discriminator: Discriminator) -> Discriminator:
    """Give it the fixture's weights: every kernel and matrix drawn in order, in TensorFlow's layout."""
    rng = np.random.default_rng(2007)
    with torch.no_grad():
        for module in discriminator.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                shape = (*module.weight.shape[2:], module.weight.shape[1], module.weight.shape[0])
                drawn = torch.from_numpy((rng.standard_normal(shape) * 0.02).astype(np.float32))
                module.weight.copy_(drawn.permute(3, 2, 0, 1) if drawn.ndim == 4 else drawn.T)
                module.bias.fill_(0.01)
    return discriminator


@pytest.fixture(scope="module")
def vgg() -> Vgg19:
    return load_vgg("random:1007")


@pytest.fixture
def step(shared_data: Path, vgg: Vgg19) -> Step:
    with np.load(shared_data / "reference" / "dped_step.npz") as file:
        reference = dict(file)
    return Step(
        reference,
        load_generator(shared_data / "dped_models" / "iphone_orig"),
        fill_discriminator(Discriminator()),
        vgg,
        planes(reference["phone"]),
        planes(reference["dslr"]),
    )


def relative(measured: object, expected: object) -> npt.NDArray[np.float64]:
    measured, expected = np.asarray(measured, np.float64), np.asarray(expected, np.float64)
    return np.abs(measured - expected) / np.abs(expected)


@pytest.mark.parametrize("phone", ["iphone", "sony", "blackberry"])
def test_the_authors_generators_enhance_as_theirs_do(shared_data: Path, step: Step, phone: str) -> None:
    generator = load_generator(shared_data / "dped_models" / f"{phone}_orig")
    with torch.no_grad():
        enhanced = generator(step.phone).permute(0, 2, 3, 1).numpy()
    assert np.abs(enhanced - step.reference[f"enhanced_{phone}"]).max() <= 2e-6


def test_losses(step: Step) -> None:
    with torch.no_grad():
        loss = step.generator_loss()
    names = [str(name) for name in step.reference["loss_names"][:5]]
    measured = [getattr(loss, name).item() for name in names]
    assert names == ["total", "content", "colour", "texture", "tv"]
    assert relative(measured, step.reference["losses"][:5]).max() <= 2e-6


def test_generator_gradients(step: Step) -> None:
    gradients = step.generator_gradients()
    names = [str(name) for name in step.reference["generator_names"]]
    assert gradients.keys() == set(names)
    unseen = {f"generator/b{number}" for number in range(2, 10)}  # instance norm cancels them: only rounding is left
    for name, norm in zip(names, step.reference["generator_grad_norms"], strict=True):
        if name not in unseen:
            assert relative(gradients[name].norm(), norm) <= 5e-4, name
    for name in ("W1", "W5", "W12"):
        expected = step.reference[f"grad_{name}"]
        difference = np.linalg.norm(gradients[f"generator/{name}"].numpy() - expected)
        assert difference <= 1e-3 * np.linalg.norm(expected), name


def test_discriminator(step: Step) -> None:
    step = step.in_double()
    probabilities = step.probabilities()
    loss = discriminator_loss(probabilities, SWAPS)
    loss.backward()
    assert relative(probabilities.detach(), step.reference["discriminator_probabilities_swapped"]).max() <= 1e-5
    assert relative(loss.detach(), step.reference["discriminator_loss_swapped"]) <= 1e-5
    measured = [gradient(parameter).norm() for parameter in in_tensorflows_order(step.discriminator)]
    assert relative(measured, step.reference["discriminator_grad_norms"]).max() <= 5e-4


def test_three_steps(step: Step) -> None:
    """Rounding alone moves the result by up to 8e-3: Adam's first steps are little more than the gradients' signs.

    The same steps in float64 end 8e-3 away from the reference, too, all of it at one edge, where a channel is nearly
    dead: which of two ways the reference went there is its own rounding's.
    """
    generator = Trainee(step.generator, torch.optim.Adam(step.generator.parameters(), LEARNING_RATE))
    discriminator = Trainee(step.discriminator, torch.optim.Adam(step.discriminator.parameters(), LEARNING_RATE))
    state = State(generator, discriminator)
    steps = Steps(state, LossWeights(), step.vgg, pick_compute("cpu"))
    for state.step in range(3):
        steps.improve_generator(step.phone, step.dslr)
        steps.improve_discriminator(step.phone, step.dslr, SWAPS)
    with torch.no_grad():
        enhanced = step.generator(step.phone).permute(0, 2, 3, 1).numpy()
    difference = np.abs(enhanced - step.reference["enhanced_iphone_after_3_steps"])
    assert difference.max() <= 5e-3
    assert difference.mean() <= 5e-4
