"""The map between two photos of one scene: a homography, the radial distortion of both lenses, and a residual mesh.

    phone px --mesh--> phone px --undistort--> ideal --homography--> ideal --distort--> DSLR px

Ideal coordinates are px from the photo's centre over half its diagonal, so that radial terms compare between cameras
and no number in the fit is large. The radial polynomials are Brown's (Decentering Distortion of Lenses, 1966); the
phone's is read from distorted to ideal, the DSLR's from ideal to distorted, so that the whole map is closed-form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dpedkit.align.mesh import Mesh
from dpedkit.types import F64, Json

_NEWTON_STEPS = 12
_MESH_STEPS = 30


@dataclass(frozen=True)
class Warp:
    """Where a phone's pixel lies in the DSLR's photo, and back.

    phone_size    (width, height) of the phone's photo, px
    dslr_size     (width, height) of the DSLR's photo, px
    homography    [3, 3], phone ideal -> DSLR ideal
    phone_radial  k1, k2 of the phone's lens, distorted -> ideal
    dslr_radial   k1, k2 of the DSLR's lens, ideal -> distorted
    mesh          what no lens explains (parallax), as a displacement in phone px; None where nothing is left
    """

    phone_size: tuple[int, int]
    dslr_size: tuple[int, int]
    homography: F64
    phone_radial: tuple[float, float] = (0.0, 0.0)
    dslr_radial: tuple[float, float] = (0.0, 0.0)
    mesh: Mesh | None = None

    @classmethod
    def from_pixels(cls, hmat: F64, phone_size: tuple[int, int], dslr_size: tuple[int, int]) -> Warp:
        """Make a warp from a homography [3, 3] that maps phone px to DSLR px."""
        ideal: F64 = np.linalg.inv(_pixel_matrix(dslr_size)) @ hmat @ _pixel_matrix(phone_size)
        return cls(phone_size, dslr_size, ideal / ideal[2, 2])

    def forward(self, points: F64) -> F64:
        """Map [N, 2] phone px to [N, 2] DSLR px."""
        if self.mesh is not None:
            points = points + self.mesh.displacement(points)
        ideal = distort(to_ideal(points, self.phone_size), self.phone_radial)
        return to_pixels(distort(project(self.homography, ideal), self.dslr_radial), self.dslr_size)

    def inverse(self, points: F64) -> F64:
        """Map [N, 2] DSLR px to [N, 2] phone px."""
        ideal = project(_inverse(self.homography), undistort(to_ideal(points, self.dslr_size), self.dslr_radial))
        shifted = to_pixels(undistort(ideal, self.phone_radial), self.phone_size)
        if self.mesh is None:
            return shifted
        found = shifted
        for _ in range(_MESH_STEPS):  # the mesh bends by far less than 1 px per px, so the fixed point is near
            found = shifted - self.mesh.displacement(found)
        return found

    def scale(self) -> float:
        """Return how many DSLR px one phone px spans, at the middle of the overlap (geometric mean of both axes)."""
        from_dslr = self.without_mesh().inverse(_centre(self.dslr_size))
        width, height = self.phone_size
        middle = np.clip((from_dslr + _centre(self.phone_size)) / 2, 0, [width - 1, height - 1])
        corners = self.without_mesh().forward(middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        return float(np.sqrt(abs(np.linalg.det(corners[1:] - corners[0]))))

    @property
    def is_identity(self) -> bool:
        """Whether every pixel lies on the pixel of the same place."""
        lenses = (*self.phone_radial, *self.dslr_radial)
        same = self.phone_size == self.dslr_size and np.array_equal(self.homography, np.eye(3))
        return same and not any(lenses) and self.mesh is None

    def without_mesh(self) -> Warp:
        """Return the lens model alone."""
        return replace(self, mesh=None)

    def to_dict(self) -> Json:
        """Return the warp as JSON-able values; `from_dict` restores every bit."""
        return {
            "phone_size": list(self.phone_size),
            "dslr_size": list(self.dslr_size),
            "homography": self.homography.ravel().tolist(),
            "phone_radial": list(self.phone_radial),
            "dslr_radial": list(self.dslr_radial),
            "mesh": self.mesh and self.mesh.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Json) -> Warp:
        """Restore what `to_dict` returned."""
        return cls(
            phone_size=(data["phone_size"][0], data["phone_size"][1]),
            dslr_size=(data["dslr_size"][0], data["dslr_size"][1]),
            homography=np.array(data["homography"]).reshape(3, 3),
            phone_radial=(data["phone_radial"][0], data["phone_radial"][1]),
            dslr_radial=(data["dslr_radial"][0], data["dslr_radial"][1]),
            mesh=data["mesh"] and Mesh.from_dict(data["mesh"]),
        )


def _inverse(matrix: F64) -> F64:
    return np.linalg.inv(matrix).astype(np.float64, copy=False)


def project(hmat: F64, points: F64) -> F64:
    """Map [N, 2] points through a homography [3, 3]."""
    homogeneous = points @ hmat[:, :2].T + hmat[:, 2]
    landed: F64 = homogeneous[:, :2] / homogeneous[:, 2:]
    return landed


def distort(points: F64, terms: Sequence[float]) -> F64:
    """Scale each ideal point [N, 2] by 1 + k1 r^2 + k2 r^4 + ..."""
    return points * _gain(np.sum(points**2, axis=1), terms)[:, None]


def undistort(points: F64, terms: Sequence[float]) -> F64:
    """Undo `distort`, by Newton's method on the radius."""
    target = np.linalg.norm(points, axis=1)
    radius = target.copy()
    for _ in range(_NEWTON_STEPS):
        square = radius**2
        slope = sum(((2 * i + 3) * k * square ** (i + 1) for i, k in enumerate(terms)), start=np.ones_like(square))
        radius -= (radius * _gain(square, terms) - target) / slope
    shrunk: F64 = np.divide(radius, target, out=np.ones_like(target), where=target > 0)
    return points * shrunk[:, None]


