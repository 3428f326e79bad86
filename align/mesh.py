"""The residual mesh: a smooth displacement field for what the lens model leaves, which is parallax.

A uniform cubic B-spline surface whose control points are found by penalised least squares (Eilers and Marx, Flexible
smoothing with B-splines and penalties, 1996), with the discrete thin-plate energy as the penalty.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dpedkit.types import F32, F64, I64, Json

if TYPE_CHECKING:  # scipy's modules are imported where a mesh is used: most commands do without that half second
    from scipy import sparse

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
        from scipy import ndimage

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

    Control points touch only near neighbours, so that the normal equations are banded and no solve takes long.
    """

    def __init__(self, size: tuple[int, int], points: F64, shape: tuple[int, int]) -> None:
        """Take the phone photo's size (width, height), points [N, 2], px, and the number (R, C) of control points."""
        self._size, self._shape = size, shape
        count = shape[0] * shape[1]
        self._index, self._weights = _spline_weights(_grid_coordinates(points, size, shape), shape)
        first, second = np.triu_indices(16)  # the control points of a point ascend
        low, high = self._index[:, first], self._index[:, second]
        self._cells: I64 = (high - low) * count + low
        self._products = self._weights[:, first] * self._weights[:, second]
        self._width = 3 * shape[1] + 4
        self._bending = _bands(_bending(shape), self._width)
        self._anchor = np.zeros_like(self._bending)
        self._anchor[0] = 1e-6  # a region without measurements stays where the lens put it

    def fit(self, moved: F64, sigma: F64, stiffness: float, rounds: int = _ROBUST_ROUNDS) -> Mesh:
        """Return the mesh nearest to the displacements, outliers discounted.

        moved      [N, 2], displacement measured at each point, px
        sigma      [N], its standard deviation, px; infinity leaves the point out
        stiffness  weight of the bending energy against the measurements
        rounds     how often outliers are weighed anew
        """
        from scipy.linalg import solveh_banded

        base = 1.0 / sigma**2
        weight = base
        fixed = stiffness * self._bending + self._anchor
        controls: F64 = np.zeros((fixed.shape[1], 2))
        for _ in range(rounds):
            measured = np.bincount(self._cells.ravel(), (self._products * weight[:, None]).ravel(), fixed.size)
            target = self._gather(moved * weight[:, None])
            controls = solveh_banded(fixed + measured.reshape(fixed.shape), target, lower=True, check_finite=False)
            landed = np.einsum("nk,nkc->nc", self._weights, controls[self._index])
            off = np.sum((moved - landed) ** 2, axis=1) * base
            weight = base / (1.0 + off / _OUTLIER_SIGMAS**2)  # Cauchy
        return Mesh(self._size, controls.reshape(*self._shape, 2).astype(np.float32))

    def _gather(self, moved: F64) -> F64:
        """Return [R * C, 2]: what the points [N, 2] pull at each control point."""
        count = self._shape[0] * self._shape[1]
        return np.column_stack(
            [np.bincount(self._index.ravel(), (self._weights * pull[:, None]).ravel(), count) for pull in moved.T]
        )


def _bands(matrix: sparse.csr_array, width: int) -> F64:
    """Return a symmetric matrix [N, N] as its diagonals [width, N], from the main one downwards."""
    bands = np.zeros((width, matrix.shape[0]))
    for k in range(width):
        bands[k, : matrix.shape[0] - k] = matrix.diagonal(k)
    return bands


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
    from scipy import sparse

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
