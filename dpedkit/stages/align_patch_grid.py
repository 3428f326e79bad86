"""The patches of one pair, for its page: where they lie, what became of them, and their scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dpedkit.stages.scores import scores_in
from dpedkit.types import F64, I64, Json

KEPT = "kept"
_MOST = 4000  # patches that are drawn: more would make the page slow, and each too small to point at


@dataclass(frozen=True, slots=True)
class Score:
    """A score to colour patches by; `better` is the end of its scale that is good."""

    name: str
    label: str
    better: str


SCORES = (
    Score("ncc", "NCC", "high"),
    Score("crlb_px", "Cramér-Rao bound, px", "low"),
    Score("shift_px", "shift found, px", "low"),
    Score("local_shift_px", "shift of the worst ninth, px", "low"),
    Score("rotation_deg", "rotation found, degrees either way", "low"),
    Score("sharpness_ratio", "sharpness, DSLR over phone", "high"),
    Score("clipped", "clipped share", "low"),
    Score("std", "contrast (standard deviation, of 255)", "high"),
    Score("confidence", "confidence of the alignment", "high"),
)


@dataclass(frozen=True, slots=True)
class PatchCell:
    """A patch as it is drawn, phone px: where patches overlap, only the part that is nearest to its middle."""

    x: float
    y: float
    side: float
    verdict: str


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The patches of a pair.

    size_px   side of a patch
    verdicts  how many have each verdict, KEPT first
    cells     those that are drawn: all, or an even choice of so many
    scores    name -> value of each cell, None where there is none
    """

    size_px: int
    verdicts: Sequence[tuple[str, int]]
    cells: Sequence[PatchCell]
    scores: Json

    @property
    def patches(self) -> int:
        """How many there are, drawn or not."""
        return sum(count for _, count in self.verdicts)


def patch_grid(patches: pd.DataFrame) -> PatchGrid:
    """Return the grid of one pair's patches; at least one.

    patches  rows of `Corpus.patches`
    """
    found = Counter(patches["reason"].replace("", KEPT))
    verdicts = sorted(found.items(), key=lambda each: (each[0] != KEPT, -each[1], each[0]))
    every = -(-len(patches) // _MOST)
    drawn = patches.sort_values(["y", "x"], ignore_index=True).iloc[::every]
    size = int(patches["size"].iloc[0])
    side = min(size, *(_step(patches[axis].to_numpy(np.int64), size) for axis in ("x", "y")))
    margin = (size - side) / 2 - 0.5
    cells = [
        PatchCell(x + margin, y + margin, side, reason or KEPT)
        for x, y, reason in zip(drawn["x"].tolist(), drawn["y"].tolist(), drawn["reason"], strict=True)
    ]
    return PatchGrid(size, verdicts, cells, {name: _plain(values) for name, values in _values(drawn).items()})


def _step(places: I64, size: int) -> int:
    """Return how far patches lie apart along one axis, px; where there is but one place, `size`."""
    return int(np.diff(np.unique(places)).min(initial=size))


def _values(patches: pd.DataFrame) -> dict[str, F64]:
    scores = scores_in(patches)
    found: dict[str, F64] = {score.name: getattr(scores, score.name) for score in SCORES}
    return found | {"rotation_deg": np.abs(scores.rotation_deg)}


def _plain(values: F64) -> list[float | None]:
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.tolist()]
