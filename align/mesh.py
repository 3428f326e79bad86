"""The residual mesh: a smooth displacement field for what the lens model leaves, which is parallax.

A uniform cubic B-spline surface whose control points are found by penalised least squares (Eilers and Marx, Flexible
smoothing with B-splines and penalties, 1996), with the discrete thin-plate energy as the penalty.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from dpedkit.types import F32, F64, I64, Json

_ROBUST_ROUNDS = 6
_OUTLIER_SIGMAS = 3.0


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


class MeshFitter:
    """Fits meshes of one resolution to displacements measured at the same points, again and again.

    Control points touch only near neighbours, so that the normal equations are sparse and no solve takes long.
    """

    def __init__(self, size: tuple[int, int], points: F64, shape: tuple[int, int]) -> None:
        """Take the phone photo's size (width, height), points [N, 2], px, and the number (R, C) of control points."""
        self._size, self._shape = size, shape
        index, weights = _spline_weights(_grid_coordinates(points, size, shape), shape)
        owner = np.repeat(np.arange(len(points)), 16)
        count = shape[0] * shape[1]
        self._design = sparse.csr_array((weights.ravel(), (owner, index.ravel())), shape=(len(points), count))
        self._bending = _bending(shape)
        self._anchor = sparse.eye_array(count) * 1e-6  # a region without measurements stays where the lens put it

    def fit(self, moved: F64, sigma: F64, stiffness: float) -> Mesh:
        """Return the mesh nearest to the displacements, outliers discounted.

        moved      [N, 2], displacement measured at each point, px
        sigma      [N], its standard deviation, px; infinity leaves the point out
        stiffness  weight of the bending energy against the measurements
        """
        base = 1.0 / sigma**2
        weight = base
        controls: F64 = np.zeros((self._shape[0] * self._shape[1], 2))
        for _ in range(_ROBUST_ROUNDS):
            weighted = sparse.csr_array(self._design.multiply(weight[:, None]))
            normal = sparse.csc_array(self._design.T @ weighted + stiffness * self._bending + self._anchor)
            target: F64 = np.asarray(weighted.T @ moved)
            controls = splu(normal, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(target)
            off = np.sum((moved - self._design @ controls) ** 2, axis=1) * base
            weight = base / (1.0 + off / _OUTLIER_SIGMAS**2)  # Cauchy
        return Mesh(self._size, controls.reshape(*self._shape, 2).astype(np.float32))


def _grid_coordinates(points: F64, size: tuple[int, int], shape: tuple[int, ...]) -> F64:
    """Return (row, column) [2, N] of points among the control points."""
    last = np.array([size[1] - 1.0, size[0] - 1.0])
    inside = np.clip(points[:, ::-1], 0.0, last)
    spans = np.array(shape) - 3.0
    at: F64 = (1.0 + inside / last * spans).T
    return at


def _spline_weights(at: F64, shape: tuple[int, int]) -> tuple[I64, F64]:
    """Return the 16 control points [N, 16] around each grid coordinate [2, N], ascending, and their weights [N, 16]."""
    row0, down = _cubic_weights(at[0], shape[0])
    col0, across = _cubic_weights(at[1], shape[1])
    steps = np.arange(4)
    index = (row0[:, None, None] + steps[:, None]) * shape[1] + col0[:, None, None] + steps
    return index.reshape(-1, 16), (down[:, :, None] * across[:, None, :]).reshape(-1, 16)


def _cubic_weights(at: F64, count: int) -> tuple[I64, F64]:
    """Return the first of four control points [N] and their weights [N, 4], of the uniform cubic B-spline."""
    cell = np.clip(np.floor(at).astype(np.int64), 1, count - 3)
    t = at - cell
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    return cell - 1, weights


def _bending(shape: tuple[int, int]) -> sparse.csr_array:
    """Return the discrete thin-plate energy f_xx^2 + 2 f_xy^2 + f_yy^2 as a quadratic form [R * C, R * C]."""
    first_row, first_col = (sparse.csr_array(np.diff(np.eye(n), axis=0)) for n in shape)
    second_row, second_col = (sparse.csr_array(np.diff(np.eye(n), n=2, axis=0)) for n in shape)
    rows, cols = (sparse.eye_array(n, format="csr") for n in shape)
    parts = (
        sparse.kron(rows, second_col),
        sparse.kron(second_row, cols),
        np.sqrt(2.0) * sparse.kron(first_row, first_col),
    )
    bends = sparse.vstack(parts, format="csr")
    return sparse.csr_array(bends.T @ bends)
