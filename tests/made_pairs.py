"""Pairs of a phone and a DSLR that never were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from dpedkit.types import I64, U8


class MemoryPairs:
    """Pairs held in memory."""

    def __init__(self, phone: U8, dslr: U8, content_hash: str = "0" * 64) -> None:
        self.phone, self.dslr, self.content_hash = phone, dslr, content_hash
        self.patch_px = phone.shape[1]

    def __len__(self) -> int:
        return len(self.phone)

    def __getitem__(self, index: int) -> tuple[U8, U8]:
        return self.phone[index], self.dslr[index]

    def read_batch(self, rows: Sequence[int] | I64) -> tuple[U8, U8]:
        chosen = np.asarray(rows)
        return self.phone[chosen], self.dslr[chosen]


def phone_pairs(count: int, side: int, seed: int = 0) -> MemoryPairs:
    """Soft random scenes, as a DSLR sees them and as a dark, bluish, blurred and noisy phone does."""
    rng = np.random.default_rng(seed)
    scene = gaussian_filter(rng.normal(size=(count, side, side, 3)), (0, 2, 2, 0)) * 1.6 + 0.5
    blurred = np.clip(gaussian_filter(scene, (0, 1, 1, 0)), 0, 1)
    phone = blurred**1.7 * np.array([0.6, 0.8, 0.95]) + rng.normal(0, 0.02, scene.shape)
    return MemoryPairs(*(np.clip(np.rint(255 * rgb), 0, 255).astype(np.uint8) for rgb in (phone, scene)))
