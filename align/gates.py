"""Which patches are fit to learn from: thresholds on their scores, applied again at any time without recomputing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from dpedkit.types import F64, Bools


@dataclass(frozen=True, eq=False)
class PatchScores:
    """What was measured on each of N pairs of patches.

    ncc              [N], normalised cross-correlation of the lumas as they lie
    crlb_px          [N], Cramer-Rao bound: how well the patch's own content could fix its place
    shift_xy_px      [N, 2], how far the DSLR's patch was found from its place
    rotation_deg     [N], and by how much it seemed turned
    local_shift_px   [N], how far the worst of its nine parts lay from its place, less three times that part's bound
    gain, offset     [N, 3], per channel: DSLR = gain * phone + offset, as most of the patch has it
    sharpness_phone  [N], variance of the luma's Laplacian
    sharpness_dslr   [N]
    clipped          [N], share of pixels <= 2 or >= 253, of the worst channel of either photo
    std              [N], standard deviation of the phone's luma, of 255
    confidence       [N], lowest confidence of the alignment in the patch, in [0, 1]
    """

    ncc: F64
    crlb_px: F64
    shift_xy_px: F64
    rotation_deg: F64
    local_shift_px: F64
    gain: F64
    offset: F64
    sharpness_phone: F64
    sharpness_dslr: F64
    clipped: F64
    std: F64
    confidence: F64

    def __len__(self) -> int:
        return len(self.ncc)

    @property
    def shift_px(self) -> F64:
        """The length [N] of `shift_xy_px`."""
        length: F64 = np.linalg.norm(self.shift_xy_px, axis=1)
        return length

    @property
    def sharpness_ratio(self) -> F64:
        """How much more detail [N] the DSLR shows than the phone: ratio of the Laplacians' standard deviations."""
        ratio: F64 = np.sqrt(self.sharpness_dslr / np.maximum(self.sharpness_phone, 1e-9))
        return ratio

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> PatchScores:
        """Return the chosen rows."""
        return PatchScores(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class Gates:
    """What a patch must be to be kept: `min_` and `max_` of what was measured; None is no limit.

    NCC alone does not find misplaced patches: the Cramer-Rao bound does (docs/benchmarks.md), because it asks whether
    the content could have shown a wrong place at all. The ratio is the DSLR's sharpness by the phone's: below 1 the
    DSLR shows less, as where its depth of field ends.
    """

    min_std: float | None = 4.0
    max_clipped: float | None = 0.02
    min_confidence: float | None = 0.5
    min_ncc: float | None = 0.6
    min_sharpness_ratio: float | None = None
    max_crlb_px: float | None = 0.05
    max_shift_px: float | None = 0.4
    max_rotation_deg: float | None = 0.5
    max_local_shift_px: float | None = 0.4


_MEASURED: dict[str, tuple[str, Callable[[PatchScores], F64]]] = {
    # flatness comes first: the others mean nothing on a flat patch
    "flat": ("min_std", lambda scores: scores.std),
    "clipped": ("max_clipped", lambda scores: scores.clipped),
    "untrusted": ("min_confidence", lambda scores: scores.confidence),
    "unlike": ("min_ncc", lambda scores: scores.ncc),
    "softer": ("min_sharpness_ratio", lambda scores: scores.sharpness_ratio),
    "unlocated": ("max_crlb_px", lambda scores: scores.crlb_px),
    "misplaced": ("max_shift_px", lambda scores: scores.shift_px),
    "turned": ("max_rotation_deg", lambda scores: np.abs(scores.rotation_deg)),
    "torn": ("max_local_shift_px", lambda scores: scores.local_shift_px),
}

LIMIT_OF = {reason: limit for reason, (limit, _) in _MEASURED.items()}
"""The limit of `Gates` behind each reason, in the order in which they are asked."""


def judge(scores: PatchScores, gates: Gates) -> npt.NDArray[np.str_]:
    """Return for each patch [N] the first reason of `LIMIT_OF` not to keep it, or "" for one to keep."""
    reasons = np.full(len(scores), "", dtype=f"<U{max(map(len, _MEASURED))}")
    for reason, (limit, measure) in reversed(_MEASURED.items()):  # the first to fail is written last
        bound = getattr(gates, limit)
        if bound is not None:
            reasons[_fails(limit, bound, measure(scores))] = reason
    return reasons


def _fails(limit: str, bound: float, measured: F64) -> Bools:
    """Return [N]: beyond the bound, or not known (NaN)."""
    return ~(measured >= bound) if limit.startswith("min_") else ~(measured <= bound)
