"""Two photos of one scene brought together: arrays in, arrays out."""

from __future__ import annotations

from dpedkit.align.alignment import Alignment
from dpedkit.align.gates import Gates, PatchScores, judge
from dpedkit.align.options import AlignOptions
from dpedkit.align.pair import align_pair
from dpedkit.align.patches import PatchOptions, PatchSet, cut_patches
from dpedkit.align.resample import resample_dslr
from dpedkit.errors import PairRejected

__all__ = [
    "ALGORITHM_VERSION",
    "AlignOptions",
    "Alignment",
    "Gates",
    "PairRejected",
    "PatchOptions",
    "PatchScores",
    "PatchSet",
    "align_pair",
    "cut_patches",
    "judge",
    "resample_dslr",
]

ALGORITHM_VERSION = 1
"""Part of the key of every stored result: raised whenever the same photos would give other numbers."""
