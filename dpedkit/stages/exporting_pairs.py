"""The pairs of an export: their numbers, and what is told of each to those who get it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from dpedkit.db import Listing, SplitName
from dpedkit.db.exporters.exporter import Pair
from dpedkit.types import Json

Part = tuple[str, SplitName]

_ALWAYS = ("patch", "shot", "x", "y", "size", "match")
_PHOTOS = ("phone_sha256", "dslr_sha256")
_NEVER = ("shard", "row", "scene", "gates", "dslr", "phone_path", "dslr_path")


class ExportedPairs:
    """All pairs of an export.

    Shots go by numbers: their keys begin with the name of a session, which tells when it was, or what its owner wrote.

    keep_private  shots by their keys, and their scenes
    shots         a shot's key -> what it goes by
    """

    def __init__(self, listing: Listing, *, keep_private: bool) -> None:
        self._parts = {key: _finite(part) for key, part in listing.parts.items()}
        keys = sorted({str(shot) for part in self._parts.values() for shot in part["shot"].unique()})
        self.shots = {key: key if keep_private else f"{number:06d}" for number, key in enumerate(keys)}
        columns = next(iter(self._parts.values())).columns
        self._scores = [name for name in map(str, columns) if name not in (*_ALWAYS, *_PHOTOS, *_NEVER)]
        self._complete = [
            name for name in self._scores if all(part[name].notna().all() for part in self._parts.values())
        ]
        self._scenes = ["scene"] if keep_private else []

    @property
    def parts(self) -> dict[Part, int]:
        """Phones and splits, and how many pairs each has."""
        return {key: len(part) for key, part in self._parts.items()}

    def pairs(self, part: Part, start: int = 0, stop: int | None = None) -> list[Pair]:
        """Return some of one phone's pairs in one split; their facts are such that all pairs have them."""
        told = self._told(part, start, stop, (*_ALWAYS, *self._complete))
        return [Pair(*part, number, facts) for number, facts in enumerate(told, start=start)]

    def manifest(self, part: Part, at_a_time: int = 5000) -> Iterator[tuple[Pair, Json]]:
        """Yield every pair with all that is told of it: None where there is no such score."""
        for start in range(0, self.parts[part], at_a_time):
            stop = start + at_a_time
            more = self._told(part, start, stop, (*_ALWAYS, *self._scores, *_PHOTOS, *self._scenes))
            yield from zip(self.pairs(part, start, stop), more, strict=True)

    def places(self, part: Part, start: int, stop: int) -> tuple[tuple[str, int], ...]:
        """Return where the pixels of some pairs lie: shard and row."""
        frame = self._parts[part].iloc[start:stop]
        return tuple(zip(frame["shard"].tolist(), frame["row"].tolist(), strict=True))

    def _told(self, part: Part, start: int, stop: int | None, columns: tuple[str, ...]) -> list[dict[str, Any]]:
        frame = self._parts[part].iloc[start:stop][list(columns)].astype(object)
        frame = frame.where(frame.notna(), None).assign(shot=lambda rows: rows["shot"].map(self.shots))
        cells = zip(*(frame[name].tolist() for name in columns), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in cells]


def _finite(part: pd.DataFrame) -> pd.DataFrame:
    """Return a list whose infinite scores are missing: JSON has no word for them."""
    infinite = [str(name) for name in part.select_dtypes("float") if np.isinf(part[name]).any()]
    return part.assign(**{name: part[name].where(np.isfinite(part[name])) for name in infinite})
