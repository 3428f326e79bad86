"""The geometry of a simulated camera: from the pixels of a photo to the plane that it shows, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from dpedkit.capture.simulate.specs import CameraSpec
from dpedkit.types import F64, Json

_TABLE_NODES = 4096
_TABLE_RADIUS = 1.5
"""The distortion is inverted up to this radius (X/Z); the widest simulated lens ends at 0.8."""


@dataclass(frozen=True, slots=True)
class View:
    """A camera before the scene, which is a plane that faces the DSLR.

    A point of the plane is named by its direction from the DSLR: (x, y) = (X/Z, Y/Z), right and down.

    size_px      (width, height)
    focal_px     focal length; the principal point is the middle of the frame
    k1, k2       Brown's radial distortion: distorted = ideal * (1 + k1 r^2 + k2 r^4)
    homography   [3, 3], plane -> ideal image plane of this camera (X/Z, Y/Z)
    """

    size_px: tuple[int, int]
    focal_px: float
    k1: float
    k2: float
    homography: F64

    @classmethod
    def of(cls, spec: CameraSpec, distance_m: float, shake_rad: F64 | None = None) -> Self:
        """Return the view of a camera before a plane `distance_m` away.

        shake_rad  [3]  pan, tilt, roll on top of the committed pose: the tripod's tremble at this shot
        """
        rotation = _turned(*np.radians(spec.lens.rotation_deg))
        if shake_rad is not None:
            rotation = _turned(*shake_rad) @ rotation
        # A plane point at depth D lies at D * (x, y, 1); seen from the camera, and up to scale, at (x, y, 1) - t / D.
        shift = np.eye(3)
        shift[:, 2] -= np.array(spec.lens.offset_m) / distance_m
        long_px = max(spec.size_px)
        focal_px = long_px / 2 / np.tan(np.radians(spec.lens.hfov_deg) / 2)
        homography: F64 = rotation.T @ shift
        return cls(spec.size_px, float(focal_px), spec.lens.k1, spec.lens.k2, homography)

    def to_plane(self, points: F64) -> F64:
        """Return where on the plane each pixel looks.

        points  [..., 2]  (x, y), px of the photo
        ->      [..., 2]  (x, y) on the plane
        """
        distorted = (points - self._centre_px) / self.focal_px
        radius = np.linalg.norm(distorted, axis=-1, keepdims=True)
        ideal = np.linspace(0.0, _TABLE_RADIUS, _TABLE_NODES)
        bent = ideal * (1 + self.k1 * ideal**2 + self.k2 * ideal**4)
        # Interpolating the smooth quotient keeps the error of a 4,096-node table below 1e-8.
        growth: F64 = np.interp(radius, bent[1:], ideal[1:] / bent[1:])
        inverse: F64 = np.linalg.inv(self.homography).astype(np.float64)
        return _through(inverse, distorted * growth)

    def from_plane(self, points: F64) -> F64:
        """Return at which pixel each point of the plane appears; the inverse of `to_plane`."""
        ideal = _through(self.homography, points)
        square = np.sum(ideal**2, axis=-1, keepdims=True)
        pixels: F64 = ideal * (1 + self.k1 * square + self.k2 * square**2) * self.focal_px + self._centre_px
        return pixels

    @property
    def _centre_px(self) -> F64:
        centre: F64 = (np.array(self.size_px, dtype=np.float64) - 1) / 2
        return centre

    def to_json(self) -> Json:
        """Return what `from_json` reads."""
        return {
            "size_px": list(self.size_px),
            "focal_px": self.focal_px,
            "k1": self.k1,
            "k2": self.k2,
            "homography": self.homography.tolist(),
        }

    @classmethod
    def from_json(cls, record: Json) -> Self:
        """Return the view that `to_json` described."""
        width, height = record["size_px"]
        homography = np.array(record["homography"], dtype=np.float64)
        return cls((width, height), record["focal_px"], record["k1"], record["k2"], homography)


def _turned(pan: float, tilt: float, roll: float) -> F64:
    """Return the rotation matrix [3, 3] of turns about y, then x, then z of the world, rad.

    Written out: scipy's takes longer to import than a small photo to render.
    """
    (cp, ct, cr), (sp, st, sr) = np.cos([pan, tilt, roll]), np.sin([pan, tilt, roll])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: F64 = about_z @ about_x @ about_y
    return rotation


def _through(hmat: F64, points: F64) -> F64:
    """Map points [..., 2] through a homography."""
    mapped = points @ hmat[:, :2].T + hmat[:, 2]
    landed: F64 = mapped[..., :2] / mapped[..., 2:]
    return landed
