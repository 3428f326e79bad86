"""Alignments that did not come from our aligner: what tells them from ours, and who must leave them alone."""

from __future__ import annotations

import pandas as pd

ALIGNED = "given"
"""Version of an alignment of photos that were aligned already: it is cut like ours, and never done again."""

CUT = "given patches"
"""Version of an alignment whose patches were cut already: there are no photos to align, cut or judge again."""


def with_photos(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `Corpus.pairs` that have photos: not those of which only patches were given."""
    return pairs[pairs["version"] != CUT]
