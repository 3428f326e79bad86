"""The residual mesh: a smooth displacement field for what the lens model leaves, which is parallax.

A uniform cubic B-spline surface whose control points are found by penalised least squares (Eilers and Marx, Flexible
smoothing with B-splines and penalties, 1996), with the discrete thin-plate energy as the penalty.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from scipy import linalg, ndimage, sparse

from dpedkit.types import F32, F64, Json

_ROBUST_ROUNDS = 5


@dataclass(frozen=True)
class Mesh:
    """A displacement in phone px, everywhere on the phone's photo.

    size      (width, height) of the phone's photo, px
    controls  float32 [R, C, 2], B-spline control points; the photo spans those from 1 to R - 2 and 1 to C - 2
    """

    size: tuple[int, int]
    controls: F32

    def displacement(self, points: F64) -> F64:
        """Return the displacement [N, 2], px, at points [N, 2], phone px; beyond the photo the border's holds."""
        at = _grid_coordinates(points, self.size, self.controls.shape[:2])
        planes = np.moveaxis(self.controls, 2, 0).astype(np.float64)
        return np.stack([ndimage.map_coordinates(plane, at, order=3, prefilter=False) for plane in planes], axis=1)

    def to_dict(self) -> Json:
        """Return the mesh as JSON-able values."""
        packed = base64.b64encode(self.controls.astype("<f4").tobytes()).decode("ascii")
        return {"size": list(self.size), "shape": list(self.controls.shape[:2]), "controls": packed}

    @classmethod
    def from_dict(cls, data: Json) -> Mesh:
        """Restore what `to_dict` returned."""
        controls = np.frombuffer(base64.b64decode(data["controls"]), dtype="<f4").astype(np.float32)
        return cls((data["size"][0], data["size"][1]), controls.reshape(*data["shape"], 2))


@dataclass(frozen=True)
class MeshFitter:
    """Fits meshes of one resolution to displacements measured at the same points again and again.

    size    (width, height) of the phone's photo, px
    points  [N, 2], phone px
    shape   (R, C), control points
    """

    size: tuple[int, int]
    points: F64
    shape: tuple[int, int]

    def fit(self, moved: F64, sigma: F64, stiffness: float) -> Mesh:
        """Return the mesh nearest to the displacements, outliers discounted.

        moved      [N, 2], displacement measured at each point, px
        sigma      [N], its standard deviation, px; infinity leaves the point out
        stiffness  weight of the bending energy against the measurements
        """
        design = self._design()
        bending = stiffness * _bending(self.shape)
        base = 1.0 / sigma**2
        weight = base
        controls = np.zeros((self.shape[0] * self.shape[1], 2))
        for _ in range(_ROBUST_ROUNDS):
            normal = (design.T @ design.multiply(weight[:, None])).toarray() + bending
            normal[np.diag_indices_from(normal)] += 1e-6  # a region without measurements stays where the lens put it
            controls = linalg.solve(normal, design.T @ (moved * weight[:, None]), assume_a="pos")
            off = np.linalg.norm(moved - design @ controls, axis=1) / np.where(np.isfinite(sigma), sigma, 1.0)
            weight = base / (1.0 + (off / 3.0) ** 2)  # Cauchy
        return Mesh(self.size, controls.reshape(*self.shape, 2).astype(np.float32))

    def _design(self) -> sparse.csr_array:
        """Return [N, R * C]: the weight of every control point at every measured point."""
        rows, cols = _grid_coordinates(self.points, self.size, self.shape)
        row0, wy = _cubic_weights(rows, self.shape[0])
        col0, wx = _cubic_weights(cols, self.shape[1])
        steps = np.arange(4)
        index = (row0[:, None, None] + steps[:, None]) * self.shape[1] + col0[:, None, None] + steps
        owner = np.repeat(np.arange(len(self.points)), 16)
        weights = (wy[:, :, None] * wx[:, None, :]).ravel()
        size = (len(self.points), self.shape[0] * self.shape[1])
        return sparse.csr_array((weights, (owner, index.ravel())), shape=size)


def _grid_coordinates(points: F64, size: tuple[int, int], shape: tuple[int, ...]) -> F64:
    """Return (row, column) [2, N] of points among the control points."""
    last = np.array([size[1] - 1.0, size[0] - 1.0])
    inside = np.clip(points[:, ::-1], 0.0, last)
    spans = np.array(shape) - 3.0
    at: F64 = (1.0 + inside / last * spans).T
    return at


def _cubic_weights(at: F64, count: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], F64]:
    """Return the first of four control points and their weights [N, 4] for the uniform cubic B-spline."""
    cell = np.clip(np.floor(at).astype(np.int64), 1, count - 3)
    t = at - cell
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    return cell - 1, weights


def _bending(shape: tuple[int, int]) -> F64:
    """Return the discrete thin-plate energy f_xx^2 + 2 f_xy^2 + f_yy^2 as a quadratic form [R * C, R * C]."""
    rows, cols = shape
    first_row, first_col = (np.diff(np.eye(n), axis=0) for n in shape)
    second_row, second_col = (np.diff(np.eye(n), n=2, axis=0) for n in shape)
    parts = (
        np.kron(np.eye(rows), second_col),
        np.kron(second_row, np.eye(cols)),
        np.sqrt(2.0) * np.kron(first_row, first_col),
    )
    energy: F64 = sum((part.T @ part for part in parts), start=np.zeros((rows * cols, rows * cols)))
    return energy
