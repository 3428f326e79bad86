"""Matched patches: the phone's pixels as they are, and the DSLR's photo resampled once onto them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dpedkit.align.alignment import Alignment
from dpedkit.align.gates import Gates, PatchScores, judge
from dpedkit.align.resample import resample_dslr
from dpedkit.align.score import covered, crop, score_patches
from dpedkit.types import I64, U8, Bools


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """Settings of `cut_patches`.

    size    side of a patch, px
    stride  px from one patch to the next; None puts them edge to edge
    gates   what a patch must be to be kept
    """

    size: int = 100
    stride: int | None = None
    gates: Gates = field(default_factory=Gates)


@dataclass(frozen=True, eq=False)
class PatchSet:
    """Every candidate of a pair of photos, kept or not.

    phone   uint8 [N, S, S, 3], pixels of the phone's photo, untouched
    dslr    uint8 [N, S, S, 3], the same view by the DSLR
    xy      [N, 2], top left pixel (x, y) in the phone's photo
    scores  what was measured on each
    reason  [N], the gate that the patch fails, "" for one to keep
    """

    phone: U8
    dslr: U8
    xy: I64
    scores: PatchScores
    reason: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def keep(self) -> Bools:
        """[N]: the patch passes every gate."""
        passed: Bools = self.reason == ""
        return passed

    def take(self, rows: Bools | I64) -> PatchSet:
        """Return the chosen rows."""
        return PatchSet(self.phone[rows], self.dslr[rows], self.xy[rows], self.scores.take(rows), self.reason[rows])

    def kept(self) -> PatchSet:
        """Return the patches that pass every gate."""
        return self.take(self.keep)


def cut_patches(phone: U8, dslr: U8, alignment: Alignment, options: PatchOptions | None = None) -> PatchSet:
    """Cut every patch of a grid that lies wholly in both photos, and score it.

    phone, dslr  the photos that were aligned, upright RGB uint8 [H, W, 3]

    Raises:
        ValueError: the photos are not those that were aligned, or the size or stride is not positive.
    """
    options = options or PatchOptions()
    size, stride = options.size, options.stride or options.size
    if size < 8 or stride < 1:
        raise ValueError(f"patches of {size} px every {stride} px: the size must be at least 8 and the stride 1")
    aligned, mask = resample_dslr(phone.shape, dslr, alignment)
    xy = covered(mask, size, stride)
    scores = score_patches(phone, aligned, xy, size, alignment)
    return PatchSet(
        phone=crop(phone, xy, size),
        dslr=crop(aligned, xy, size),
        xy=xy,
        scores=scores,
        reason=judge(scores, options.gates),
    )
