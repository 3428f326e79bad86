"""VGG's features of what a generator made and of the DSLR's patches."""

from __future__ import annotations

import torch
from torch import Tensor

from dpedkit.train.compute import Compute
from dpedkit.train.vgg import Vgg19
from dpedkit.types import I64


class Features:
    """Looks at pictures [B, 3, H, W] through VGG; keeps what it saw in the DSLR's patches, as far as that may take.

    They never change: nothing is augmented. What is kept is what was computed, to the bit.

    patches  how many there are to draw from
    """

    def __init__(self, vgg: Vgg19, compute: Compute, patches: int) -> None:
        self._look, self._look_at_any = compute.forward(vgg), compute.in_precision(vgg)
        self._patches, self._most_bytes = patches, compute.kept_bytes
        self._kept: Tensor | None = None
        self._known = torch.zeros(0, dtype=torch.bool)

    def of(self, rgb: Tensor) -> Tensor:
        """Return the features of what is being learnt, which gradients flow through."""
        return self._look(rgb)

    @torch.no_grad()
    def of_dslr(self, rgb: Tensor, rows: I64 | None) -> Tensor:
        """Return the features of the DSLR's patches, and keep them.

        rows  [B] which patches they are; None: nothing is kept
        """
        if rows is None or not self._most_bytes:
            return self._look_at_any(rgb)
        at = torch.from_numpy(rows)
        if self._kept is None:
            first = self._look_at_any(rgb[:1])
            room = min(self._patches, self._most_bytes // (first.numel() * first.element_size()))
            self._kept = torch.empty((room, *first.shape[1:]), dtype=first.dtype, device=first.device)
            self._known = torch.zeros(self._patches, dtype=torch.bool)
        known = self._known[at]
        features = self._kept.new_empty((len(at), *self._kept.shape[1:]))
        features[known] = self._kept[at[known]]
        if not known.all():
            features[~known] = self._look_at_any(rgb[~known])
            fits = ~known & (at < len(self._kept))
            self._kept[at[fits]] = features[fits]
            self._known[at[fits]] = True
        return features
