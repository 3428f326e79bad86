"""What every network that enhances photos is: phone photo in, enhanced photo out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

_LARGEST = 4096  # number that a weight file may ask for


class Enhancer(nn.Module):
    """A network from RGB [B, 3, H, W] in [0, 1] to the same, of any size, which may leave that range a little.

    kind    the name of its architecture, in recipes and in weight files
    depths  those of its sizes that count layers
    sizes   what its constructor was given, by name; a subclass draws its first weights from the constructor's `rng`
    """

    kind: ClassVar[str]
    depths: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, rng: torch.Generator | None = None, **sizes: int) -> None:  # noqa: ARG002  (for subclasses)
        super().__init__()
        self.sizes = sizes

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], sizes: Mapping[str, Any]) -> Self:
        """Return the network of these sizes that holds these weights, ready to enhance.

        Raises:
            ValueError: the weights are not those of such a network, or not finite; says which.
        """
        for name, size in sizes.items():
            largest = len(state) if name in cls.depths else _LARGEST
            if not isinstance(size, int) or not (name not in cls.depths) <= size <= largest:
                raise ValueError(f"a {cls.kind} network with {name} = {size} cannot be")
        try:
            with torch.device("meta"):  # costs no memory, whatever size a foreign file claims
                network = cls(**sizes)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"a {cls.kind} network of {dict(sizes)} cannot be: {error}") from None
        expected = network.state_dict()
        if odd := sorted(expected.keys() ^ state.keys()):
            raise ValueError(f"{odd[0]} is {'missing' if odd[0] in expected else 'unknown'}")
        for name, weight in expected.items():
            if state[name].shape != weight.shape:
                raise ValueError(f"{name} has shape {list(state[name].shape)} instead of {list(weight.shape)}")
            if not torch.isfinite(state[name]).all():
                raise ValueError(f"{name} is not finite")
        network.load_state_dict({name: weight.float().clone() for name, weight in state.items()}, assign=True)
        return network.eval().requires_grad_()