def _gain(square: F64, terms: Sequence[float]) -> F64:
    gain: F64 = sum((k * square ** (i + 1) for i, k in enumerate(terms)), start=np.ones_like(square))
    return gain


def polygon_area(polygon: F64) -> float:
    """Return the signed area of a polygon [K, 2] (positive when it runs clockwise on the screen)."""
    x, y = polygon.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def overlap_polygon(warp: Warp, per_side: int = 16) -> F64:
    """Return the part of the phone's photo that the DSLR's covers, as a polygon [K, 2], phone px; K is 0 for none."""
    polygon = warp.inverse(frame(warp.dslr_size, per_side))
    width, height = warp.phone_size
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width - 1.0, -1.0), (1, 0.0, 1.0), (1, height - 1.0, -1.0)):
        polygon = _clip_half_plane(polygon, axis, limit, sign)
    return polygon


def frame(size: tuple[int, int], per_side: int) -> F64:
    """Return the border of a photo as points [4 * per_side, 2], px, from (0, 0) clockwise on the screen."""
    right, bottom = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])
    steps: F64 = np.arange(per_side)[:, None] / per_side
    return np.concatenate([a + (b - a) * steps for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)])


def _clip_half_plane(polygon: F64, axis: int, limit: float, sign: float) -> F64:
    """Keep what lies at sign * (coordinate - limit) >= 0 (Sutherland and Hodgman, CACM 1974)."""
    kept: list[F64] = []
    depth = sign * (polygon[:, axis] - limit) if len(polygon) else np.zeros(0)
    for i in range(len(polygon)):
        here, there = polygon[i - 1], polygon[i]
        if (depth[i - 1] >= 0) != (depth[i] >= 0):
            kept.append(here + (there - here) * (depth[i - 1] / (depth[i - 1] - depth[i])))
        if depth[i] >= 0:
            kept.append(there)
    return np.array(kept).reshape(-1, 2)


def _centre(size: tuple[int, int]) -> F64:
    return np.array([[(size[0] - 1) / 2, (size[1] - 1) / 2]])


def half_diagonal(size: tuple[int, int]) -> float:
    """Return the unit of ideal coordinates, px."""
    return float(np.hypot(*size) / 2)


def to_ideal(points: F64, size: tuple[int, int]) -> F64:
    """Map px [N, 2] of a photo to ideal coordinates: from its centre, over half its diagonal."""
    ideal: F64 = (points - _centre(size)) / half_diagonal(size)
    return ideal


def to_pixels(ideal: F64, size: tuple[int, int]) -> F64:
    """Map ideal coordinates [N, 2] to px of a photo."""
    points: F64 = ideal * half_diagonal(size) + _centre(size)
    return points


def _pixel_matrix(size: tuple[int, int]) -> F64:
    """Return the matrix that maps ideal coordinates to px."""
    (cx, cy), unit = _centre(size)[0], half_diagonal(size)
    return np.array([[unit, 0.0, cx], [0.0, unit, cy], [0.0, 0.0, 1.0]])
