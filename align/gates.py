"""Which patches are fit to learn from: thresholds on their scores, applied again at any time without recomputing."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from dpedkit.types import F64


@dataclass(frozen=True, eq=False)
class PatchScores:
    """What was measured on each of N pairs of patches.

    ncc              [N], normalised cross-correlation of the lumas as they lie
    crlb_px          [N], Cramer-Rao bound: how well the patch's own content could fix its place
    shift_xy_px      [N, 2], how far the DSLR's patch was found from its place
    rotation_deg     [N], and by how much it seemed turned
    gain, offset     [N, 3], per channel: DSLR = gain * phone + offset, by the first two moments
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

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> PatchScores:
        """Return the chosen rows."""
        return PatchScores(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class Gates:
    """What a patch must be to be kept; a limit that is not met gives the reason of the same name.

    NCC alone does not find misplaced patches: the Cramer-Rao bound does (docs/benchmarks.md), because it asks whether
    the content could have shown a wrong place at all. Flatness comes first: the others mean nothing on a flat patch.
    """

    min_std: float = 4.0
    max_clipped: float = 0.02
    min_confidence: float = 0.5
    min_ncc: float = 0.7
    max_crlb_px: float = 0.05
    max_shift_px: float = 0.5
    max_rotation_deg: float = 0.5


def judge(scores: PatchScores, gates: Gates) -> npt.NDArray[np.str_]:
    """Return for each patch [N] the first gate that it fails, or "" for one to keep.

    The words: flat, clipped, untrusted, unlike, unlocated, misplaced, turned.
    """
    failed = {
        "flat": scores.std < gates.min_std,
        "clipped": scores.clipped > gates.max_clipped,
        "untrusted": scores.confidence < gates.min_confidence,
        "unlike": scores.ncc < gates.min_ncc,
        "unlocated": ~(scores.crlb_px <= gates.max_crlb_px),
        "misplaced": scores.shift_px > gates.max_shift_px,
        "turned": np.abs(scores.rotation_deg) > gates.max_rotation_deg,
    }
    return np.select(list(failed.values()), list(failed), default="")
