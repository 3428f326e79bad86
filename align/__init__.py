"""Two photos of one scene brought together: arrays in, arrays out."""

from __future__ import annotations

from dpedkit.align.alignment import Alignment
from dpedkit.align.options import AlignOptions
from dpedkit.align.pair import align_pair
from dpedkit.errors import PairRejected

__all__ = ["ALGORITHM_VERSION", "AlignOptions", "Alignment", "PairRejected", "align_pair"]

ALGORITHM_VERSION = 1
"""Part of the key of every stored result: raised whenever the same photos would give other numbers."""
