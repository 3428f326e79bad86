"""Two photos of one scene brought together: arrays in, arrays out."""

from __future__ import annotations

from dpedkit.align.alignment import Alignment
from dpedkit.align.gates import Gates, PatchScores, judge
from dpedkit.align.given import given_alignment
from dpedkit.align.lens import UNKNOWN_LENS, Lens
from dpedkit.align.memory import learn_lens, refit
from dpedkit.align.options import AlignOptions, Mode
from dpedkit.align.pair import align_pair
from dpedkit.align.patches import PatchOptions, PatchSet, cut_patches
from dpedkit.align.phase import phase_offsets
from dpedkit.align.resample import resample_dslr, resample_rows
from dpedkit.align.tone import Tone, fit_tone
from dpedkit.errors import PairRejected

__all__ = [
    "ALGORITHM_VERSION",
    "UNKNOWN_LENS",
    "AlignOptions",
    "Alignment",
    "Gates",
    "Lens",
    "Mode",
    "PairRejected",
    "PatchOptions",
    "PatchScores",
    "PatchSet",
    "Tone",
    "align_pair",
    "cut_patches",
    "fit_tone",
    "given_alignment",
    "judge",
    "learn_lens",
    "phase_offsets",
    "refit",
    "resample_dslr",
    "resample_rows",
]

ALGORITHM_VERSION = 3
"""Part of the key of every stored result: raised whenever the same photos would give other numbers."""
