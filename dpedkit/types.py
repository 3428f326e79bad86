"""Array aliases, records and protocols that cross rooms.

Images are RGB uint8 [H, W, 3], upright, sRGB. Points are (x, y) in px; (0, 0) is the centre of the first pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

U8: TypeAlias = npt.NDArray[np.uint8]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
I64: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Json: TypeAlias = dict[str, Any]


class PairSource(Protocol):
    """Matched patches that a network learns from: phone in, DSLR out."""

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) over the frozen, ordered list of patches; a checkpoint names it."""
        ...

    @property
    def patch_px(self) -> int:
        """Side length of the square patches."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[U8, U8]:
        """Return one pair: phone and DSLR, uint8 [S, S, 3] each."""
        ...

    def read_batch(self, rows: Sequence[int] | I64) -> tuple[U8, U8]:
        """Return the pairs at `rows`, in that order: phone and DSLR, uint8 [B, S, S, 3] each."""
        ...
