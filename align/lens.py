"""Fitting the lens model (homography, k1 and k2 of the phone, k1 of the DSLR) to placed windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from dpedkit.align.geometry import Warp
from dpedkit.align.placements import Placements
from dpedkit.types import F64

_FLOOR_PX = 0.02
_RADIAL_PRIOR = 0.3
_OUTLIER_MADS = 5.0
_OUTLIER_FLOOR_PX = 0.1


def fit_lens(start: Warp, placed: Placements) -> Warp:
    """Return the lens model that best explains the placements; outliers are discounted, then left out.

    Soft-L1 least squares on displacements, each weighted by its own covariance, so that an edge counts across itself
    and not along. A weak prior keeps the radial terms of both lenses apart where one could stand in for the other.
    """
    rough = _solve(start.without_mesh(), placed)
    off = np.linalg.norm(rough.inverse(placed.dslr) - placed.phone, axis=1)
    limit = max(_OUTLIER_MADS * float(np.median(off)), _OUTLIER_FLOOR_PX)
    return _solve(rough, placed.take(off <= limit))


def _solve(warp: Warp, placed: Placements) -> Warp:
    whiten = np.linalg.inv(np.linalg.cholesky(placed.covariance + _FLOOR_PX**2 * np.eye(2)))
    whiten = whiten @ _to_phone_axes(warp, placed.phone)

    def residuals(values: F64) -> F64:
        off = _with_values(warp, values).forward(placed.phone) - placed.dslr
        whitened = np.einsum("nij,nj->ni", whiten, off)
        return np.concatenate([whitened.ravel(), values[8:] / _RADIAL_PRIOR])

    solved = least_squares(residuals, _values(warp), loss="soft_l1", f_scale=2.0, x_scale="jac", max_nfev=30)
    return _with_values(warp, solved.x)


def _to_phone_axes(warp: Warp, points: F64) -> F64:
    """Return [N, 2, 2]: what turns a small DSLR offset at each point into a phone offset."""
    base = warp.forward(points)
    columns = [warp.forward(points + step) - base for step in np.eye(2)]
    return np.linalg.inv(np.stack(columns, axis=2))


def _values(warp: Warp) -> F64:
    return np.concatenate([warp.homography.ravel()[:8], warp.phone_radial, warp.dslr_radial])


def _with_values(warp: Warp, values: F64) -> Warp:
    hmat = np.append(values[:8], 1.0).reshape(3, 3)
    return replace(
        warp, homography=hmat, phone_radial=(float(values[8]), float(values[9])), dslr_radial=(float(values[10]),)
    )
