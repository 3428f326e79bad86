"""Walking through a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield a frame's rows as named tuples, one attribute per column."""
    yield from frame.itertuples(index=False)
