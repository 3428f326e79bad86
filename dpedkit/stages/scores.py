"""What was measured on patches, as columns of the corpus and back: exactly the same numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dpedkit.align import PatchScores
from dpedkit.types import F64

_CHANNELS = ("red", "green", "blue")
_AS_THEY_ARE = (
    "ncc",
    "crlb_px",
    "rotation_deg",
    "local_shift_px",
    "sharpness_phone",
    "sharpness_dslr",
    "clipped",
    "std",
    "confidence",
)
_SHIFT = ("shift_x_px", "shift_y_px")
_GAIN, _OFFSET = (tuple(f"{word}_{channel}" for channel in _CHANNELS) for word in ("gain", "offset"))


def columns_of(scores: PatchScores) -> dict[str, F64]:
    """Return each column of the corpus [N]."""
    columns = {name: getattr(scores, name) for name in (*_AS_THEY_ARE, "shift_px")}
    for names, table in ((_SHIFT, scores.shift_xy_px), (_GAIN, scores.gain), (_OFFSET, scores.offset)):
        columns |= {name: table[:, index] for index, name in enumerate(names)}
    return columns


def scores_in(patches: pd.DataFrame) -> PatchScores:
    """Return the scores of the rows of `Corpus.patches`."""
    tables = {
        field: np.column_stack([patches[name].to_numpy(np.float64) for name in names])
        for field, names in (("shift_xy_px", _SHIFT), ("gain", _GAIN), ("offset", _OFFSET))
    }
    return PatchScores(**{name: patches[name].to_numpy(np.float64) for name in _AS_THEY_ARE}, **tables)
