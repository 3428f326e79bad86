"""Windows of the phone's photo and where they were found in the DSLR's: what every fit is made of."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from dpedkit.types import F64, Bools, Json

_MIN_NCC = 0.7
FLOOR_PX = 0.02
"""Standard deviation of what a window's own bound leaves out: other tones, another blur."""


@dataclass(frozen=True)
class Placements:
    """Where windows of the phone's photo were found in the DSLR's.

    phone       [N, 2], window centres, phone px
    dslr        [N, 2], the same spots in the DSLR's photo, px
    covariance  [N, 2, 2], of the spot found, phone px^2
    ncc         [N], normalised cross-correlation of the window there; 0 for one that was found nowhere
    side_px     side of the windows, phone px
    zoom        how many phone px one px spanned where they were looked for
    """

    phone: F64
    dslr: F64
    covariance: F64
    ncc: F64
    side_px: float
    zoom: float

    def __len__(self) -> int:
        return len(self.phone)

    def take(self, keep: Bools) -> Placements:
        """Return the chosen rows."""
        rows = (self.phone[keep], self.dslr[keep], self.covariance[keep], self.ncc[keep])
        return Placements(*rows, self.side_px, self.zoom)

    @property
    def found(self) -> Bools:
        """[N]: the window was found, and looks alike in both photos."""
        return self.ncc >= _MIN_NCC

    def to_dict(self) -> Json:
        """Return JSON-able values; px are kept to float32, which `from_dict` restores to the last bit."""
        rows, columns = np.triu_indices(2)
        table = np.column_stack([self.phone, self.dslr, self.covariance[:, rows, columns], self.ncc])
        packed = base64.b64encode(table.astype("<f4").tobytes()).decode("ascii")
        return {"side_px": self.side_px, "zoom": self.zoom, "rows": packed}

    @classmethod
    def from_dict(cls, data: Json) -> Placements:
        """Restore what `to_dict` returned."""
        table = np.frombuffer(base64.b64decode(data["rows"]), dtype="<f4").astype(np.float64).reshape(-1, 8)
        covariance = table[:, [4, 5, 5, 6]].reshape(-1, 2, 2)
        return cls(table[:, :2], table[:, 2:4], covariance, table[:, 7], data["side_px"], data["zoom"])
