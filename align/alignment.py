"""The result of aligning two photos."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dpedkit.align.geometry import Warp, polygon_area
from dpedkit.align.options import Mode
from dpedkit.align.parallax import Confidence
from dpedkit.align.placements import Placements
from dpedkit.types import F64, Json


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where every pixel of a phone's photo lies in the DSLR's, and how well that is known.

    warp             the map itself
    mode             how it was found: "field" or "paper"
    inliers          SIFT matches behind the first guess
    windows          windows behind the refinement, in the regions that can be trusted
    residual_px      median distance between where those windows were found and where the warp puts them, phone px
    residual_p95_px  its 95th percentile
    trusted_share    share of the textured overlap whose confidence is at least 0.5
    overlap          [K, 2], phone px: polygon of what the DSLR's photo covers
    regions          where the warp can be trusted
    placed           all windows that were looked for: where they were found, and how surely
    timings          seconds per step; they vary from run to run and are no part of `to_dict`
    """

    warp: Warp
    mode: Mode
    inliers: int
    windows: int
    residual_px: float
    residual_p95_px: float
    trusted_share: float
    overlap: F64
    regions: Confidence
    placed: Placements
    timings: Mapping[str, float]

    @property
    def overlap_share(self) -> float:
        """How much of the phone's photo the DSLR's covers, in [0, 1]."""
        return abs(polygon_area(self.overlap)) / (self.warp.phone_size[0] * self.warp.phone_size[1])

    def phone_to_dslr(self, points: F64) -> F64:
        """Map [N, 2] px of the phone's photo to [N, 2] px of the DSLR's, both at full resolution."""
        return self.warp.forward(np.asarray(points, dtype=np.float64))

    def dslr_to_phone(self, points: F64) -> F64:
        """Map [N, 2] px of the DSLR's photo to [N, 2] px of the phone's."""
        return self.warp.inverse(np.asarray(points, dtype=np.float64))

    def confidence(self, points: F64) -> F64:
        """Return [N], in [0, 1]: how far the windows around points [N, 2], phone px, agree with the warp."""
        return self.regions.at(np.asarray(points, dtype=np.float64))

    def to_dict(self) -> Json:
        """Return JSON-able values from which `from_dict` restores the alignment to the last bit."""
        return {
            "warp": self.warp.to_dict(),
            "mode": self.mode,
            "inliers": self.inliers,
            "windows": self.windows,
            "residual_px": self.residual_px,
            "residual_p95_px": self.residual_p95_px,
            "trusted_share": self.trusted_share,
            "overlap": self.overlap.tolist(),
            "regions": {
                "shape": list(self.regions.values.shape),
                "values": base64.b64encode(self.regions.values.tobytes()).decode("ascii"),
            },
            "placed": self.placed.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Json) -> Alignment:
        """Restore what `to_dict` returned; the timings are empty."""
        warp = Warp.from_dict(data["warp"])
        values = np.frombuffer(base64.b64decode(data["regions"]["values"]), dtype=np.uint8)
        return cls(
            warp=warp,
            mode=data["mode"],
            inliers=data["inliers"],
            windows=data["windows"],
            residual_px=data["residual_px"],
            residual_p95_px=data["residual_p95_px"],
            trusted_share=data["trusted_share"],
            overlap=np.array(data["overlap"], dtype=np.float64).reshape(-1, 2),
            regions=Confidence(warp.phone_size, values.reshape(data["regions"]["shape"])),
            placed=Placements.from_dict(data["placed"]),
            timings={},
        )
