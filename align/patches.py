"""Matched patches: the phone's pixels as they are, and the DSLR's photo resampled once onto them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from dpedkit.align.alignment import Alignment
from dpedkit.align.gates import Gates, PatchScores, judge
from dpedkit.align.paper import slide
from dpedkit.align.resample import resample_dslr
from dpedkit.align.score import covered, crop, score_patches
from dpedkit.align.threads import on_one_blas_thread
from dpedkit.align.tone import Match, Tone, fit_tone
from dpedkit.types import I64, U8, Bools


@dataclass(frozen=True, slots=True)
class PatchOptions:
    """Settings of `cut_patches`.

    size    side of a patch, px
    stride  px from one patch to the next; None puts them edge to edge
    count   at most so many, drawn evenly from the grid; None takes all
    match   how the DSLR's tone is brought to the phone's: not at all, by a gain and an offset, or by a curve
    gates   what a patch must be to be kept
    """

    size: int = 100
    stride: int | None = None
    count: int | None = None
    match: Match = "none"
    gates: Gates = field(default_factory=Gates)


@dataclass(frozen=True, eq=False)
class PatchSet:
    """Every candidate of a pair of photos, kept or not.

    phone   uint8 [N, S, S, 3], pixels of the phone's photo, untouched
    dslr    uint8 [N, S, S, 3], the same view by the DSLR
    xy      [N, 2], top left pixel (x, y) in the phone's photo
    scores  what was measured on each, with the DSLR's own tone
    reason  [N], the gate that the patch fails, "" for one to keep
    tone    what was done to the DSLR's tone
    """

    phone: U8
    dslr: U8
    xy: I64
    scores: PatchScores
    reason: npt.NDArray[np.str_]
    tone: Tone | None = None

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def keep(self) -> Bools:
        """[N]: the patch passes every gate."""
        passed: Bools = self.reason == ""
        return passed

    def take(self, rows: Bools | I64) -> PatchSet:
        """Return the chosen rows."""
        return replace(
            self,
            phone=self.phone[rows],
            dslr=self.dslr[rows],
            xy=self.xy[rows],
            scores=self.scores.take(rows),
            reason=self.reason[rows],
        )

    def kept(self) -> PatchSet:
        """Return the patches that pass every gate."""
        return self.take(self.keep)


@on_one_blas_thread
def cut_patches(phone: U8, dslr: U8, alignment: Alignment, options: PatchOptions | None = None) -> PatchSet:
    """Cut every patch of a grid that lies wholly in both photos, and score it.

    phone, dslr  the photos that were aligned, upright RGB uint8 [H, W, 3]

    In paper mode each patch of the phone is moved onto the DSLR's, and its pixels are no longer the photo's own.

    Raises:
        ValueError: the photos are not those that were aligned, the size or stride is not positive, or patches overlap
            in paper mode.
        PairRejected: the photos do not tell the tone that is to be matched.
    """
    options = options or PatchOptions()
    size, stride = options.size, options.stride or options.size
    if size < 8 or stride < 1:
        raise ValueError(f"patches of {size} px every {stride} px: the size must be at least 8 and the stride 1")
    if alignment.mode == "paper" and stride < size:
        raise ValueError(f"patches of {size} px every {stride} px overlap, and paper mode's windows do not")
    aligned, mask = resample_dslr(phone.shape, dslr, alignment)
    xy = _drawn(covered(mask, size, stride), options.count)
    if alignment.mode == "paper":
        phone = slide(phone, aligned, xy, size)
    scores = score_patches(phone, aligned, xy, size, alignment)
    tone = fit_tone(phone, aligned, mask, alignment, options.match)
    return PatchSet(
        phone=crop(phone, xy, size),
        dslr=crop(tone.apply(aligned) if tone else aligned, xy, size),
        xy=xy,
        scores=scores,
        reason=judge(scores, options.gates),
        tone=tone,
    )


def _drawn(xy: I64, count: int | None) -> I64:
    """Return at most `count` of the places [N, 2], all over the photo; a smaller count draws some of a larger one's."""
    if count is None or len(xy) <= count:
        return xy
    order = np.random.default_rng(0).permutation(len(xy))
    return xy[np.sort(order[:count])]
